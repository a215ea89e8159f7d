"""Image files: every kind is read right, and every broken one is named."""

import errno
import os
import shutil
import struct
import threading
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import imblearn.combine
import imblearn.over_sampling
import numpy as np
import pandas as pd
import pytest
import torch
from joblib import parallel_config
from PIL import Image
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import StratifiedKFold

from skimb import _image_files as image_files
from skimb._groups import sample_groups
from skimb._image_files import ImageFiles, as_paths
from skimb._networks import unit_scale
from skimb.class_weight import class_counts
from skimb.datasets import load_image_folder, load_imbalanced_digits, read_images
from skimb.neural_network import CNNClassifier, CNNEmbedder, CNNRegressor, DecoupledClassifier
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


DEEP = {
    "12 bits in 16": np.arange(200, dtype=np.uint16).repeat(30).reshape(200, 6, 5) * 16 + 3,
    "10 bits in 16": np.random.RandomState(0).randint(0, 1024, (9, 6, 5)).astype(np.uint16),
    "16 bits": np.random.RandomState(0).randint(0, 65536, (9, 6, 5)).astype(np.uint16),
    "signed": np.random.RandomState(0).randint(-1000, 3001, (9, 6, 5)).astype(np.int32),
    "small integers": np.full((2, 6, 5), [[[200]], [[300]]], dtype=np.int32),
    "unit": np.random.RandomState(0).rand(9, 6, 5).astype(np.float32) * 1.02,
    "float": np.random.RandomState(0).normal(size=(9, 6, 5)).astype(np.float32) * 1e5,
}


def save_all(images, folder, ending=".tif", **kwargs):
    folder.mkdir(exist_ok=True)
    paths = [str(folder / f"{i:03}{ending}") for i in range(len(images))]
    for image, path in zip(images, paths, strict=True):
        Image.fromarray(image).save(path, **kwargs)
    return paths


@pytest.mark.parametrize("kind", DEEP)
@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_deep_pixels_keep_their_values(kind, compression, tmp_path):
    values = DEEP[kind]
    images = read_images(save_all(values, tmp_path, compression=compression), n_jobs=2)
    assert images.dtype == (np.uint16 if values.dtype == np.uint16 else np.float32)
    np.testing.assert_array_equal(images[..., 0], values)
    colours = read_images([tmp_path / "001.tif"], image_shape=(3, 6, 5))
    assert colours.dtype == images.dtype
    np.testing.assert_array_equal(colours[0], images[1].repeat(3, axis=2))


UPRIGHT = {
    1: lambda pixels: pixels,
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.rot90(pixels, 2).T,
    8: np.rot90,
}


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_rotated_tiff_files_of_every_depth_stand_upright(orientation, dtype, compression, tmp_path):
    values = np.arange(30).reshape(6, 5).astype(dtype)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(values).save(tmp_path / "a.tif", exif=exif, compression=compression)
    image = read_images([tmp_path / "a.tif"])[0]
    np.testing.assert_array_equal(image[..., 0], UPRIGHT[orientation](values))


def png_of(pixels, colour_type):
    """Return a PNG file of 16 bits a channel, which Pillow does not write in colour."""

    def chunk(name, content):
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    height, width = pixels.shape[:2]
    head = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in pixels)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize(("n_channels", "colour_type"), [(1, 0), (2, 4), (3, 2), (4, 6)])
def test_deep_colours_of_png_keep_their_values(n_channels, colour_type, tmp_path):
    pixels = np.random.RandomState(0).randint(0, 4096, (6, 5, n_channels)).astype(np.uint16)
    (tmp_path / "deep.png").write_bytes(png_of(pixels, colour_type))
    image = read_images([tmp_path / "deep.png"])[0]
    expected = pixels if n_channels != 2 else pixels[..., [0, 0, 0, 1]]
    assert image.dtype == np.uint16
    np.testing.assert_array_equal(image, expected)
    grey = read_images([tmp_path / "deep.png"], image_shape=(1, 6, 5))[0]
    weights = [0.299, 0.587, 0.114] if n_channels > 2 else [1]
    expected = np.rint(pixels[..., : len(weights)] @ weights)
    np.testing.assert_array_equal(grey[..., 0], expected)


