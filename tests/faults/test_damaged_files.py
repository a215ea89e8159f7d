"""Files of models that are damaged, or made to harm: always an error that says what is wrong."""

import copy
import json
import os
import resource
import struct
import sys
import time
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skimb._archives import read_archive, write_archive
from skimb.losses import BalancedMSELoss
from skimb.neural_network import (
    CNNClassifier,
    CNNEmbedder,
    CNNRegressor,
    DecoupledClassifier,
    load,
    read_metadata,
    save,
)

X = np.random.RandomState(0).rand(30, 4, 4).astype(np.float32)
Y = np.arange(30) % 5 // 3
QUICK: dict[str, Any] = {"max_epochs": 1, "batch_size": 15, "random_state": 0}


def classifier():
    return CNNClassifier("linear", loss="ldam", class_weight="balanced", **QUICK).fit(X, Y)


def models():
    """Return fitted models whose files hold objects of all kinds."""
    network = CNNClassifier("simple_cnn", augmentation="flip_crop", **QUICK)
    regressor = CNNRegressor("linear", loss=BalancedMSELoss(form="binned"), **QUICK)
    return {
        "classifier": classifier(),
        "regressor": regressor.fit(X, X.mean((1, 2))),
        "decoupled": DecoupledClassifier(
            network, head="learnable_scales", max_epochs=1, random_state=0
        ).fit(X, Y),
        "pipeline": make_pipeline(CNNEmbedder(network), StandardScaler(), LogisticRegression()).fit(
            X, Y
        ),
    }


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return the path of a file for each kind of model."""
    folder = tmp_path_factory.mktemp("models")
    paths = {}
    for name, model in models().items():
        paths[name] = folder / name
        save(model, paths[name], metadata={"a": 1})
    return paths


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.skimb"


def load_or_error(path):
    """Return a model, or the text of a ValueError."""
    with warnings.catch_warnings():
        # A version of scikit-learn that was changed.
        warnings.simplefilter("ignore", InconsistentVersionWarning)
        try:
            return load(path)
        except ValueError as exc:
            return str(exc)


def outcome(path):
    """Return None for a ValueError that names the file, otherwise the model."""
    model = load_or_error(path)
    if isinstance(model, str):
        assert str(path) in model
        assert len(model) > len(str(path)) + 20
        return None
    # A model that loads also predicts.
    model.predict(X)
    return model


def places(node, found=()):
    """Yield the way to every node of some JSON."""
    yield found
    if isinstance(node, dict):
        for key, part in node.items():
            yield from places(part, (*found, key))
    elif isinstance(node, list):
        for i, part in enumerate(node):
            yield from places(part, (*found, i))


def at(document, way):
    for key in way:
        document = document[key]
    return document


def changed(document, way, change):
    """Return a copy of a document in which a function has changed the parent of a place."""
    document = copy.deepcopy(document)
    change(at(document, way[:-1]), way[-1])
    return document


# ------------------------------------------------------------------------ damage


def test_truncation_is_told_at_every_length(files, path):
    whole = files["classifier"].read_bytes()
    step = max(1, len(whole) // 300)
    for length in (*range(0, len(whole), step), len(whole) - 1):
        path.write_bytes(whole[:length])
        assert outcome(path) is None
        with pytest.raises(ValueError, match="damaged"):
            read_metadata(path)
    path.write_bytes(whole + b"more")
    assert outcome(path) is None


def test_flipped_bits_are_told_everywhere(files, path):
    whole = files["classifier"].read_bytes()
    (n_header,) = struct.unpack("<Q", whole[:8])
    rng = np.random.RandomState(0)
    # All of the frame, and a sample of the JSON and of the numbers.
    chosen = {*range(8), *rng.randint(8, 8 + n_header, 400)}
    chosen |= {*rng.randint(8 + n_header, len(whole), 100)}
    for place in sorted(chosen):
        data = bytearray(whole)
        data[place] ^= 1 << rng.randint(8)
        path.write_bytes(data)
        if outcome(path) is not None:
            # Only space between entries of the header is no content.
            assert read_archive(path, "model")[0] == read_archive(files["classifier"], "model")[0]


def test_other_files_and_versions_are_refused(files, path, tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError):
        load(path)
    path.write_bytes(b"")
    assert outcome(path) is None
    path.write_text("{}")
    assert outcome(path) is None
    document, arrays = read_archive(files["classifier"], "model")
    write_archive(path, "checkpoint", document, arrays)
    with pytest.raises(ValueError, match="skimb model file is wanted"):
        load(path)
    monkeypatch.setattr("skimb._archives.VERSION", 99)
    write_archive(path, "model", document, arrays)
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"later version of skimb .*Update skimb"):
        load(path)
    with pytest.raises(ValueError, match="no regular file"):
        load(tmp_path)


def test_links(files, path, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(files["classifier"])
    assert outcome(link) is not None
    link.unlink()
    link.symlink_to(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError):
        load(link)
    link.unlink()
    link.symlink_to(tmp_path / "other")
    (tmp_path / "other").symlink_to(link)
    with pytest.raises((OSError, ValueError)):
        load(link)
    # Written through a link, the file that it points to is replaced, and the link stays.
    path.write_bytes(b"old")
    link.unlink()
    link.symlink_to(path)
    save(classifier(), link)
    assert link.is_symlink()
    assert outcome(path) is not None


# ------------------------------------------- changed content with a checksum that fits


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ["classifier", "regressor", "decoupled", "pipeline"])
def test_missing_entries_are_told(name, files, path):
    document, arrays = read_archive(files[name], "model")
    ways = [way for way in places(document) if way and isinstance(at(document, way[:-1]), dict)]
    rng = np.random.RandomState(0)
    accepted = []
    for i in rng.permutation(len(ways))[:150]:
        way = ways[i]
        write_archive(
            path, "model", changed(document, way, lambda node, key: node.pop(key)), arrays
        )
        if outcome(path) is not None:
            accepted.append(way)
    # No entry may be missing without a word.
    assert not accepted


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ["classifier", "regressor", "decoupled", "pipeline"])
@pytest.mark.parametrize(
    "value", [None, "x", -1, 10**30, [], {}, {"special": "same", "content": 0}, 1.5, {"array": "x"}]
)
def test_other_values_are_told_or_are_values_of_the_model(name, value, files, path):
    document, arrays = read_archive(files[name], "model")
    ways = [way for way in places(document) if way and way[0] != "metadata"]
    rng = np.random.RandomState(0)

    def change(node, key):
        node[key] = copy.deepcopy(value)

    for i in rng.permutation(len(ways))[:40]:
        write_archive(path, "model", changed(document, ways[i], change), arrays)
        began = time.perf_counter()
        model = load_or_error(path)
        if isinstance(model, str):
            assert str(path) in model
        elif name != "pipeline":
            # A value that the model may have; or X does not fit it.
            with suppress(ValueError):
                model.predict(X)
        assert time.perf_counter() - began < 20


def test_added_entries_are_told(files, path):
    document, arrays = read_archive(files["pipeline"], "model")
    ways = [
        way
        for way in places(document)
        if isinstance(at(document, way), dict) and "metadata" not in way
    ]
    rng = np.random.RandomState(0)
    for i in rng.permutation(len(ways))[:100]:
        more = copy.deepcopy(document)
        at(more, ways[i])["added"] = 1
        write_archive(path, "model", more, arrays)
        assert outcome(path) is None, ways[i]


@pytest.mark.parametrize(
    "name",
    [
        "os:system",
        "posix:system",
        "builtins:eval",
        "subprocess:Popen",
        "sklearn.utils:os",
        "sklearn.base:clone",
        "sklearn.datasets._base:load_files",
        "sklearn.utils._bunch:dict",
        "sklearn.pipeline:np",
        "sklearn.base:BaseEstimator.__init__",
        "sklearn.svm._classes:SVC",
        "sklearn.tree._classes:DecisionTreeClassifier",
        "skimb.__main__:main",
        "skimb.study:os",
        "skimb._process:exclusive",
        "sklearn..preprocessing:StandardScaler",
        "../sklearn:StandardScaler",
        "sklearn.preprocessing:StandardScaler",
        "StandardScaler",
        "",
        3,
        None,
    ],
    ids=str,
)
def test_foreign_classes_are_not_made(name, files, path):
    document, arrays = read_archive(files["pipeline"], "model")
    text = json.dumps(document)
    scaler = json.dumps("sklearn.preprocessing._data:StandardScaler")
    assert scaler in text
    write_archive(path, "model", json.loads(text.replace(scaler, json.dumps(name))), arrays)
    assert outcome(path) is None


def test_no_module_outside_the_packages_is_imported(files, path, tmp_path, monkeypatch):
    (tmp_path / "evil.py").write_text("open('ran', 'w')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    document, arrays = read_archive(files["pipeline"], "model")
    text = json.dumps(document).replace("sklearn.preprocessing._data:", "evil:")
    write_archive(path, "model", json.loads(text), arrays)
    assert outcome(path) is None
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "name",
    [
        "transform",
        "__class__",
        "__reduce__",
        "_parameter_constraints",
        "a b",
        "a.b",
        "../x",
        "",
        "get_params",
        "_repr_html_",
    ],
)
def test_attributes_that_would_replace_methods_are_refused(name, files, path):
    document, arrays = read_archive(files["pipeline"], "model")
    for way in places(document):
        node = at(document, way)
        if isinstance(node, dict) and node.get("class", "").endswith("StandardScaler"):
            node["state"][name] = 1
            node["n_attributes"] += 1
    write_archive(path, "model", document, arrays)
    with pytest.raises(ValueError, match="that a file may set"):
        load(path)


def test_a_cache_that_was_written_into_a_file_is_refused(files, path, tmp_path):
    document, arrays = read_archive(files["pipeline"], "model")
    text = json.dumps(document)
    for name in ("memory", "cache"):
        assert f'"{name}": null' in text
        text = text.replace(f'"{name}": null', f'"{name}": "{tmp_path}/cache"')
    write_archive(path, "model", json.loads(text), arrays)
    with pytest.raises(ValueError, match=r"names a path.*(memory|cache)"):
        load(path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda values: values[:-1], "is of shape"),
        (lambda values: values.astype(np.float64), "as float64"),
        (lambda values: values.reshape(values.shape[::-1]), "is of shape"),
        (lambda values: np.zeros((0, 2), np.float32), "is of shape"),
        (lambda values: np.zeros(10**7, np.float32), "is of shape"),
    ],
    ids=["rows", "type", "transposed", "empty", "huge"],
)
def test_tensors_of_another_shape_or_type_are_refused(change, reason, files, path):
    document, arrays = read_archive(files["decoupled"], "model")
    names = [name for name in arrays if name.endswith("convolutions.0.weight")]
    assert names
    for name in names:
        arrays[name] = np.ascontiguousarray(change(arrays[name]))
    write_archive(path, "model", document, arrays)
    with pytest.raises(ValueError, match=reason):
        load(path)


def test_missing_and_additional_tensors_are_refused(files, path):
    document, arrays = read_archive(files["decoupled"], "model")
    for name in arrays:
        fewer = {key: values for key, values in arrays.items() if key != name}
        write_archive(path, "model", document, fewer)
        with pytest.raises(ValueError, match="lacks the array"):
            load(path)
    write_archive(path, "model", document, {**arrays, "../../etc/passwd": np.zeros(3)})
    with pytest.raises(ValueError, match=r"belong to nothing, '\.\./\.\./etc"):
        load(path)


@pytest.mark.parametrize(
    "shape", [(1, 10**6, 10**6), (1, 0, 4), (1, -4, 4), (1, 4), (1, 4, "4"), (1, 2.0, 8)]
)
def test_image_shapes_that_cannot_be_are_refused(shape, files, path):
    document, arrays = read_archive(files["classifier"], "model")
    text = json.dumps(document).replace("[1, 4, 4]", json.dumps(list(shape)))
    write_archive(path, "model", json.loads(text), arrays)
    began = time.perf_counter()
    assert outcome(path) is None
    assert time.perf_counter() - began < 5


# ------------------------------------------------------- small files that ask for much


def change_entry(node, name, value):
    """Set all entries of a name in dicts, and return how many there were."""
    n_set = 0
    if isinstance(node, dict):
        for pair in node.get("dict", []):
            if pair[0] == name:
                pair[1] = value
                n_set += 1
        if name in node:
            node[name] = value
            n_set += 1
        for part in node.values():
            n_set += change_entry(part, name, value)
    elif isinstance(node, list):
        for part in node:
            n_set += change_entry(part, name, value)
    return n_set


@contextmanager
def little_memory(n_bytes=2**28):
    """Let allocations fail that are larger than this."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize(
    ("entry", "value", "reason"),
    [
        ("image_shape_", {"tuple": [1, 8192, 8192]}, "is of shape"),
        ("module", {"special": "class", "content": "torch.nn.modules.linear:Bilinear"}, "names to"),
        ("module", {"special": "class", "content": "skimb._networks._vgg:VGG"}, "cannot|fit|image"),
        ("module_params", {"dict": [["width", 10**9]]}, "do not fit"),
        ("module_params", {"dict": [["image_shape", {"tuple": [1, 9000, 9000]}]]}, "shape"),
        (
            "module_params",
            {"dict": [["head", {"special": "class", "content": "torch.nn.modules.linear:Linear"}]]},
            "no CosineLinear layer",
        ),
    ],
)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits memory as Linux does")
def test_networks_are_not_built_before_their_tensors_were_compared(
    entry, value, reason, files, path
):
    document, arrays = read_archive(files["classifier"], "model")
    assert change_entry(document["model"], entry, value)
    write_archive(path, "model", document, arrays)
    with little_memory(), pytest.raises(ValueError, match=reason):
        load(path)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits memory as Linux does")
