"""ONNX files run without torch: what the metadata say, forms of images, and files that are refused.

The files are made by hand, so that these tests train nothing.
"""

import json
import subprocess
import sys

import numpy as np
import pytest

from skimb._onnx_models import OnnxModel, seal, sealing_entry

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

SHAPES = {"NHW": [2, 3], "NHWC": [2, 3, 1], "NCHW": [1, 2, 3], "NF": [6]}


def write(path, *, layout="NHW", dtype="uint8", classes=("cat", "dog"), **changed):
    """Write a file whose probability of the second class is the mean pixel / 255."""
    helper, kinds = onnx.helper, onnx.TensorProto
    sides = SHAPES[layout]
    axes = list(range(1, len(sides) + 1))
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], to=kinds.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "axes"], ["mean"], keepdims=0),
        helper.make_node("Div", ["mean", "top"], ["second"]),
        helper.make_node("Sub", ["one", "second"], ["first"]),
        helper.make_node("Unsqueeze", ["first", "last"], ["first_column"]),
        helper.make_node("Unsqueeze", ["second", "last"], ["second_column"]),
        helper.make_node("Concat", ["first_column", "second_column"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["probabilities"], ["index"], axis=1, keepdims=0),
        helper.make_node("Gather", ["labels", "index"], ["label"]),
    ]
    is_text = isinstance(classes[0], str)
    kind = kinds.STRING if is_text else kinds.INT64
    values = [value.encode() for value in classes] if is_text else list(classes)
    constants = [
        helper.make_tensor("axes", kinds.INT64, [len(axes)], axes),
        helper.make_tensor("last", kinds.INT64, [1], [1]),
        helper.make_tensor("top", kinds.FLOAT, [], [255.0]),
        helper.make_tensor("one", kinds.FLOAT, [], [1.0]),
        helper.make_tensor("labels", kind, [len(classes)], values),
    ]
    pixels = kinds.UINT8 if dtype == "uint8" else kinds.FLOAT
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info("images", pixels, ["n", *sides])],
        [
            helper.make_tensor_value_info("label", kind, ["n"]),
            helper.make_tensor_value_info("probabilities", kinds.FLOAT, ["n", 2]),
        ],
        constants,
    )
    model = helper.make_model(
        graph, ir_version=10, opset_imports=[helper.make_opsetid("", 20)], producer_name="tests"
    )
    metadata = {
        "skimb_format": "1",
        "task": "classification",
        "classes": json.dumps(list(classes)),
        "image_shape": "[1, 2, 3]",
        "layout": layout,
        "value_range": "[0, 255]",
    } | changed
    helper.set_model_props(model, dict([*metadata.items(), sealing_entry()]))
    path.write_bytes(seal(model.SerializeToString()))
    return path


def images(n=5):
    return np.random.RandomState(0).randint(0, 256, (n, 2, 3)).astype(np.uint8)


@pytest.mark.parametrize("layout", SHAPES)
def test_images_of_any_layout_are_brought_into_that_of_the_file(tmp_path, layout):
    model = OnnxModel(write(tmp_path / "a.onnx", layout=layout), batch_size=2)
    X = images()
    wanted = X.mean((1, 2)) / 255
    for given in (X, X[..., None], X.reshape(5, 6)):
        proba = model.predict_proba(given)
        assert proba.shape == (5, 2)
        np.testing.assert_allclose(proba[:, 1], wanted, rtol=1e-6)
    assert model.predict(X).tolist() == np.where(wanted > 0.5, "dog", "cat").tolist()
    assert (model.task, model.image_shape, model.layout) == ("classification", (1, 2, 3), layout)


def test_labels_have_the_type_of_the_classes(tmp_path):
    words = OnnxModel(write(tmp_path / "a.onnx"))
    numbers = OnnxModel(write(tmp_path / "b.onnx", classes=(3, 7)))
    assert words.classes_.tolist() == ["cat", "dog"]
    assert words.predict(images()).dtype.kind == "U"
    assert numbers.predict(images()).dtype == np.int64
    assert set(numbers.predict(images(50))) == {3, 7}
    label, proba = words.predict_with_proba(images())
    np.testing.assert_array_equal(label, words.predict(images()))
    np.testing.assert_array_equal(proba, words.predict_proba(images()))


def test_files_are_read_and_resized(tmp_path):
    from PIL import Image

    Image.fromarray(np.full((4, 6), 200, np.uint8)).save(tmp_path / "a.png")
    model = OnnxModel(write(tmp_path / "a.onnx"))
    np.testing.assert_allclose(model.predict_proba([str(tmp_path / "a.png")])[0, 1], 200 / 255)