@pytest.mark.parametrize("order", ["<", ">"])
def test_deep_colours_of_tiff_keep_their_values(order, tmp_path):
    pixels = np.random.RandomState(0).randint(0, 65536, (6, 5, 3)).astype(np.uint16)
    tags = [(256, 5), (257, 6), (258, 16), (259, 1), (262, 2), (273, 8), (277, 3), (278, 6)]
    tags += [(279, pixels.nbytes)]
    start = 8 + pixels.nbytes
    content = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", start)
    content += pixels.astype(order + "u2").tobytes() + struct.pack(order + "H", len(tags))
    after = start + 2 + 12 * len(tags) + 4
    for tag, value in tags:
        entry = (tag, 3, 3, after) if tag == 258 else (tag, 4, 1, value)
        content += struct.pack(order + "HHII", *entry)
    content += struct.pack(order + "I", 0) + struct.pack(order + "3H", 16, 16, 16)
    (tmp_path / "deep.tif").write_bytes(content)
    np.testing.assert_array_equal(read_images([tmp_path / "deep.tif"])[0], pixels)


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("maxval", [1023, 65535])
def test_deep_pgm_files_keep_their_values(plain, maxval, tmp_path):
    pixels = np.random.RandomState(0).randint(0, maxval + 1, (6, 5)).astype(">u2")
    body = " ".join(map(str, pixels.ravel())).encode() if plain else pixels.tobytes()
    head = f"P{2 if plain else 5} 5 6 {maxval}\n".encode()
    (tmp_path / "deep.pgm").write_bytes(head + body)
    np.testing.assert_array_equal(read_images([tmp_path / "deep.pgm"])[0, ..., 0], pixels)
    (tmp_path / "deep.ppm").write_bytes(b"P6 1 1 1023\n" + bytes(6))
    with pytest.raises(ValueError, match="without loss"):
        read_images([tmp_path / "deep.ppm"])


def test_deep_pixels_are_resized_in_float_and_rounded_where_they_were_integers(tmp_path):
    columns = np.array([[0, 4095]] * 2)
    expected = np.array([[0, 1023.75, 3071.25, 4095]] * 4)
    for dtype in (np.uint16, np.int32, np.float32):
        Image.fromarray(columns.astype(dtype)).save(tmp_path / "a.tif")
        image = read_images([tmp_path / "a.tif"], image_shape=(1, 4, 4))[0]
        wanted = expected if dtype == np.float32 else np.rint(expected)
        np.testing.assert_array_equal(image[..., 0], wanted)


def test_integers_of_32_bits_without_a_sign_do_not_turn_negative(tmp_path):
    values = np.array([[0, 2**31, 2**32 - 2**10]], dtype=np.uint32)
    Image.fromarray(values.view(np.int32)).save(tmp_path / "a.tif")
    content = bytearray((tmp_path / "a.tif").read_bytes())
    place = content.index(struct.pack("<HHIHH", 339, 3, 1, 2, 0))
    content[place + 8] = 1
    (tmp_path / "a.tif").write_bytes(content)
    np.testing.assert_array_equal(read_images([tmp_path / "a.tif"])[0, ..., 0], values)


@pytest.mark.parametrize(
    ("value", "dtype", "why"),
    [
        (np.inf, np.float32, "30 pixels are not finite"),
        (np.nan, np.float32, "30 pixels are not finite"),
        (2**24 + 1, np.int32, "16777217, which float32 cannot hold"),
        (-(2**30) - 1, np.int32, "1073741825, which float32 cannot hold"),
    ],
)
def test_files_whose_values_cannot_be_kept_are_named(value, dtype, why, tmp_path):
    good, bad = tmp_path / "good.tif", tmp_path / "bad.tif"
    Image.fromarray(np.zeros((6, 5), dtype)).save(good)
    Image.fromarray(np.full((6, 5), value, dtype)).save(bad)
    for read in (read_images, lambda paths: CNNClassifier(max_epochs=1).fit(paths, [0, 1, 0])):
        with pytest.raises(ValueError, match=rf"1 of 3 files .*bad\.tif \(.*{why}"):
            read([str(good), str(bad), str(good)])


def test_files_of_8_bits_and_of_more_do_not_mix(tmp_path):
    for name, dtype in {"a": np.uint8, "b": np.uint8, "c": np.uint16, "d": np.float32}.items():
        Image.fromarray(np.ones((6, 5), dtype)).save(tmp_path / f"{name}.tif")
    for names in ("abcd", "cdab"):
        paths = [str(tmp_path / f"{name}.tif") for name in names]
        for read in (read_images, lambda paths: CNNClassifier().fit(paths, [0, 1, 0, 1])):
            with pytest.raises(ValueError, match=r"2 of 4 .*first is .*c\.tif.*8 \(.*a\.tif"):
                read(paths)
    # Files that are all deep go together: float32 holds 16 bits.
    for names in ("cd", "dc"):
        paths = [tmp_path / f"{name}.tif" for name in names]
        assert read_images(paths).dtype == ImageFiles.checked(as_paths(paths)).dtype == np.float32