def test_an_array_that_is_named_often_does_not_fill_the_memory(files, path):
    document, arrays = read_archive(files["classifier"], "model")
    arrays["often"] = np.zeros(2**20, np.float32)
    tensor = {
        "special": "tensor",
        "content": {"values": {"array": "often"}, "type": "float32"},
    }
    document["model"]["content"]["state"]["optimizer_params"] = {"dict": [["x", [tensor] * 500]]}
    write_archive(path, "model", document, arrays)
    with little_memory(2**29):
        model = load(path)
    first, second, *_, last = model.optimizer_params["x"]
    assert first.data_ptr() != second.data_ptr()
    assert torch.equal(first, last)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits memory as Linux does")
def test_metadata_of_a_huge_type_are_refused(files, path):
    document, arrays = read_archive(files["classifier"], "model")
    node = {"values": ["x"] * 3, "shape": [3], "dtype": "<U90000000"}
    document["metadata"] = {"dict": [["a", node]]}
    write_archive(path, "model", document, arrays)
    with little_memory(), pytest.raises(ValueError, match="3 texts of the type"):
        read_metadata(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_workers", -1),
        ("num_workers", 10**9),
        ("num_workers", 1.5),
        ("batch_size", "x"),
        ("batch_size", 0),
        ("batch_size", None),
        ("max_epochs", -1),
        ("lr", "fast"),
        ("lr", {"float": "nan"}),
        ("seed", -1),
        ("verbose", "x"),
        ("multiply_adds", None),
    ],
    ids=str,
)
def test_settings_of_the_net_that_cannot_be_are_refused(name, value, files, path):
    document, arrays = read_archive(files["classifier"], "model")
    settings = dict(document["model"]["content"]["net"]["net"]["dict"])["settings"]
    assert change_entry(settings, name, value) == 1
    write_archive(path, "model", document, arrays)
    with pytest.raises(ValueError, match=f"{name}=.* as a setting of the net"):
        load(path)


