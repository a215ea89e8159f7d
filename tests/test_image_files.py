"""Image files: every kind is read right, and every broken one is named."""

import warnings
from pathlib import Path

import imblearn.combine
import imblearn.over_sampling
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import StratifiedKFold

from skimb._image_files import ImageFiles
from skimb.class_weight import class_counts
from skimb.datasets import load_image_folder, read_images
from skimb.neural_network import CNNClassifier, DecoupledClassifier
from skimb.over_sampling import SMOTE, RandomOverSampler
from skimb.under_sampling import RandomUnderSampler


@pytest.fixture
def picture():
    """Four flat quarters: red, green over blue, white; survives resizing and JPEG."""
    pixels = np.zeros((16, 24, 3), np.uint8)
    pixels[:8, :12] = 255, 0, 0
    pixels[:8, 12:] = 0, 255, 0
    pixels[8:, :12] = 0, 0, 255
    pixels[8:, 12:] = 255, 255, 255
    return Image.fromarray(pixels)


CORNERS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]])


def corners(image):
    return image[[2, -3]][:, [2, -3]].astype(int)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "CMYK"])
@pytest.mark.parametrize("image_shape", [None, (3, 16, 24), (3, 40, 60)])
def test_colour_modes(mode, image_shape, picture, tmp_path):
    path = tmp_path / ("image.tif" if mode == "CMYK" else "image.png")
    picture.convert(mode).save(path)
    (image,) = read_images([path], image_shape=image_shape)
    assert image.dtype == np.uint8
    assert image.shape == (
        *(image_shape or (0, 16, 24))[1:],
        4 if mode == "RGBA" and not image_shape else 3,
    )
    np.testing.assert_allclose(corners(image)[..., :3], CORNERS, atol=12)


def test_transparency_in_a_palette(picture, tmp_path):
    picture.quantize(8).save(tmp_path / "image.png", transparency=0)
    assert read_images([tmp_path / "image.png"]).shape == (1, 16, 24, 4)


@pytest.mark.parametrize(
    ("dtype", "value", "expected"),
    [
        (np.uint8, 130, 130),
        (np.uint16, 130 * 256 + 7, 130),
        (np.int32, 130 * 256 + 7, 130),
        (np.int32, 130, 130),
        (np.float32, 130.0, 130),
        (np.float32, 0.5, 127),
    ],
)
def test_grey_of_any_depth(dtype, value, expected, tmp_path):
    Image.fromarray(np.full((6, 5), value, dtype)).save(tmp_path / "grey.tif")
    images = read_images([tmp_path / "grey.tif"])
    assert images.shape == (1, 6, 5, 1)
    assert set(images.ravel()) == {expected}