def test_the_dtype_of_a_set_is_that_of_each_batch(tmp_path, monkeypatch):
    monkeypatch.setattr(image_files, "MOST_KEPT", 0)
    paths = save_all(DEEP["16 bits"], tmp_path / "u", ".png")
    paths += save_all(DEEP["float"], tmp_path / "f")
    files = ImageFiles.checked(as_paths(paths))
    assert files.dtype == files[:2].dtype == np.asarray(files[:2]).dtype == np.float32
    np.testing.assert_array_equal(np.asarray(files), read_images(paths))
    flat = ImageFiles.checked(as_paths(save_all(DEEP["16 bits"].astype(np.uint8), tmp_path / "8")))
    assert flat.dtype == np.asarray(flat).dtype == np.uint8
    Image.fromarray(DEEP["16 bits"][0]).save(flat.paths[0])
    with pytest.raises(ValueError, match=r"000\.tif cannot be read .* any more .*uint16"):
        np.asarray(flat)


@pytest.mark.parametrize("most_kept", [0, 4 * 6 * 5, 4 * 6 * 5 - 1])
def test_small_sets_of_8_bits_are_decoded_once(most_kept, tmp_path, monkeypatch):
    monkeypatch.setattr(image_files, "MOST_KEPT", most_kept)
    paths = save_all(np.arange(4 * 6 * 5, dtype=np.uint8).reshape(4, 6, 5), tmp_path)
    expected = read_images(paths)
    files = ImageFiles.checked(as_paths(paths))
    decoded, decode = [], image_files.decode
    monkeypatch.setattr(image_files, "decode", lambda *args: decoded.append(args) or decode(*args))
    for rows in (slice(None), np.array([3, 0, 3])):
        np.testing.assert_array_equal(files.read(rows), expected[rows])
        np.testing.assert_array_equal(np.asarray(files.take(rows)), expected[rows])
    assert len(decoded) == (0 if most_kept == 4 * 6 * 5 else 14)
    # Of another shape, they are decoded again.
    shrunk = files.resized((1, 3, 5))
    np.testing.assert_array_equal(np.asarray(shrunk), read_images(paths, image_shape=(1, 3, 5)))


@pytest.mark.slow
def test_another_backend_of_joblib_does_not_change_the_pixels(tmp_path):
    paths = save_all(np.arange(4 * 6 * 5, dtype=np.uint8).reshape(4, 6, 5), tmp_path)
    expected = read_images(paths)
    with parallel_config("loky", n_jobs=2):
        np.testing.assert_array_equal(read_images(paths), expected)


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


@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_every_broken_file_is_named(n_jobs, broken):
    folder, said = broken
    paths = [folder / name for name in ["good.jpg", *said]]
    with pytest.raises(ValueError, match="5 of 6 files cannot be read as images") as error:
        read_images(paths, image_shape=(3, 8, 8), n_jobs=n_jobs)
    for name, word in said.items():
        assert f"{name} ({word}" in str(error.value).replace("too many pixels, possibly a ", "")
    assert "good.jpg" not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_threads_leave_the_warning_filters_as_they_were(broken):
    folder, said = broken
    before = list(warnings.filters)
    paths = [folder / name for name in ["good.jpg", *said]] * 20
    with pytest.raises(ValueError, match="100 of 120 files"):
        read_images(paths, image_shape=(3, 8, 8), n_jobs=4)
    assert list(warnings.filters) == before


def test_ten_are_named_and_the_rest_counted(tmp_path):
    with pytest.raises(ValueError, match=r"13 of 13 .*9\.png .*; and 3 more\. Fix") as error:
        read_images([tmp_path / f"{i}.png" for i in range(13)], image_shape=(1, 8, 8))
    assert str(error.value).count("no such file") == 10


@pytest.mark.parametrize(
    "image_shape", [(3, 8), (2, 8, 8), (3, 0, 8), 8, 8.0, (3, 8.5, 8), "388", (3, None, 8), {3, 8}]
)
def test_shapes_that_cannot_be(image_shape, tmp_path):
    with pytest.raises(ValueError, match="`image_shape` must be"):
        read_images([tmp_path / "a.png"], image_shape=image_shape)


def test_numbers_of_numpy_make_a_shape(picture, tmp_path):
    picture.save(tmp_path / "a.png")
    for image_shape in (np.array([3, 8, 8]), [3, 8, 8], (np.int64(3), np.int32(8), 8)):
        assert read_images([tmp_path / "a.png"], image_shape=image_shape).shape == (1, 8, 8, 3)


@pytest.mark.slow
def test_images_that_cannot_fit_are_refused_before_any_is_read(picture, tmp_path):
    picture.save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="asks for 10,000,000,000 pixels per image"):
        read_images([tmp_path / "a.png"], image_shape=(3, 100_000, 100_000))
    with pytest.raises(ValueError, match="asks for 10,000,000,000 pixels per image"):
        CNNClassifier(image_shape=(3, 100_000, 100_000)).fit([str(tmp_path / "a.png")] * 2, [0, 1])
    overcommit = Path("/proc/sys/vm/overcommit_memory")
    if overcommit.exists() and overcommit.read_text().strip() == "1":
        pytest.skip("this system promises any amount of memory")
    with pytest.raises(ValueError, match=r"take \d+ GiB, more than can be allocated"):
        read_images([tmp_path / "a.png"] * 100_000, image_shape=(4, 9000, 9000))