def test_no_more_processes_are_started_than_there_are_processors(files, path):
    document, arrays = read_archive(files["classifier"], "model")
    settings = dict(document["model"]["content"]["net"]["net"]["dict"])["settings"]
    assert change_entry(settings, "num_workers", 1000)
    write_archive(path, "model", document, arrays)
    assert load(path).net_.num_workers == os.cpu_count()


def test_json_that_is_nested_too_deeply_is_refused(files, path):
    document, arrays = read_archive(files["classifier"], "model")
    deep = []
    for _ in range(900):
        deep = [deep]
    for entry in ("model", "metadata"):
        write_archive(path, "model", {**document, entry: deep}, arrays)
        assert outcome(path) is None


def test_loading_leaves_the_state_of_the_process_alone(files):
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    np.random.seed(0)
    expected = np.random.RandomState(0).rand()
    for path in files.values():
        with torch.inference_mode():
            model = load(path)
        model.predict(X)
        if hasattr(model, "net_"):
            model.net_.partial_fit(X, model.predict(X))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert np.random.rand() == expected


def test_a_failed_save_leaves_the_old_file_and_no_other(files, path, monkeypatch):
    path.write_bytes(files["classifier"].read_bytes())

    def full(arrays, name, metadata):
        name.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("skimb._archives.save_file", full)
    with pytest.raises(OSError, match="No space left"):
        save(classifier(), path)
    assert outcome(path) is not None
    assert os.listdir(path.parent) == [path.name]


