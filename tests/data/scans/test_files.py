"""One file to voxels: axis order, spacing, orientation, and whatever can be wrong with it."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from numpy.testing import assert_allclose, assert_array_equal

from medtrans.data.scans.files import Volume, check_same_grid, read_image, read_label, read_volume
from medtrans.errors import DataError
from medtrans.tasks import IGNORE_LABEL
from tests.data.tiny_scans import LAS, RAS, tiny_head, tiny_label, write_analyze, write_nifti

COUNTING = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)


def oblique_sitk_image() -> SimpleITK.Image:
    """An image whose axes are neither aligned nor equally spaced, with pixel (i, j, k) = 12 i + 4 j + k."""
    image = SimpleITK.GetImageFromArray(COUNTING.transpose(2, 1, 0))
    image.SetSpacing((0.5, 1.25, 3.0))
    image.SetOrigin((10.0, -20.0, 30.0))
    angle = np.deg2rad(20)
    c, s = np.cos(angle), np.sin(angle)
    image.SetDirection((c, -s, 0, s, c, 0, 0, 0, 1))
    return image


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".mhd", ".nii", ".nii.gz", ".hdr"])
def test_files_written_by_simpleitk_keep_voxels_and_physical_points(tmp_path: Path, suffix: str) -> None:
    written = oblique_sitk_image()
    path = tmp_path / f"scan{suffix}"
    SimpleITK.WriteImage(written, str(path))
    volume = read_volume(path)
    assert volume.oriented
    assert_allclose(volume.spacing_mm, (0.5, 1.25, 3.0), rtol=1e-5)
    for index in [(0, 0, 0), (1, 0, 0), (0, 2, 0), (0, 0, 3), (1, 2, 3)]:
        assert volume.voxels[index] == written.GetPixel(index)
        left, back, up = written.TransformIndexToPhysicalPoint(index)
        assert_allclose(volume.affine @ [*index, 1], [-left, -back, up, 1], atol=1e-3)


def test_a_file_written_by_nibabel_reads_the_same_through_simpleitk(tmp_path: Path) -> None:
    affine = np.array([[-2.0, 0, 0, 9], [0, 0, 1.5, -4], [0, 3, 0, 5], [0, 0, 0, 1]])
    by_nibabel = read_volume(write_nifti(tmp_path / "scan.nii.gz", COUNTING, affine))
    SimpleITK.WriteImage(SimpleITK.ReadImage(str(tmp_path / "scan.nii.gz")), str(tmp_path / "scan.mha"))
    by_simpleitk = read_volume(tmp_path / "scan.mha")
    assert_array_equal(by_nibabel.voxels, COUNTING)
    assert_array_equal(by_simpleitk.voxels, COUNTING)
    assert_allclose(by_nibabel.affine, affine)
    assert_allclose(by_simpleitk.affine, affine, atol=1e-5)
    assert by_nibabel.spacing_mm == (2.0, 3.0, 1.5)


@pytest.mark.parametrize("opened_by", ["subject-1-T1.hdr", "subject-1-T1.img"])
def test_analyze_has_spacing_but_no_orientation_and_is_not_flipped(tmp_path: Path, opened_by: str) -> None:
    write_analyze(tmp_path / "subject-1-T1.hdr", COUNTING[..., None], (1.0, 2.0, 3.0))
    volume = read_volume(tmp_path / opened_by)
    assert not volume.oriented
    assert volume.voxels.shape == (2, 3, 4)
    assert_array_equal(volume.voxels, COUNTING)
    assert_array_equal(volume.affine, np.diag([1.0, 2.0, 3.0, 1.0]))


def test_a_hdr_file_is_what_its_header_says(tmp_path: Path) -> None:
    pair = nib.Nifti1Pair(COUNTING, LAS)
    nib.save(pair, tmp_path / "scan.hdr")
    volume = read_volume(tmp_path / "scan.hdr")
    assert volume.oriented
    assert_array_equal(volume.affine, LAS)


def test_nifti_without_a_coordinate_system_has_no_orientation(tmp_path: Path) -> None:
    image = nib.Nifti1Image(COUNTING, None)
    image.header.set_zooms((1.0, 2.0, 3.0))
    nib.save(image, tmp_path / "scan.nii")
    volume = read_volume(tmp_path / "scan.nii")
    assert not volume.oriented
    assert volume.spacing_mm == (1.0, 2.0, 3.0)


def test_only_trailing_axes_of_length_one_are_dropped(tmp_path: Path) -> None:
    assert read_volume(write_nifti(tmp_path / "a.nii", np.zeros((1, 5, 6, 1, 1), np.int16))).voxels.shape == (1, 5, 6)
    assert read_volume(write_nifti(tmp_path / "b.nii", np.zeros((5, 6, 1), np.int16))).voxels.shape == (5, 6, 1)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd"])
def test_channels_of_a_4d_file_are_its_last_axis(tmp_path: Path, suffix: str) -> None:
    channels = np.stack([COUNTING, -COUNTING], axis=-1)
    path = write_nifti(tmp_path / "scan.nii.gz", channels)
    if suffix == ".nrrd":
        image = SimpleITK.GetImageFromArray(channels.transpose(2, 1, 0, 3), isVector=True)
        path = tmp_path / "scan.nrrd"
        SimpleITK.WriteImage(image, str(path))
    assert_array_equal(read_volume(path, channel=1).voxels, -COUNTING)
    with pytest.raises(DataError, match="2x3x4x2 voxels where one volume was expected"):
        read_volume(path)
    with pytest.raises(DataError, match="no channel 2"):
        read_volume(path, channel=2)


def test_the_only_channel_of_a_3d_file_is_channel_0(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "scan.nii", COUNTING)
    assert_array_equal(read_volume(path, channel=0).voxels, COUNTING)


def test_scaling_and_byte_order_of_the_file_are_applied(tmp_path: Path) -> None:
    image = nib.Nifti1Image(COUNTING.astype(">i2"), RAS, nib.Nifti1Header(endianness=">"))
    image.header.set_slope_inter(0.5, 10)
    nib.save(image, tmp_path / "scan.nii")
    stored = nib.load(tmp_path / "scan.nii")
    expected = np.asarray(stored.dataobj.get_unscaled()) * float(stored.dataobj.slope) + float(stored.dataobj.inter)
    volume = read_image(tmp_path / "scan.nii")
    assert volume.voxels.dtype == np.float32
    assert volume.voxels.dtype.isnative
    assert_allclose(volume.voxels, expected)


def test_missing_file_and_missing_half(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.nii: no such file"):
        read_volume(tmp_path / "gone.nii")
    path = write_analyze(tmp_path / "scan.hdr", COUNTING)
    path.with_suffix(".img").unlink()
    with pytest.raises(DataError, match=r"scan\.hdr: its other half is missing"):
        read_volume(path)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha", ".hdr"])
def test_a_truncated_file_is_one_clear_line(tmp_path: Path, suffix: str) -> None:
    voxels = np.random.default_rng(0).normal(size=(20, 20, 20)).astype(np.float32)
    path = tmp_path / f"scan{suffix}"
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(voxels), str(path))
    data = path.with_suffix(".img") if suffix == ".hdr" else path
    data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])
    with pytest.raises(DataError, match=rf"scan\{suffix}: truncated, or not an image") as caught:
        read_volume(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz", "scan.hdr", "scan.mha", "scan.nrrd", "scan.txt"])
def test_a_text_file_is_not_an_image(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("404 not found")
    with pytest.raises(DataError, match=f"{name}: truncated, or not an image"):
        read_volume(tmp_path / name)


def test_photographs_and_colours_are_not_volumes(tmp_path: Path) -> None:
    SimpleITK.WriteImage(SimpleITK.Image(4, 5, SimpleITK.sitkUInt8), str(tmp_path / "photo.png"))
    with pytest.raises(DataError, match="4x5 pixels, but three axes"):
        read_volume(tmp_path / "photo.png")
    colours = np.zeros((2, 3, 4), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    with pytest.raises(DataError, match="not plain numbers"):
        read_volume(write_nifti(tmp_path / "colours.nii", colours))
    with pytest.raises(DataError, match="5x6 voxels, but three axes"):
        read_volume(write_nifti(tmp_path / "flat.nii", np.zeros((5, 6), np.int16)))


def test_a_spacing_of_zero_is_an_error(tmp_path: Path) -> None:
    image = nib.Nifti1Image(COUNTING, RAS)
    image.header.set_sform(np.diag([1.0, 0.0, 1.0, 1.0]), 1)
    (tmp_path / "scan.nii").write_bytes(image.header.binaryblock + bytes(4) + COUNTING.tobytes(order="F"))
    with pytest.raises(DataError, match=r"scan\.nii: voxel spacing is \(1.0, 0.0, 1.0\) mm"):
        read_volume(tmp_path / "scan.nii")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_voxels_that_are_no_numbers_are_counted(tmp_path: Path, bad: float) -> None:
    voxels = tiny_head()
    voxels[1, 2, 3] = voxels[3, 2, 1] = bad
    with pytest.raises(DataError, match=r"scan\.nii: 2 voxels are NaN or infinite"):
        read_image(write_nifti(tmp_path / "scan.nii", voxels))


def test_a_constant_image_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"scan\.nii: every voxel is 7"):
        read_image(write_nifti(tmp_path / "scan.nii", np.full((3, 4, 5), 7.0, np.float32)))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
def test_the_first_coding_that_explains_a_label_map_is_used(tmp_path: Path, dtype: type) -> None:
    codings = ({0: 0, 10: 1, 150: 2}, {0: 0, 1: 1, 2: 2, 9: IGNORE_LABEL})
    distributed = read_label(write_nifti(tmp_path / "a.nii", tiny_label(10, 150).astype(dtype)), codings)
    remapped = read_label(write_nifti(tmp_path / "b.nii", tiny_label(1, 2, 9).astype(dtype)), codings)
    assert distributed.voxels.dtype == np.uint8
    assert_array_equal(distributed.voxels, tiny_label(1, 2))
    assert_array_equal(remapped.voxels, tiny_label(1, 2, IGNORE_LABEL))


@pytest.mark.parametrize(("values", "named"), [((1, 3), "3"), ((10, 151), "151"), ((1, 10), "10")])
def test_an_unexpected_label_value_is_named(tmp_path: Path, values: tuple[int, ...], named: str) -> None:
    path = write_nifti(tmp_path / "seg.nii", tiny_label(*values))
    expected = rf"seg\.nii: unexpected label value {named}; expected only \[0, 1, 2\] or \[0, 10, 150\]"
    with pytest.raises(DataError, match=expected):
        read_label(path, ({0: 0, 1: 1, 2: 2}, {0: 0, 10: 1, 150: 2}))


@pytest.mark.parametrize("bad", [0.5, np.nan])
def test_a_fractional_label_is_an_error(tmp_path: Path, bad: float) -> None:
    voxels = tiny_label(1).astype(np.float32)
    voxels[0, 0, 0] = bad
    with pytest.raises(DataError, match="is not a whole number"):
        read_label(write_nifti(tmp_path / "seg.nii", voxels), ({0: 0, 1: 1},))


def volume(affine: np.ndarray = RAS, shape: tuple[int, ...] = (100, 4, 4), oriented: bool = True) -> Volume:
    return Volume(Path("scan.nii"), np.zeros(shape, np.uint8), affine, oriented)


def test_image_and_label_must_have_one_shape() -> None:
    expected = "case 'subject-3': image is 100x4x4 but scan.nii is 100x4x3; were they resampled apart"
    with pytest.raises(DataError, match=expected):
        check_same_grid("subject-3", volume(), volume(shape=(100, 4, 3)))


def test_image_and_label_must_lie_in_one_place() -> None:
    shifted, turned, rounded = RAS.copy(), RAS.copy(), RAS + 0
    shifted[2, 3] = 0.5
    turned[1, 0] = 0.002  # 0.2 mm at the far end of 100 voxels
    rounded[:3] += 1e-5
    check_same_grid("a", volume(), volume(rounded))
    with pytest.raises(DataError, match=r"case 'a': .* lie up to 0.5 mm apart"):
        check_same_grid("a", volume(), volume(shifted))
    with pytest.raises(DataError, match=r"lie up to 0.2 mm apart"):
        check_same_grid("a", volume(), volume(turned))
    with pytest.raises(DataError, match="lie up to 200 mm apart"):
        check_same_grid("a", volume(), volume(LAS))


def test_image_and_label_must_both_know_their_orientation_or_neither() -> None:
    check_same_grid("a", volume(oriented=False), volume(oriented=False))
    with pytest.raises(DataError, match=r"case 'a': .* convert both to one format"):
        check_same_grid("a", volume(), volume(oriented=False))
