"""From one file to voxels in a stated axis order.

Whatever the format, an array is indexed ``[x, y, z]`` and its affine maps voxel indices to millimetres in the RAS
convention: x grows to the patient's right, y to the front, z to the head. NIfTI and Analyze are read by nibabel, which
works that way; everything else by SimpleITK, which works in LPS with arrays ``[z, y, x]`` and is converted here.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medtrans.data.layouts.dataset import coding_for
from medtrans.errors import DataError

_NIBABEL_SUFFIXES = (".nii", ".nii.gz", ".hdr", ".img", ".hdr.gz", ".img.gz")
_GRID_TOLERANCE = 0.1  # of a voxel; scanners' and converters' rounding stays far below it


@dataclass(frozen=True, eq=False)
class Volume:
    """One scalar volume.

    Attributes:
        path: where it was read from, for messages.
        voxels: shape (x, y, z), in the dtype of the file (scaled values if the file asks for scaling).
        affine: float64, shape (4, 4): voxel indices to RAS millimetres.
        oriented: False where the format stores no trustworthy orientation (Analyze, and NIfTI without a coordinate
            system); the affine is then diagonal, holds nothing but the spacing, and says nothing about anatomy.
    """

    path: Path
    voxels: NDArray[Any]
    affine: NDArray[np.float64]
    oriented: bool = True

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Millimetres between neighbouring voxels along x, y, z of the array."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(x), float(y), float(z)


def read_volume(path: Path, channel: int | None = None) -> Volume:
    """Read a volume, or one channel (last axis) of a 4-D file.

    Trailing axes of length 1 are dropped, leading ones never (they may be genuine). Raises DataError where the file is
    missing, truncated, not an image, or not three-dimensional.
    """
    if not path.exists():
        raise DataError(f"{path}: no such file; check the root folder")
    read = _read_by_nibabel if path.name.lower().endswith(_NIBABEL_SUFFIXES) else _read_by_simpleitk
    volume = read(path, channel)
    if volume.voxels.dtype.kind not in "biuf":
        raise DataError(f"{path}: voxels are {volume.voxels.dtype}, not plain numbers; convert it to grey values")
    if volume.voxels.ndim != 3:
        raise DataError(f"{path}: {_size(volume.voxels.shape)} voxels, but three axes are needed; split or convert it")
    if not all(spacing > 0 and np.isfinite(spacing) for spacing in volume.spacing_mm):
        raise DataError(f"{path}: voxel spacing is {volume.spacing_mm} mm; repair the header")
    return volume


def read_image(path: Path, channel: int | None = None) -> Volume:
    """Read intensities as float32; raises DataError for NaN or infinite voxels and for a constant image."""
    volume = read_volume(path, channel)
    voxels = volume.voxels.astype(np.float32, copy=False)
    n_bad = voxels.size - int(np.count_nonzero(np.isfinite(voxels)))
    if n_bad:
        raise DataError(f"{path}: {n_bad} voxels are NaN or infinite; repair the file or leave the case out")
    if voxels.min() == voxels.max():
        raise DataError(f"{path}: every voxel is {voxels.flat[0]:g}; check the file or leave the case out")
    return Volume(path, voxels, volume.affine, volume.oriented)


def read_label(path: Path, codings: Sequence[Mapping[int, int]]) -> Volume:
    """Read a label map as uint8 in the project's own values.

    ``codings`` are the ways in which the values of such a file may be written, each a map from value in the file to own
    value (``IGNORE_LABEL`` for values to ignore). The first one that explains every voxel is applied; where none does,
    DataError names the unexpected value.
    """
    volume = read_volume(path)
    values = _integers(volume)
    coding = coding_for(path, values, codings)
    label = np.zeros(volume.voxels.shape, np.uint8)
    for value in values:
        if coding[value]:
            label[volume.voxels == value] = coding[value]
    return Volume(path, label, volume.affine, volume.oriented)


def check_same_grid(case_id: str, image: Volume, label: Volume) -> None:
    """Raise DataError unless both volumes have the same shape and lie in the same place (to a tenth of a voxel)."""
    if image.voxels.shape != label.voxels.shape:
        raise DataError(
            f"case '{case_id}': image is {_size(image.voxels.shape)} but {label.path.name} is "
            f"{_size(label.voxels.shape)}; were they resampled apart?"
        )
    if image.oriented != label.oriented:
        unknown = label if image.oriented else image
        raise DataError(
            f"case '{case_id}': {unknown.path.name} stores no orientation but its partner does, so they cannot be "
            "matched; convert both to one format"
        )
    far_corner = np.array([*image.voxels.shape, 1.0])
    ends = np.array([[0, 0, 0, 1.0], far_corner, far_corner * [1, 0, 0, 1], far_corner * [0, 1, 0, 1]])
    apart_mm = float(np.abs((image.affine - label.affine) @ ends.T).max())
    if apart_mm > _GRID_TOLERANCE * min(image.spacing_mm):
        raise DataError(
            f"case '{case_id}': {image.path.name} and {label.path.name} lie up to {apart_mm:.3g} mm apart "
            "(their affines differ); resample one onto the other"
        )


def _read_by_nibabel(path: Path, channel: int | None) -> Volume:
    import nibabel
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    try:
        image = nibabel.load(path, mmap=False)  # by what the header says: a .hdr may be Analyze or a NIfTI pair
        voxels = _one_volume(path, image.dataobj, channel)
    except (OSError, EOFError, ValueError, zlib.error, ImageFileError, HeaderDataError) as error:
        raise _unreadable(path, error) from error
    oriented = _has_coordinate_system(image.header)
    affine = image.affine if oriented else np.diag([*image.header.get_zooms()[:3], 1.0])
    return Volume(path, voxels, np.asarray(affine, np.float64), oriented)


def _has_coordinate_system(header: Any) -> bool:
    return "sform_code" in header and bool(header["sform_code"] > 0 or header["qform_code"] > 0)


def _read_by_simpleitk(path: Path, channel: int | None) -> Volume:
    import SimpleITK

    try:
        image = SimpleITK.ReadImage(str(path))
    except RuntimeError as error:
        raise _unreadable(path, error) from error
    n_axes = image.GetDimension()
    if n_axes < 3:
        raise DataError(f"{path}: {_size(image.GetSize())} pixels, but three axes are needed; is it a volume?")
    array = SimpleITK.GetArrayFromImage(
        image
    )  # [..., z, y, x], and a last axis for the components of a pixel if there are any
    spatial = reversed(range(n_axes))
    voxels = _one_volume(path, array.transpose(*spatial, *range(n_axes, array.ndim)), channel)
    direction = np.array(image.GetDirection()).reshape(n_axes, n_axes)[:3, :3]
    affine = np.eye(4)
    affine[:3, :3] = direction * image.GetSpacing()[:3]
    affine[:3, 3] = image.GetOrigin()[:3]
    return Volume(path, voxels, np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine)


def _one_volume(path: Path, data: Any, channel: int | None) -> NDArray[Any]:
    """The only volume of an array (or of nibabel's proxy), or one channel, without trailing axes of length 1."""
    shape = tuple(data.shape)
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if channel is None and len(shape) > 3:
        raise DataError(f"{path}: {_size(shape)} voxels where one volume was expected; name its channels or split it")
    n_channels = shape[3] if len(shape) == 4 else 1
    if channel is not None and channel >= n_channels:
        raise DataError(f"{path}: {_size(shape)} voxels have no channel {channel}; check the list of modalities")
    chosen = data[:, :, :, channel] if len(shape) == 4 else data
    return np.asarray(chosen).reshape(shape[:3])


def _integers(volume: Volume) -> list[int]:
    values = np.unique(volume.voxels)
    broken = values[~np.isfinite(values) | (values != np.rint(values))]
    if broken.size:
        raise DataError(f"{volume.path}: label value {broken[0]:g} is not a whole number; was it resampled linearly?")
    return [int(value) for value in values]


def _unreadable(path: Path, error: Exception) -> DataError:
    if isinstance(error, FileNotFoundError):
        return DataError(f"{path}: its other half is missing; .hdr and .img must stand side by side")
    detail = " ".join(str(error).split())[-120:]
    return DataError(f"{path}: truncated, or not an image file ({detail}); fetch or copy it again")


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