def test_a_folder_that_does_not_exist_is_told(tmp_path):
    with pytest.raises(OSError, match="does not exist"):
        save(classifier(), tmp_path / "none" / "model")
    with pytest.raises(OSError, match="it is a folder"):
        save(classifier(), tmp_path)


# ------------------------------------------------------------- columns beside the images


@pytest.fixture(scope="module")
def table_file(tmp_path_factory):
    """Return the file of a classifier of frames, and its frame."""
    frame = pd.DataFrame(
        {
            "area": np.where(np.arange(30) % 7, np.arange(30.0), np.nan),
            "photo": list(X),
            "roof": np.where(np.arange(30) % 3, "flat", "gable"),
            "floors": np.arange(30) % 4,
            "zone": np.array(["a", "b", "c"], dtype=object)[np.arange(30) % 3],
        }
    )
    clf = CNNClassifier("linear", image_column="photo", **QUICK).fit(frame, Y)
    path = tmp_path_factory.mktemp("tables") / "model.skimb"
    save(clf, path)
    return path, frame


def encoder_entries(document):
    """Return the state of the encoder of a file."""
    found = [
        at(document, way)
        for way in places(document)
        if way and way[-1] == "state" and "kinds_" in at(document, way)
    ]
    (state,) = found
    return state


def pairs(state, name):
    """Return the pairs of a dict among the attributes of an encoder."""
    return state[name]["dict"]


