"""One PNG or JPEG to pixels, class indices and a normalised image, and whatever can be wrong with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from medtrans.data.photographs.files import preprocess_photograph, read_class_indices, read_photograph
from medtrans.errors import DataError
from tests.data.tiny_streets import HEIGHT, WIDTH, tiny_photograph, tiny_scene, write_png, write_png_of_depth


def noise(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, *shape)).astype(dtype)


def test_a_photograph_is_read_as_it_is(tmp_path: Path) -> None:
    assert_array_equal(read_photograph(write_png(tmp_path / "a.png", tiny_photograph())), tiny_photograph())
    smooth = np.broadcast_to(np.arange(64, dtype=np.uint8)[:, None], (32, 64, 3)).copy()
    Image.fromarray(smooth).save(tmp_path / "a.jpg", quality=95)
    assert_allclose(read_photograph(tmp_path / "a.jpg"), smooth, atol=6)


@pytest.mark.parametrize(
    ("pixels", "mode", "kind"),
    [
        (noise(), None, "8-bit grey"),
        (noise(2), None, "8-bit grey with alpha"),
        (noise(4), None, "8-bit RGB with alpha"),
        (noise(), "P", "8-bit palette"),
        (noise(dtype=np.uint16), None, "16-bit grey"),
    ],
)
def test_images_that_are_not_8_bit_rgb_say_what_they_are_and_how_to_convert(
    tmp_path: Path, pixels: np.ndarray, mode: str | None, kind: str
) -> None:
    path = write_png(tmp_path / "photo.png", pixels, mode)
    with pytest.raises(DataError, match=rf"photo\.png: is {kind}; convert it to 8-bit RGB, for example by: magick"):
        read_photograph(path)


def test_16_bit_rgb_is_not_taken_for_8_bit(tmp_path: Path) -> None:
    path = write_png_of_depth(tmp_path / "deep.png", depth=16, colour_type=2, channels=3)
    with pytest.raises(DataError, match=r"deep\.png: is 16-bit RGB; convert it"):
        read_photograph(path)


def test_a_photograph_of_one_colour_is_an_error(tmp_path: Path) -> None:
    path = write_png(tmp_path / "blank.png", np.full((HEIGHT, WIDTH, 3), (1, 2, 3), np.uint8))
    with pytest.raises(DataError, match=r"blank\.png: every pixel is \(1, 2, 3\)"):
        read_photograph(path)


@pytest.mark.parametrize("read", [read_photograph, read_class_indices])
@pytest.mark.parametrize("keep", [0.0, 0.1, 0.5, 0.9])
def test_a_truncated_file_is_one_clear_line(tmp_path: Path, read, keep: float) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = write_png(tmp_path / "cut.png", pixels if read is read_photograph else pixels[..., 0])
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    with pytest.raises(DataError, match=r"cut\.png: truncated, or not a PNG or JPEG image") as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_missing_files_and_other_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.png: no such file"):
        read_photograph(tmp_path / "gone.png")
    (tmp_path / "text.png").write_text("404 not found")
    with pytest.raises(DataError, match=r"text\.png: truncated, or not a PNG"):
        read_photograph(tmp_path / "text.png")


def test_class_indices_of_grey_and_palette_images_are_the_numbers_in_the_file(tmp_path: Path) -> None:
    scene = tiny_scene(7, 11, 23, 255)
    assert_array_equal(read_class_indices(write_png(tmp_path / "grey.png", scene)), scene)
    assert_array_equal(read_class_indices(write_png(tmp_path / "palette.png", scene, mode="P")), scene)


@pytest.mark.parametrize("channels", [3, 4])
def test_a_label_map_of_colours_is_refused(tmp_path: Path, channels: int) -> None:
    with pytest.raises(DataError, match=r"colour\.png: holds colours, not class indices; give the label map"):
        read_class_indices(write_png(tmp_path / "colour.png", noise(channels)))


def test_label_maps_of_other_depths_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"instances\.png: is 16-bit grey, but class indices are 8-bit"):
        read_class_indices(write_png(tmp_path / "instances.png", noise(dtype=np.uint16)))
    # Pillow reads 4 bits as multiples of 17: an index would silently become another one.
    with pytest.raises(DataError, match=r"small\.png: is 4-bit grey, but class indices are 8-bit"):
        read_class_indices(write_png_of_depth(tmp_path / "small.png", depth=4, colour_type=0, channels=1))
    Image.fromarray(noise()).save(tmp_path / "lossy.jpg")
    with pytest.raises(DataError, match=r"lossy\.jpg: is a JPEG file, which does not keep class indices"):
        read_class_indices(tmp_path / "lossy.jpg")


def test_normalisation_by_hand() -> None:
    pixels = np.array([[[0, 0, 0], [255, 255, 255]], [[255, 0, 102], [51, 204, 153]]], np.uint8)
    image, _ = preprocess_photograph(pixels, np.zeros((2, 2), np.uint8), None)
    assert image.shape == (3, 2, 2)
    assert image.dtype == np.float32
    assert_allclose(image[:, 0, 0], [-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225], rtol=1e-6)
    assert_allclose(image[:, 0, 1], [0.515 / 0.229, 0.544 / 0.224, 0.594 / 0.225], rtol=1e-6)
    assert_allclose(image[:, 1, 0], [0.515 / 0.229, -0.456 / 0.224, (0.4 - 0.406) / 0.225], rtol=1e-5)
    assert_allclose(image[:, 1, 1], [(0.2 - 0.485) / 0.229, (0.8 - 0.456) / 0.224, (0.6 - 0.406) / 0.225], rtol=1e-6)


def test_no_value_is_exactly_zero_which_would_mean_air() -> None:
    every_value = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
    image, _ = preprocess_photograph(every_value, np.zeros((16, 16), np.uint8), None)
    assert (image != 0).all()
    resized, _ = preprocess_photograph(every_value, np.zeros((16, 16), np.uint8), (7, 9))
    assert (resized != 0).all()


def test_size_is_height_and_width() -> None:
    image, label = preprocess_photograph(tiny_photograph(), tiny_scene(1, 2, 3, 4), (3, 16))
    assert image.shape == (3, 3, 16)
    assert_array_equal(label, np.tile(np.repeat([1, 2, 3, 4], 4), (3, 1)))


def test_labels_take_the_nearest_pixel_and_edges_stay_where_they_are_in_the_image() -> None:
    label = np.zeros((4, 40), np.uint8)
    label[:, 23:] = 18  # the edge is at 23 of 40, that is at 13.8 of 24: pixel 13, with its centre at 13.5, lies before
    pixels = np.repeat(np.where(label > 0, 255, 0).astype(np.uint8)[..., None], 3, axis=2)
    image, resized = preprocess_photograph(pixels, label, (4, 24))
    assert_array_equal(resized, np.broadcast_to(np.where(np.arange(24) >= 14, 18, 0), (4, 24)))
    grey = image[0] * 0.229 + 0.485
    assert (grey[:, :13] < 0.1).all()
    assert (grey[:, 15:] > 0.9).all()


def test_fine_stripes_become_grey_not_coarse_stripes() -> None:
    stripes = np.zeros((8, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    image, _ = preprocess_photograph(stripes, np.zeros((8, 64), np.uint8), (8, 16))
    grey = image[0, :, 1:-1] * 0.229 + 0.485
    assert_allclose(grey, 0.5, atol=0.01)


STORED = {  # upright to what is stored with an EXIF orientation, by its number
    1: lambda pixels: pixels,
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: np.rot90,  # a viewer turns it clockwise
    7: lambda pixels: np.rot90(pixels, 2).swapaxes(0, 1),
    8: lambda pixels: np.rot90(pixels, -1),
}


@pytest.mark.parametrize("orientation", STORED)
def test_photographs_and_label_maps_are_read_upright(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    for upright, read in ((tiny_photograph(), read_photograph), (noise(), read_class_indices)):
        Image.fromarray(np.ascontiguousarray(STORED[orientation](upright))).save(tmp_path / "a.png", exif=exif)
        assert_array_equal(read(tmp_path / "a.png"), upright)
