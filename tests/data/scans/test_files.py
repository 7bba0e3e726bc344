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


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32])
def test_labels_under_a_scale_factor(tmp_path: Path, dtype: type) -> None:
    """Float labels under an integer data type come back rounded to the step of its scale factor."""
    voxels = (
        np.array([0, 1, 2, 1035])[tiny_label(1, 2, 3)].astype(np.float32)
        if dtype != np.uint8
        else tiny_label(1, 2, 3) * 40.0
    )
    image = nib.Nifti1Image(voxels, RAS)
    image.set_data_dtype(dtype)
    image.set_sform(RAS, 1)
    nib.save(image, tmp_path / "seg.nii")
    assert (np.asarray(nib.load(tmp_path / "seg.nii").dataobj) != voxels).any()
    codings = {0: 0, 1: 1, 2: 2, 1035: 3, 40: 1, 80: 2, 120: 3}
    assert_array_equal(read_label(tmp_path / "seg.nii", (codings,)).voxels, tiny_label(1, 2, 3))


def test_resampled_labels_under_a_scale_factor_are_an_error(tmp_path: Path) -> None:
    voxels = tiny_label(1).astype(np.float32)
    voxels[0, 0, :4] = 0.2, 0.4, 0.6, 0.8
    image = nib.Nifti1Image(voxels, RAS)
    image.header.set_slope_inter(0.2, 0)
    image.set_data_dtype(np.uint8)
    nib.save(image, tmp_path / "seg.nii")
    with pytest.raises(DataError, match=r"label value 0\.\d+ is not a whole number"):
        read_label(tmp_path / "seg.nii", ({0: 0, 1: 1},))


@pytest.mark.parametrize(("unit", "in_mm"), [("meter", 1000), ("mm", 1), ("micron", 0.001)])
def test_lengths_come_in_millimetres(tmp_path: Path, unit: str, in_mm: float) -> None:
    image = nib.Nifti1Image(COUNTING, np.diag([2.0, 2.0, 2.0, 1.0]))
    image.header.set_xyzt_units(unit)
    nib.save(image, tmp_path / "scan.nii")
    assert_allclose(read_volume(tmp_path / "scan.nii").spacing_mm, [2 * in_mm] * 3)


def test_components_of_a_vector_image_come_after_its_only_point_in_time(tmp_path: Path) -> None:
    both = np.stack([COUNTING, COUNTING[::-1]], axis=-1)[:, :, :, None]
    write_nifti(tmp_path / "scan.nii.gz", both)
    for channel, expected in enumerate((COUNTING, COUNTING[::-1])):
        assert_array_equal(read_volume(tmp_path / "scan.nii.gz", channel).voxels, expected)
    image = SimpleITK.Compose([SimpleITK.GetImageFromArray(it.transpose(2, 1, 0)) for it in (COUNTING, COUNTING[::-1])])
    SimpleITK.WriteImage(image, str(tmp_path / "itk.nii.gz"))
    assert_array_equal(read_volume(tmp_path / "itk.nii.gz", 1).voxels, COUNTING[::-1])
    write_nifti(tmp_path / "film.nii.gz", np.zeros((2, 3, 4, 5, 2), np.float32))
    with pytest.raises(DataError, match="2x3x4x5x2 voxels"):
        read_volume(tmp_path / "film.nii.gz", 0)


def test_a_label_map_may_have_kept_either_coordinate_system_of_its_image(tmp_path: Path) -> None:
    moved = RAS + np.array([[0, 0, 0, 12.0]] + [[0] * 4] * 3)
    image = nib.Nifti1Image(tiny_head(), None)
    image.set_qform(RAS, 1)
    image.set_sform(moved, 4)
    nib.save(image, tmp_path / "scan.nii")
    label = nib.Nifti1Image(tiny_label(1), None)
    label.set_qform(RAS, 1)
    label.set_sform(None, 0)
    nib.save(label, tmp_path / "seg.nii")
    both = read_volume(tmp_path / "scan.nii"), read_volume(tmp_path / "seg.nii")
    assert_allclose(both[0].affine, moved)
    check_same_grid("a", *both)
    far = Volume(Path("seg.nii"), tiny_label(1), RAS + 5 * (moved - RAS))
    with pytest.raises(DataError, match="up to 48 mm apart"):
        check_same_grid("a", both[0], far)


@pytest.mark.parametrize("suffix", [".mgz", ".mgh"])
def test_freesurfer_s_format(tmp_path: Path, suffix: str) -> None:
    affine = np.array([[-2.0, 0, 0, 9], [0, 0, 1.5, -4], [0, 3, 0, 5], [0, 0, 0, 1]])
    nib.save(nib.MGHImage(COUNTING, affine), tmp_path / f"scan{suffix}")
    volume = read_volume(tmp_path / f"scan{suffix}")
    assert volume.oriented
    assert_array_equal(volume.voxels, COUNTING)
    assert_allclose(volume.affine, affine, atol=1e-5)


def write_dicom(folder: Path, voxels: np.ndarray, heights: list[float], series: str = "1.2.3") -> Path:
    """Axial slices, [x, y, z] in LPS with 2 mm pixels, at these heights; written last slice first."""
    folder.mkdir(parents=True, exist_ok=True)
    writer = SimpleITK.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for number in reversed(range(voxels.shape[2])):
        image = SimpleITK.GetImageFromArray(voxels[:, :, number].T.astype(np.int16))
        image.SetSpacing((2.0, 2.0))
        tags = {
            "0008|0060": "MR", "0020|000e": series, "0020|000d": "1.2", "0008|0018": f"{series}.{number}",
            "0020|0032": f"0\\0\\{heights[number]}", "0020|0037": "1\\0\\0\\0\\1\\0", "0020|0013": str(number),
        }  # fmt: skip
        for tag, value in tags.items():
            image.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{series}-{number:03d}.dcm"))
        writer.Execute(image)
    return folder


def test_a_folder_of_dicom_slices_is_a_volume(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    volume = read_volume(write_dicom(tmp_path / "T1", COUNTING, [0.0, 3.0, 6.0, 9.0]))
    assert_array_equal(volume.voxels, COUNTING)
    assert_allclose(volume.affine, np.diag([-2.0, -2.0, 3.0, 1.0]))
    assert capfd.readouterr().err == ""


def test_folders_that_are_no_volume_are_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DataError, match="slices lie 3 to 6 mm apart; is one missing"):
        read_volume(write_dicom(tmp_path / "gap", COUNTING, [0.0, 3.0, 6.0, 12.0]))
    two = write_dicom(write_dicom(tmp_path / "two", COUNTING, [0.0, 3, 6, 9]), COUNTING, [0.0, 3, 6, 9], series="1.2.4")
    with pytest.raises(DataError, match="holds 2 DICOM series"):
        read_volume(two)
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="a folder that holds no DICOM slices"):
        read_volume(tmp_path / "none")
    assert capfd.readouterr().err == ""


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