def reordered(state):
    pairs(state, "kinds_").reverse()


def of_one_name(name, key, value):
    """Return a change of an entry of a dict of the encoder, or of a new one."""

    def change(state):
        others = [pair for pair in pairs(state, name) if pair[0] != key]
        places = [pair[0] for pair in pairs(state, name)]
        at_place = places.index(key) if key in places else len(others)
        state[name]["dict"] = [*others[:at_place], [key, value], *others[at_place:]]

    return change


def to(name, value):
    def change(state):
        state[name] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        reordered,
        to("kinds_", ["numeric"]),
        to("kinds_", None),
        lambda state: pairs(state, "kinds_").pop(),
        of_one_name("kinds_", "area", "text"),
        of_one_name("kinds_", "area", ["numeric"]),
        of_one_name("kinds_", "area", "categorical"),
        to("means_", {"dict": [["q", 1.0]]}),
        to("means_", 3),
        of_one_name("means_", "area", "x"),
        of_one_name("means_", "area", {"float": "nan"}),
        of_one_name("scales_", "area", 0.0),
        of_one_name("scales_", "area", -1.0),
        of_one_name("scales_", "area", {"float": "nan"}),
        of_one_name("scales_", "area", {"float": "inf"}),
        of_one_name("scales_", "area", [1.0] * 30),
        of_one_name("scales_", "roof", 1.0),
        to("with_indicator_", ["area", "area"]),
        to("with_indicator_", ["nothing"]),
        to("with_indicator_", ["roof"]),
        to("with_indicator_", "area"),
        lambda state: pairs(state, "categories_").reverse(),
        to("categories_", []),
        of_one_name("categories_", "roof", "fg"),
        of_one_name("categories_", "roof", ["flat", "flat"]),
        of_one_name("categories_", "roof", ["flat"]),
        of_one_name("categories_", "roof", ["flat", ["gable"]]),
        of_one_name("categories_", "roof", ["flat", {"float": "nan"}]),
        of_one_name("categories_", "area", ["a", "b"]),
    ],
    ids=lambda change: None,
)
def test_encodings_of_columns_that_cannot_be_are_refused(change, table_file, path):
    document, arrays = read_archive(table_file[0], "model")
    change(encoder_entries(document))
    write_archive(path, "model", document, arrays)
    with pytest.raises(ValueError, match=r"(?s)model\.skimb cannot be loaded\. The file"):
        load(path)