def test_one_path_is_one_file(picture, tmp_path):
    picture.save(tmp_path / "one.png")
    for path in (tmp_path / "one.png", str(tmp_path / "one.png")):
        assert read_images(path).shape == (1, 16, 24, 3)
    frame = pd.DataFrame({"file": [str(tmp_path / "one.png")] * 2})
    for paths in (frame, frame["file"], frame.to_numpy(), iter(frame["file"])):
        assert read_images(paths).shape == (2, 16, 24, 3)


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ([], "at least one path"),
        (np.array([], dtype=str), "at least one path"),
        ({"a.png": 1}, "Got a dict"),
        ({"a.png"}, "Got a set"),
        (b"a.png", "Got a bytes"),
        (7, "Got 7"),
        (None, "Got None"),
        (["a.png", None], "number 1 of 2 is None"),
        ([7], "number 0 of 1 is 7"),
        (np.zeros((2, 8, 8)), "number 0 of 2 is"),
        (pd.DataFrame({"file": ["a.png"], "label": ["cat"]}), "number 0 of 1 is"),
    ],
)
def test_what_is_no_list_of_paths_is_refused(paths, message):
    with pytest.raises(ValueError, match=message):
        read_images(paths)


@pytest.mark.parametrize("missing", [None, np.nan, 7])
def test_a_path_that_is_missing_is_told_to_estimators_and_samplers(missing, folder):
    images = load_image_folder(folder)
    paths = [*images.paths[:-1], missing]
    for X in (paths, np.array(paths, dtype=object), pd.Series(paths), pd.DataFrame({"f": paths})):
        for step in (CNNClassifier(max_epochs=1).fit, RandomOverSampler().fit_resample):
            with pytest.raises(ValueError, match=r"number 15 of 16 is (None|nan|7)"):
                step(X, images.target)


# ------------------------------------------------------------------------- hostile files


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n"