def test_bilevel_images(tmp_path):
    Image.new("1", (6, 5), 1).save(tmp_path / "fax.png")
    assert set(read_images([tmp_path / "fax.png"]).ravel()) == {255}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_rotations_noted_by_a_camera(orientation, picture, tmp_path):
    """A picture stored rotated, with the note that says so, is read upright."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = picture if orientation == 1 else picture.transpose(undo[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "photo.jpg", quality=95, exif=exif, subsampling=0)
    (image,) = read_images([tmp_path / "photo.jpg"])
    assert image.shape == (16, 24, 3)
    np.testing.assert_allclose(corners(image), CORNERS, atol=40)


def test_a_large_jpeg_is_shrunk_well(picture, tmp_path):
    picture.resize((2400, 1600), Image.Resampling.NEAREST).save(tmp_path / "large.jpg")
    (image,) = read_images([tmp_path / "large.jpg"], image_shape=(3, 16, 24))
    np.testing.assert_allclose(corners(image), CORNERS, atol=12)


def test_grey_and_colour_together_become_colour(picture, tmp_path):
    picture.save(tmp_path / "a.png")
    picture.convert("L").save(tmp_path / "b.png")
    assert read_images([tmp_path / "a.png", tmp_path / "b.png"]).shape == (2, 16, 24, 3)


def test_sizes_that_differ_name_the_first(picture, tmp_path):
    picture.save(tmp_path / "a.png")
    picture.save(tmp_path / "b.png")
    picture.resize((5, 9)).save(tmp_path / "c.png")
    with pytest.raises(ValueError, match=r"a\.png is 24x16, .*c\.png is 5x9"):
        read_images([tmp_path / f"{name}.png" for name in "abc"])


@pytest.fixture
def broken(picture, tmp_path):
    """One good file, and one of every broken kind, with a word of what is said of each."""
    picture.resize((200, 200)).save(tmp_path / "good.jpg")
    whole = (tmp_path / "good.jpg").read_bytes()
    (tmp_path / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.jpg").write_text("no image at all")
    (tmp_path / "empty.jpg").touch()
    Image.new("1", (20000, 20000)).save(tmp_path / "bomb.png")
    said = {
        "truncated.jpg": "broken",
        "text.jpg": "not an image",
        "empty.jpg": "empty file",
        "bomb.png": "decompression bomb",
        "missing.jpg": "no such file",
    }
    return tmp_path, said


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_every_broken_file_is_named(n_jobs, broken):
    folder, said = broken
    paths = [folder / name for name in ["good.jpg", *said]]
    with pytest.raises(ValueError, match="5 of 6 files cannot be read as images") as error:
        read_images(paths, image_shape=(3, 8, 8), n_jobs=n_jobs)
    for name, word in said.items():
        assert f"{name} ({word}" in str(error.value).replace("too many pixels, maybe a ", "")
    assert "good.jpg" not in str(error.value)
    assert "\n" not in str(error.value)


def test_threads_leave_the_warning_filters_as_they_were(broken):
    folder, said = broken
    before = list(warnings.filters)
    paths = [folder / name for name in ["good.jpg", *said]] * 20
    with pytest.raises(ValueError, match="100 of 120 files"):
        read_images(paths, image_shape=(3, 8, 8), n_jobs=4)
    assert list(warnings.filters) == before


def test_ten_are_named_and_the_rest_counted(tmp_path):
    with pytest.raises(ValueError, match=r"13 of 13 .*9\.png .*; and 3 more\. Mend") as error:
        read_images([tmp_path / f"{i}.png" for i in range(13)], image_shape=(1, 8, 8))
    assert str(error.value).count("no such file") == 10


@pytest.mark.parametrize("image_shape", [(3, 8), (2, 8, 8), (3, 0, 8)])
def test_shapes_that_cannot_be(image_shape, tmp_path):
    with pytest.raises(ValueError, match="`image_shape` must be"):
        read_images([tmp_path / "a.png"], image_shape=image_shape)
    with pytest.raises(ValueError, match="no path"):
        read_images([])


# ------------------------------------------------------------------------- folders


@pytest.fixture
def folder(picture, tmp_path):
    root = tmp_path / "Bilder für später"
    for label, n in {"kätzchen 猫": 4, "dog": 12}.items():
        (root / label / "deep er").mkdir(parents=True)
        for i in range(n):
            inner = root / label / ("deep er" if i % 2 else "")
            picture.convert("L").save(inner / f"№ {i}.PNG", format="PNG")
    (root / "dog" / "notes.txt").write_text("no image")
    (root / "dog" / ".hidden.png").touch()
    (root / ".git").mkdir()
    (root / "README.md").touch()
    return root


def test_one_sub_folder_a_class(folder):
    images = load_image_folder(folder)
    assert images.target_names == ["dog", "kätzchen 猫"]
    assert (images.target == "dog").sum() == 12
    assert len(images.paths) == len(images.target) == 16
    assert all(label in path for path, label in zip(images.paths, images.target, strict=True))
    pixels = read_images(images.paths, n_jobs=2)
    assert pixels.shape == (16, 16, 24, 1)
    CNNClassifier(max_epochs=1, random_state=0).fit(pixels, images.target).predict(pixels)


def test_folders_that_are_none(folder, tmp_path):
    with pytest.raises(ValueError, match="not there"):
        load_image_folder(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="a file"):
        load_image_folder(folder / "README.md")
    with pytest.raises(ValueError, match="at least two"):
        load_image_folder(folder / "dog")
    (folder / "bird").mkdir()
    with pytest.raises(ValueError, match=r"hold no image: \['bird'\]"):
        load_image_folder(folder)


# ------------------------------------------------------------------------- the estimator


def containers(paths):
    yield paths
    yield list(paths)
    yield [Path(path) for path in paths]
    yield pd.Series(paths)
    yield pd.DataFrame({"file": paths})


def test_paths_train_the_same_network_as_the_images(folder):
    images = load_image_folder(folder)
    clf = CNNClassifier(max_epochs=2, batch_size=4, random_state=0)
    expected = clone(clf).fit(read_images(images.paths), images.target)
    proba = expected.predict_proba(read_images(images.paths))
    for paths in containers(images.paths):
        fitted = clone(clf).fit(paths, images.target)
        np.testing.assert_array_equal(fitted.predict_proba(paths), proba)
        assert fitted.n_features_in_ == 1
        assert fitted.image_shape_ == expected.image_shape_
    workers = clone(clf).set_params(num_workers=2).fit(images.paths, images.target)
    np.testing.assert_array_equal(workers.predict_proba(images.paths), proba)
    np.testing.assert_array_equal(
        workers.embed(images.paths[:1]), expected.embed(read_images(images.paths[:1]))
    )


def test_two_stages_check_files_once(folder, monkeypatch):
    images = load_image_folder(folder)
    n_checked, checked = [], ImageFiles.checked

    def counted(paths, image_shape=None):
        n_checked.append(len(paths))
        return checked(paths, image_shape)

    monkeypatch.setattr(ImageFiles, "checked", counted)
    clf = DecoupledClassifier(CNNClassifier(max_epochs=1, image_shape=(3, 8, 8)), random_state=0)
    clf.fit(images.paths, images.target)
    assert clf.image_shape_ == (3, 8, 8)
    assert clf.n_features_in_ == clf.estimator_.n_features_in_ == 1
    proba = clf.predict_proba(images.paths)
    assert n_checked == [16, 16]
    pixels = read_images(images.paths, image_shape=(3, 8, 8))
    np.testing.assert_array_equal(clf.fit(pixels, images.target).predict_proba(pixels), proba)
    # A frozen network says what size files are resized to.
    frozen = DecoupledClassifier(FrozenEstimator(clf.estimator_)).fit(images.paths, images.target)
    assert frozen.image_shape_ == (3, 8, 8)


def test_paths_are_resized_to_the_shape_that_is_asked_for(folder, picture):
    images = load_image_folder(folder)
    picture.resize((99, 77)).save(images.paths[0])
    with pytest.raises(ValueError, match="Images differ in size"):
        CNNClassifier().fit(images.paths, images.target)
    clf = CNNClassifier(image_shape=(3, 9, 11), max_epochs=1).fit(images.paths, images.target)
    assert clf.image_shape_ == (3, 9, 11)
    assert clf.predict(images.paths).shape == (16,)


def test_broken_files_are_named_before_training(broken):
    folder, said = broken
    paths = [str(folder / name) for name in ["good.jpg", "good.jpg", *said]]
    clf = CNNClassifier(image_shape=(3, 8, 8), loss=lambda z, y: pytest.fail("it trained"))
    with pytest.raises(ValueError, match="5 of 7 files cannot be read"):
        clf.fit(paths, [0, 1, 0, 1, 0, 1, 0])


@pytest.mark.parametrize(
    "sampler",
    [RandomOverSampler(), RandomUnderSampler(), imblearn.over_sampling.RandomOverSampler()],
)
def test_selectors_and_splitters_open_no_file(sampler, folder, monkeypatch):
    images = load_image_folder(folder)
    train, _ = next(StratifiedKFold(2).split(images.paths, images.target))
    if not isinstance(sampler, imblearn.over_sampling.RandomOverSampler):
        monkeypatch.setattr(Image, "open", lambda path: pytest.fail("a file was opened"))
        for paths in (
            images.paths[train],
            list(images.paths[train]),
            pd.Series(images.paths[train]),
        ):
            chosen, labels = sampler.fit_resample(paths, images.target[train])
            assert type(chosen) is type(paths)
            assert set(chosen) <= set(paths)
            assert len(set(class_counts(labels).values())) == 1
        monkeypatch.undo()
    clf = CNNClassifier(sampler=sampler, max_epochs=1).fit(images.paths, images.target)
    np.testing.assert_allclose(clf.effective_prior_, 0.5)


def test_equal_paths_stay_on_one_side_of_the_validation_split(folder):
    images = load_image_folder(folder)
    again = np.r_[np.arange(16), np.flatnonzero(images.target != "dog"), np.arange(4)]
    clf = CNNClassifier(early_stopping=True, validation_fraction=0.3, max_epochs=1)
    paths, target = images.paths[again], images.target[again]
    held = clf.fit(paths, target).validation_indices_
    assert not set(paths[held]) & set(np.delete(paths, held))


def test_what_makes_images_refuses_paths_with_the_mend(folder):
    images = load_image_folder(folder)
    with pytest.raises(ValueError, match=r"read_images\(paths, image_shape=\.\.\.\)"):
        SMOTE().fit_resample(images.paths, images.target)
    with pytest.raises(ValueError, match=r"read_images\(paths, image_shape=\.\.\.\)"):
        CNNClassifier(sampler=SMOTE()).fit(images.paths, images.target)
    with pytest.raises(ValueError, match=r"read_images\(paths, image_shape=\.\.\.\)"):
        CNNClassifier(sampler=imblearn.combine.SMOTEENN()).fit(images.paths, images.target)


def test_paths_and_labels_of_other_lengths(folder):
    images = load_image_folder(folder)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        CNNClassifier().fit(images.paths, images.target[1:])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        RandomOverSampler().fit_resample(images.paths, images.target[1:])