def test_numbers_are_cast_only_where_nothing_is_lost(tmp_path):
    whole = OnnxModel(write(tmp_path / "a.onnx"))
    wide = OnnxModel(write(tmp_path / "b.onnx", dtype="float32"))
    X = images()
    expected = whole.predict_proba(X)
    np.testing.assert_array_equal(whole.predict_proba(X.astype(float)), expected)
    np.testing.assert_allclose(wide.predict_proba(X), expected, rtol=1e-6)
    for wrong in (X + 0.5, X - 300.0, X * 300.0):
        with pytest.raises(ValueError, match="dtype='float32'"):
            whole.predict_proba(wrong)
    wide.predict_proba(X + 0.5)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.zeros((2, 3, 3), np.uint8), "of shape"),
        (np.zeros((0, 2, 3), np.uint8), "no image"),
        (np.full((1, 2, 3), np.nan), "NaN"),
        (np.array([[["a"] * 3] * 2]), "numbers or paths"),
        (np.zeros((2, 5), np.uint8), "image_shape"),
    ],
    ids=["shape", "empty", "nan", "text", "row"],
)
def test_images_that_do_not_fit_are_refused(tmp_path, wrong, message):
    with pytest.raises(ValueError, match=message):
        OnnxModel(write(tmp_path / "a.onnx")).predict_proba(wrong)


def test_methods_of_another_task_are_refused(tmp_path):
    model = OnnxModel(write(tmp_path / "a.onnx"))
    with pytest.raises(ValueError, match="no embeddings"):
        model.transform(images())


def test_every_flipped_bit_and_every_truncation_is_refused(tmp_path):
    data = write(tmp_path / "a.onnx").read_bytes()
    broken = tmp_path / "b.onnx"
    rng = np.random.RandomState(0)
    changed = [data[:end] for end in rng.randint(0, len(data), 20)]
    for place in rng.randint(0, len(data), 100):
        flipped = bytearray(data)
        flipped[place] ^= 1 << rng.randint(8)
        changed.append(bytes(flipped))
    for content in [*changed, b"", data + b"x"]:
        broken.write_bytes(content)
        with pytest.raises(ValueError, match="no network that skimb can run"):
            OnnxModel(broken)


@pytest.mark.parametrize(
    "changed",
    [
        {"skimb_format": "2"},
        {"task": "translation"},
        {"layout": "CNHW"},
        {"layout": "NHWC"},
        {"image_shape": "[1, 3, 2]"},
        {"image_shape": "nothing"},
        {"value_range": "[0]"},
        {"classes": '["one"]'},
        {"classes": "3"},
        {"task": "regression"},
    ],
    ids=lambda changed: "-".join(next(iter(changed.items()))),
)
def test_metadata_that_do_not_fit_the_network_are_refused(tmp_path, changed):
    path = write(tmp_path / "a.onnx")
    layout = changed.pop("layout", None)
    if layout is not None:
        entry = b"layout\x12"
        data = path.read_bytes()
        new = layout.encode()
        data = data.replace(entry + b"\x03NHW", entry + bytes([len(new)]) + new)
        # The entry has another length, so the file is written again.
        model = onnx.load_from_string(path.read_bytes())
        for prop in model.metadata_props:
            if prop.key == "layout":
                prop.value = layout
            if prop.key == sealing_entry()[0]:
                prop.value = sealing_entry()[1]
        path.write_bytes(seal(model.SerializeToString()))
    else:
        write(path, **changed)
    with pytest.raises(ValueError, match="no network that skimb can run"):
        OnnxModel(path)


def test_a_foreign_file_and_a_missing_one_are_refused(tmp_path):
    foreign = tmp_path / "a.onnx"
    foreign.write_text("some text")
    with pytest.raises(ValueError, match="export_onnx"):
        OnnxModel(foreign)
    with pytest.raises(FileNotFoundError):
        OnnxModel(tmp_path / "b.onnx")


def test_a_file_runs_without_torch(tmp_path):
    path = write(tmp_path / "a.onnx")
    code = (
        "import sys, numpy as np; from skimb._onnx_models import OnnxModel\n"
        f"OnnxModel({str(path)!r}).predict(np.zeros((1, 2, 3), np.uint8))\n"
        "assert 'torch' not in sys.modules and 'onnx' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_onnxruntime_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r"skimb\[onnx\]"):
        OnnxModel(write(tmp_path / "a.onnx"))