def test_a_file_of_postscript_starts_no_program(tmp_path, monkeypatch):
    """Ghostscript is on the path, and would leave a trace."""
    program = tmp_path / "bin" / "gs"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/trace\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    dos = struct.pack("<IIIIIIIH", 0xC6D3D0C5, 30, len(POSTSCRIPT), 0, 0, 0, 0, 0)
    contents = {"a.png": POSTSCRIPT, "b.jpg": dos + POSTSCRIPT, "c.eps": POSTSCRIPT}
    contents |= {"d.wmf": b"\xd7\xcd\xc6\x9a" + bytes(60), "e.png": b"%PDF-1.4"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    paths = [str(tmp_path / name) for name in contents]
    for read in (read_images, lambda paths: CNNClassifier().fit(paths, [0, 1, 0, 1, 0])):
        with pytest.raises(ValueError, match="5 of 5 files") as error:
            read(paths)
        assert str(error.value).count("(not an image)") == 5
    with pytest.raises(ValueError, match=r"a\.png \(not an image\)"):
        read_images(paths[:1], image_shape=(3, 8, 8))
    assert not (tmp_path / "trace").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs POSIX")
@pytest.mark.parametrize("image_shape", [None, (3, 8, 8)])
def test_pipes_devices_and_folders_are_named_and_not_opened(image_shape, picture, tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "loop.png").symlink_to("loop.png")
    (tmp_path / "device.png").symlink_to("/dev/zero")
    (tmp_path / "nowhere.png").symlink_to("missing")
    picture.save(tmp_path / "picture", format="PNG")
    (tmp_path / "good.png").symlink_to("picture")
    said = {
        "pipe": "no regular file",
        "folder": "a folder",
        "loop": "broken",
        "device": "no regular file",
        "nowhere": "no such file",
    }
    paths = [str(tmp_path / f"{name}.png") for name in ["good", *said]]
    for read in (
        lambda paths: read_images(paths, image_shape=image_shape, n_jobs=2),
        lambda paths: CNNClassifier(image_shape=image_shape).fit(paths, [0, 1] * 3),
    ):
        with pytest.raises(ValueError, match="5 of 6 files") as error:
            read(paths)
        for name, word in said.items():
            assert f"{name}.png ({word}" in str(error.value)


def test_a_file_that_may_not_be_read_is_not_called_broken(picture, tmp_path, monkeypatch):
    picture.save(tmp_path / "secret.png")

    def refuse(path, mode):
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr("skimb._image_decoding.open", refuse, raising=False)
    with pytest.raises(ValueError, match=r"secret\.png \(permission denied\)"):
        read_images([tmp_path / "secret.png"])


@pytest.fixture
def noisy(tmp_path):
    """A TIFF file at which libtiff complains aloud."""
    noise = np.random.RandomState(0).randint(0, 255, (64, 64, 3)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "noisy.tif", compression="tiff_lzw")
    content = np.fromfile(tmp_path / "noisy.tif", dtype=np.uint8)
    content[200:2000:7] ^= 0xFF
    content.tofile(tmp_path / "noisy.tif")
    return str(tmp_path / "noisy.tif")


def test_c_libraries_are_kept_quiet_and_nobody_else_is(noisy, capfd):
    with Image.open(noisy) as image, pytest.raises(OSError, match=r"decoder error|-2"):
        image.load()
    loud = capfd.readouterr().err
    stop = threading.Event()

    def speak():
        while not stop.is_set():
            os.write(2, b"word\n")

    speaker = threading.Thread(target=speak)
    speaker.start()
    with pytest.raises(ValueError, match="60 of 60 files cannot be read"):
        read_images([noisy] * 60, image_shape=(3, 8, 8), n_jobs=4)
    stop.set()
    speaker.join()
    assert set(capfd.readouterr().err.split()) == {"word"}
    with Image.open(noisy) as image, pytest.raises(OSError, match=r"decoder error|-2"):
        image.load()
    # The handler is as it was.
    assert capfd.readouterr().err == loud


@pytest.mark.slow
def test_readers_side_by_side_leave_the_filters_as_they_were(broken):
    folder, _ = broken
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        done = [
            pool.submit(read_images, [folder / "good.jpg"] * n, image_shape=(3, 8, 8))
            for n in range(1, 40)
        ]
    assert [len(read.result()) for read in done] == list(range(1, 40))
    assert list(warnings.filters) == before


# ------------------------------------------------------------------------- folders


@pytest.fixture
def folder(picture, tmp_path):
    root = tmp_path / "Bilder für später"
    for label, n in {"kätzchen 猫": 4, "dog": 12}.items():
        (root / label / "deep er").mkdir(parents=True)
        drawn = picture if label == "dog" else picture.rotate(180)
        for i in range(n):
            inner = root / label / ("deep er" if i % 2 else "")
            drawn.convert("L").save(inner / f"№ {i}.PNG", format="PNG")
    (root / "dog" / ".hidden.png").touch()
    (root / ".git").mkdir()
    (root / "README.md").touch()
    return root


@pytest.mark.slow
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
    with pytest.raises(ValueError, match="does not exist"):
        load_image_folder(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="a file"):
        load_image_folder(folder / "README.md")
    # Images that lie there without a folder of their class are named.
    with pytest.raises(ValueError, match=r"at least two. It has .*\. 6 files of .* passed over"):
        load_image_folder(folder / "dog")
    (folder / "bird").mkdir()
    with pytest.raises(ValueError, match=r"hold no image: \['bird'\]"):
        load_image_folder(folder)


def test_what_a_folder_holds_beside_images_is_told(folder):
    for i in range(10):
        (folder / "dog" / f"{i}.HEIC").touch()
    for name in ("notes.pdf", "features.h5", "IMG_0001", "deep er/b.eps"):
        (folder / "dog" / name).touch()
    (folder / "5.png").touch()
    (folder / "dog" / "more").symlink_to(folder / "dog" / "deep er")
    with pytest.warns(UserWarning, match="16 files of .* passed over") as told:
        images = load_image_folder(folder)
    words = [
        f"10 .heic ({Path('dog/0.HEIC')} first)",
        f"1 .pdf ({Path('dog/notes.pdf')})",
        f"1 .h5 ({Path('dog/features.h5')})",
        f"1 without an ending ({Path('dog/IMG_0001')})",
        f"1 .eps ({Path('dog/deep er/b.eps')})",
        "1 .png (5.png)",
        f"1 link to a folder ({Path('dog/more')})",
    ]
    assert all(word in str(told[0].message) for word in words)
    assert images.remark == str(told[0].message)
    assert len(images.paths) == 16
    counts = {ending: len(files) for ending, files in images.skipped.items()}
    assert counts == {
        ".heic": 10,
        ".pdf": 1,
        ".h5": 1,
        "": 1,
        ".eps": 1,
        ".png": 1,
        "link to a folder": 1,
    }


def test_a_folder_of_images_alone_needs_no_word(folder):
    images = load_image_folder(folder)
    assert images.skipped == {}
    assert images.remark == ""


def test_a_class_whose_files_were_all_passed_over_says_which(folder):
    (folder / "bird").mkdir()
    (folder / "bird" / "a.heic").touch()
    with pytest.raises(ValueError, match=r"hold no image: \['bird'\].* 1 \.heic"):
        load_image_folder(folder)


def test_links_to_nowhere_are_listed_and_named_when_they_are_read(folder):
    (folder / "dog" / "gone.png").symlink_to("elsewhere.png")
    images = load_image_folder(folder)
    assert len(images.paths) == 17
    with pytest.raises(ValueError, match=r"gone\.png \(no such file\)"):
        read_images(images.paths)


@pytest.mark.parametrize(
    "names", [("train", "test"), ("Train", "val", "docs"), ("training", "dev")]
)
def test_the_parent_of_train_and_test_is_recognised(names, folder, tmp_path):
    parent = tmp_path / "data"
    for name in names:
        if name != "docs":
            shutil.copytree(folder, parent / name)
        (parent / name).mkdir(exist_ok=True)
    with pytest.raises(ValueError, match="parts of a data set") as error:
        load_image_folder(parent)
    assert f"Give {parent / names[0]}, " in str(error.value)
    assert f"--test {parent / names[1]}." in str(error.value)


def test_a_training_part_alone_is_recognised_and_classes_of_such_names_are_classes(
    folder, picture, tmp_path
):
    shutil.copytree(folder, tmp_path / "data" / "train")
    with pytest.raises(ValueError, match=r"Give .*train\."):
        load_image_folder(tmp_path / "data")
    for i, name in enumerate(["train", "test"]):
        (tmp_path / "flat" / name).mkdir(parents=True)
        picture.rotate(90 * i).save(tmp_path / "flat" / name / "a.png")
    assert load_image_folder(tmp_path / "flat").target_names == ["test", "train"]


def test_equal_files_of_two_classes_are_named(folder, picture):
    cat, dog = folder / "kätzchen 猫", folder / "dog"
    shutil.copy(cat / "№ 0.PNG", dog / "copy.png")
    # As large, and not equal.
    (cat / "same size.png").write_bytes(b"a" * 9000)
    (dog / "same size.png").write_bytes(b"b" + b"a" * 8999)
    with pytest.warns(UserWarning, match="the class of 1 image is not known") as told:
        images = load_image_folder(folder)
    line = f"{Path('dog/copy.png')} = {Path('kätzchen 猫/deep er/№ 1.PNG')}"
    assert line in str(told[0].message)
    assert len(told) == 1
    assert images.skipped == {}


# ------------------------------------------------------------------------- the estimator


def containers(paths):
    yield paths
    yield list(paths)
    yield [Path(path) for path in paths]
    yield pd.Series(paths)
    yield pd.DataFrame({"file": paths})


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


# ------------------------------------------------------------------------- deep files in estimators


@pytest.fixture
def scan():
    """Values of 12 bits: dark disks or bright ones, of which 8 bits would leave little."""
    rng = np.random.RandomState(0)
    y = np.arange(60) % 3 == 0
    images = rng.randint(0, 40, (60, 8, 8)) + np.where(y, 100, 60)[:, None, None]
    images[:, 0, 0] = 4000
    return images.astype(np.uint16), y.astype(int)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ending", "dtype"),
    [
        (".png", "uint16"),
        (".tif", "float32"),
        pytest.param(".tif", "uint16", marks=pytest.mark.exhaustive),
        pytest.param(".tif", "int32", marks=pytest.mark.exhaustive),
    ],
)
def test_deep_files_train_the_same_network_as_the_array(ending, dtype, scan, tmp_path):
    images, y = scan
    paths = save_all(images.astype(dtype), tmp_path, ending)
    clf = CNNClassifier(max_epochs=3, batch_size=8, random_state=0, augmentation="flip_crop")
    expected = clone(clf).fit(images, y)
    proba = expected.predict_proba(images)
    for params in ({}, {"num_workers": 1}, {"value_range": (0, 4095)}):
        fitted = clone(clf).set_params(**params).fit(paths, y)
        np.testing.assert_allclose(fitted.predict_proba(paths), proba, atol=1e-6)
        np.testing.assert_allclose(fitted.predict_proba(read_images(paths)), proba, atol=1e-6)
    plain = clone(clf).fit(paths, y)
    np.testing.assert_array_equal(plain.predict_proba(paths), proba)
    np.testing.assert_array_equal(plain.embed(paths), expected.embed(images))
    assert plain.value_range_ == expected.value_range_ == (images.min(), images.max())