@pytest.mark.parametrize(
    "name", ["kinds_", "means_", "scales_", "with_indicator_", "categories_", "all"]
)
def test_parts_of_the_encoding_of_columns_that_are_missing_are_told(name, table_file, path):
    document, arrays = read_archive(table_file[0], "model")
    for way in places(document):
        node = at(document, way)
        if isinstance(node, dict) and "kinds_" in (node.get("state") or ()):
            for each in list(node["state"]) if name == "all" else [name]:
                node["state"].pop(each)
                node["n_attributes"] -= 1
    write_archive(path, "model", document, arrays)
    with pytest.raises(ValueError, match="lacks"):
        load(path)


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("_image_column", None),
        ("_image_column", "area"),
        ("_image_column", "nothing"),
        ("_image_column", ["photo", "photo"]),
        ("_image_column", 3),
        ("feature_names_in_", None),
        ("table_encoder_", None),
        ("table_encoder_", {"dict": []}),
    ],
)
def test_columns_of_images_that_do_not_fit_the_encoding_are_refused(entry, value, table_file, path):
    document, arrays = read_archive(table_file[0], "model")
    document["model"]["content"]["state"][entry] = value
    write_archive(path, "model", document, arrays)
    with pytest.raises(ValueError, match=r"model\.skimb cannot be loaded"):
        load(path)


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("table_depth", 20_000),
        ("table_depth", 10**7),
        ("table_depth", 0),
        ("table_width", 10**9),
        ("table_width", 10**30),
        ("table_embedding", 10**9),
        ("table_embedding", 10**30),
        ("table_dropout", 0.5),
        ("table_depth", 10**30),
    ],
)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits memory as Linux does")
def test_sizes_of_the_part_of_the_columns_are_compared_before_it_is_built(
    entry, value, table_file, path
):
    document, arrays = read_archive(table_file[0], "model")
    assert change_entry(document["model"], entry, value)
    write_archive(path, "model", document, arrays)
    began = time.perf_counter()
    with little_memory():
        if entry == "table_dropout":
            # It acts in a training alone, and a single layer has the same name with it.
            load(path)
        else:
            with pytest.raises(ValueError, match=f"columns: `{entry}`={value} are not"):
                load(path)
    assert time.perf_counter() - began < 2


def test_many_categories_that_have_no_tensors_are_refused_at_once(table_file, path):
    document, arrays = read_archive(table_file[0], "model")
    levels = [str(i) for i in range(10_000)]
    of_one_name("categories_", "roof", levels)(encoder_entries(document))
    write_archive(path, "model", document, arrays)
    with pytest.raises(ValueError, match="does not fit the network of the columns"):
        load(path)


def test_a_file_of_columns_predicts_as_before(table_file):
    path, frame = table_file
    assert load(path).predict_proba(frame).shape == (30, 2)