@pytest.mark.slow
def test_what_8_bits_would_lose_is_learnt_from_files(scan, tmp_path):
    images, y = scan
    paths = save_all(images.clip(0, 150), tmp_path, ".png")
    clf = CNNClassifier("linear", max_epochs=20, batch_size=8, lr=0.01, random_state=0)
    assert clf.fit(paths, y).score(paths, y) == 1


def test_deep_images_that_differ_are_no_duplicates(tmp_path):
    images = np.arange(200, dtype=np.uint16).repeat(36).reshape(200, 6, 6)
    read = read_images(save_all(images, tmp_path, ".png"))
    assert len(np.unique(sample_groups(read))) == 200
    assert len(np.unique(read)) == 200


@pytest.mark.slow
def test_deep_files_are_chosen_by_samplers_and_reach_both_stages(scan, tmp_path):
    images, y = scan
    paths = np.array(save_all(images, tmp_path, ".png"))
    net = CNNClassifier(max_epochs=1, random_state=0, sampler=RandomOverSampler(random_state=0))
    on_files, on_arrays = (
        DecoupledClassifier(net, max_epochs=1, random_state=0).fit(X, y).predict_proba(X)
        for X in (paths, images)
    )
    np.testing.assert_array_equal(on_files, on_arrays)
    embedder = CNNEmbedder(net, cache=True).fit(paths, y)
    np.testing.assert_array_equal(
        embedder.transform(paths), CNNEmbedder(net).fit(images, y).transform(images)
    )
    reg = CNNRegressor(max_epochs=1, random_state=0)
    np.testing.assert_array_equal(
        clone(reg).fit(paths, y).predict(paths), clone(reg).fit(images, y).predict(images)
    )


def test_pixels_outside_of_a_range_that_is_given_are_named(scan, tmp_path):
    images, y = scan
    paths = save_all(images, tmp_path, ".png")
    Image.fromarray(np.full((8, 8), 5000, np.uint16)).save(paths[7])
    message = r"1 of 60 files have pixels outside of `value_range`=\(0, 4095\): .*007\.png \(5000"
    clf = CNNClassifier(value_range=(0, 4095), max_epochs=1, random_state=0)
    for model in (clf, DecoupledClassifier(clf), CNNEmbedder(clf)):
        with pytest.raises(ValueError, match=message):
            clone(model).fit(paths, y)
    fitted = clone(clf).fit(images, y)
    assert fitted.value_range_ == (0, 4095)
    for predict in (fitted.predict, fitted.predict_proba, fitted.embed):
        with pytest.raises(ValueError, match=message):
            predict(paths)
    with pytest.raises(
        ValueError, match=r"64 values of X .* they reach from 60 to 5000|64 of 3840"
    ):
        fitted.predict(read_images(paths))
    with pytest.raises(ValueError, match=r"60 of 60 files .*; and 50 more"):
        CNNClassifier(value_range=(0, 255)).fit(paths, y)
    # As float32 has it, 0.1 is a little more.
    flat = np.linspace(0, 0.1, 60).repeat(4).reshape(60, 2, 2)
    CNNClassifier(value_range=(0, 0.1), max_epochs=1).fit(flat, y).predict(flat)


@pytest.mark.parametrize(
    "value_range",
    [(0,), (0, 1, 2), (5, 5), (9, 1), (0, np.inf), (np.nan, 1), ("0", "1"), "wide", 7],
)
def test_ranges_that_are_none_are_refused(value_range, scan):
    for model in (CNNClassifier(value_range=value_range), CNNRegressor(value_range=value_range)):
        with pytest.raises(ValueError, match="value_range"):
            model.fit(*scan)


def test_later_deep_files_beyond_the_range_of_the_training_are_told(scan, tmp_path):
    images, y = scan
    paths = save_all(images, tmp_path, ".png")
    clf = CNNClassifier(max_epochs=1, random_state=0).fit(paths, y)
    clf.predict(paths)
    Image.fromarray(np.full((8, 8), 60000, np.uint16)).save(paths[7])
    message = r"1 of 60 files have pixels beyond 60 to 4000.*007\.png \(60000 to 60000\)"
    embedder = CNNEmbedder(FrozenEstimator(clf)).fit(paths)
    for predict in (clf.predict, clf.predict_proba, clf.decision_function, embedder.transform):
        with pytest.warns(UserWarning, match=message) as told:
            predict(paths)
        assert len(told) == 1


class Seen(torch.nn.Module):
    """An augmentation that keeps the range that it saw."""

    def forward(self, images):
        limits.append((float(images.min()), float(images.max())))
        return images


limits = []


@pytest.mark.parametrize(
    ("value_range", "expected"), [((0, 4000), (0.015, 1)), ((-4000, 4000), (0.5075, 1))]
)
def test_the_range_is_the_scale_of_augmentations(value_range, expected, scan, tmp_path):
    images, y = scan
    for X in (images, save_all(images, tmp_path, ".png")):
        limits.clear()
        clf = CNNClassifier(augmentation=Seen(), value_range=value_range, max_epochs=1)
        clf.fit(X, y)
        np.testing.assert_allclose(limits[-1], expected, rtol=1e-6)


def test_the_range_is_the_scale_of_pretrained_networks(scan, tmp_path):
    images, y = scan
    paths = save_all(images, tmp_path, ".png")
    for X in (read_images(paths), ImageFiles.checked(as_paths(paths))):
        mean, sd = unit_scale(X, (-95, 4000))
        assert (mean, sd) == (-95, 4095)
        with pytest.raises(ValueError, match=r"spans \[60, 4000\]. .*value_range=\(low, high\)"):
            unit_scale(X)
    small = save_all(images.clip(0, 255), tmp_path / "small", ".png")
    assert unit_scale(ImageFiles.checked(as_paths(small)))[1] == 255
    with pytest.raises(ValueError, match="`value_range` belongs to embedders of a `pretrained`"):
        CNNEmbedder(CNNClassifier(), value_range=(0, 1)).fit(images, y)


# ------------------------------------------------------------------------- another scale


@pytest.fixture(scope="module")
def digits():
    X, y = load_imbalanced_digits(return_X_y=True)
    return X[:150], y[:150] | (np.arange(150) % 7 == 0), X[400:500]


SCALES = {
    "bytes": lambda X: (X.astype(int) * 15).astype(np.uint8),
    "unit": lambda X: X / np.float32(17),
    "signed": lambda X: X / np.float32(8) - 1,
    "deep": lambda X: X.astype(np.float32) * 4000,
}


@pytest.mark.parametrize("fitted_on", SCALES)
@pytest.mark.parametrize("asked_on", SCALES)
def test_images_on_another_scale_are_told_once_a_call(fitted_on, asked_on, digits):
    X, y, X_test = digits
    clf = CNNClassifier(max_epochs=1, random_state=0).fit(SCALES[fitted_on](X), y)
    asked = SCALES[asked_on](X_test)
    embedder = CNNEmbedder(FrozenEstimator(clf)).fit(SCALES[fitted_on](X))
    calls = clf.predict, clf.predict_proba, clf.decision_function, clf.embed, embedder.transform
    small = {"unit", "signed"}
    for call in calls:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            call(asked)
        is_other = fitted_on != asked_on and not {fitted_on, asked_on} <= small
        assert len(told) == is_other
        if is_other:
            assert "on the scale of the training" in str(told[0].message)
            assert told[0].filename == __file__


def test_a_model_of_two_stages_and_a_regressor_tell_once(digits):
    X, y, X_test = digits
    net = CNNClassifier(max_epochs=1, random_state=0)
    for model in (DecoupledClassifier(net, max_epochs=1), CNNRegressor(max_epochs=1)):
        fitted = model.fit(X, y)
        fitted.predict(X_test)
        with pytest.warns(UserWarning, match="on the scale of the training") as told:
            fitted.predict(X_test / 16)
        assert len(told) == 1


def test_files_on_another_scale_are_told_without_decoding_them_again(digits, tmp_path, monkeypatch):
    X, y, X_test = digits
    clf = CNNClassifier(max_epochs=1, random_state=0).fit(X / np.float32(16), y)
    paths = save_all(SCALES["bytes"](X_test)[:5], tmp_path, ".png")
    decoded, decode = [], image_files.decode

    def counted(path, image_shape):
        decoded.append(path)
        return decode(path, image_shape)

    monkeypatch.setattr(image_files, "decode", counted)
    with pytest.warns(UserWarning, match="from 0 to 240 .* trained on pixels from 0 to 1 "):
        clf.predict(paths)
    assert len(decoded) == len(paths)


def test_what_is_on_the_same_scale_is_not_told(digits):
    X, y, X_test = digits
    for scale in SCALES.values():
        clf = CNNClassifier(max_epochs=1, random_state=0).fit(scale(X), y)
        asked = scale(X_test)
        for some in (asked, asked[:1], asked[:0:-40], asked[[0] * 9], asked[:3] * 0 + asked.min()):
            clf.predict(some)
        for value in (scale(X).min(), scale(X).max()):
            clf.predict(np.full_like(asked[:20], value))
        # Dim, but no other scale.
        clf.predict((scale(X_test)[:20] * 0.3).astype(asked.dtype))


def test_tables_of_standardised_features_are_not_told():
    rng = np.random.RandomState(0)
    X, y = rng.normal(size=(100, 5)), np.arange(100) % 2
    clf = CNNClassifier(max_epochs=1, random_state=0).fit(X, y)
    for n_rows in (1, 2, 5, 300):
        for _ in range(20):
            clf.predict(rng.normal(size=(n_rows, 5)))
            clf.predict(rng.standard_t(2, size=(n_rows, 5)))
    constant = CNNClassifier(max_epochs=1).fit(np.zeros((4, 3)), [0, 1, 0, 1])
    constant.predict(np.ones((4, 3)))


@pytest.mark.parametrize("shape", [(6, 0, 5), (6, 5, 0), (6, 0, 5, 3)])
def test_images_without_a_pixel_are_refused(shape):
    images, y = np.zeros(shape), [0, 1] * 3
    for step in (CNNClassifier().fit, CNNRegressor().fit, RandomOverSampler().fit_resample):
        with pytest.raises(ValueError, match=r"without a (pixel|value)"):
            step(images, y)
