"""From one file to voxels in a stated axis order.

Whatever the format, an array is indexed ``[x, y, z]`` and its affine maps voxel indices to millimetres in the RAS
convention: x grows to the patient's right, y to the front, z to the head. NIfTI, Analyze and FreeSurfer's MGH are read
by nibabel, which works that way; everything else, folders of DICOM slices among it, by SimpleITK, which works in LPS
with arrays ``[z, y, x]`` and is converted here.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medtrans.data.layouts.dataset import coding_for
from medtrans.errors import DataError, one_line

_NIBABEL_SUFFIXES = (".nii", ".nii.gz", ".hdr", ".img", ".hdr.gz", ".img.gz", ".mgz", ".mgh")
_IMAGE_POSITION = "0020|0032"
_MILLIMETRES = {"meter": 1000.0, "mm": 1.0, "micron": 0.001}
_ROUNDING, _RELATIVE_ROUNDING = 1e-3, 1e-6  # of a label value, by scale factors in single precision
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
        second_affine: of the other coordinate system, where a NIfTI file has two that differ (its qform beside the
            sform, which is taken).
        step: how far apart two neighbouring values of the file can be, where it stores scaled integers; else 0.
    """

    path: Path
    voxels: NDArray[Any]
    affine: NDArray[np.float64]
    oriented: bool = True
    second_affine: NDArray[np.float64] | None = None
    step: float = 0.0

    @property
    def affines(self) -> list[NDArray[np.float64]]:
        """Of every coordinate system that it has, the one that is taken first."""
        return [self.affine] if self.second_affine is None else [self.affine, self.second_affine]

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Millimetres between neighbouring voxels along x, y, z of the array."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(x), float(y), float(z)


def read_volume(path: Path, channel: int | None = None) -> Volume:
    """Read a volume, or one channel (last axis) of a 4-D file, or of a 5-D one with a single point in time.

    Trailing axes of length 1 are dropped, leading ones never (they may be genuine). Lengths in metres or microns become
    millimetres. Raises DataError where the file is
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
    return replace(volume, voxels=voxels)


def read_label(path: Path, codings: Sequence[Mapping[int, int]]) -> Volume:
    """Read a label map in the project's own values, as uint8, or uint16 where they reach beyond 255.

    ``codings`` are the ways in which the values of such a file may be written, each a map from value in the file to own
    value (``IGNORE_LABEL`` for values to ignore). The first one that explains every voxel is applied; where none does,
    DataError names the unexpected value.
    """
    volume = read_volume(path)
    written, values = _integers(volume)
    coding = coding_for(path, values, codings)
    own = np.array([coding[value] for value in values])
    own = own.astype(np.min_scalar_type(int(own.max())))
    return replace(volume, voxels=own[np.searchsorted(written, volume.voxels)])


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
    apart_mm = min(
        _apart_mm(ours, theirs, image.voxels.shape) for ours in image.affines for theirs in label.affines
    )  # a label map drawn on an image may have kept either coordinate system of it
    if apart_mm > _GRID_TOLERANCE * min(image.spacing_mm):
        raise DataError(
            f"case '{case_id}': {image.path.name} and {label.path.name} lie up to {apart_mm:.3g} mm apart "
            "(their affines differ); resample one onto the other"
        )


def _apart_mm(affine: NDArray[np.float64], other: NDArray[np.float64], shape: tuple[int, ...]) -> float:
    """The largest distance along an axis between the places of the same voxel."""
    corners = np.array([[*corner, 1.0] for corner in product(*((0, length) for length in shape))])
    return float(np.abs((affine - other) @ corners.T).max())


def _read_by_nibabel(path: Path, channel: int | None) -> Volume:
    import nibabel
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    try:
        image = nibabel.load(path, mmap=False)  # by what the header says: a .hdr may be Analyze or a NIfTI pair
        voxels = _one_volume(path, image.dataobj, channel)
    except (OSError, EOFError, ValueError, zlib.error, ImageFileError, HeaderDataError) as error:
        raise _unreadable(path, error) from error
    affines = _coordinate_systems(image.header)
    oriented = bool(affines)
    first, *others = affines or [np.diag([*image.header.get_zooms()[:3], 1.0])]
    in_mm = np.diag([*[_MILLIMETRES.get(_length_unit(image.header), 1.0)] * 3, 1.0])
    step = _step(image.dataobj)
    second = in_mm @ others[0] if others and not np.allclose(first, others[0]) else None
    return Volume(path, voxels, np.asarray(in_mm @ first, np.float64), oriented, second, step)


def _coordinate_systems(header: Any) -> list[NDArray[np.float64]]:
    """The affines that a header states, of NIfTI its sform first; none of Analyze."""
    if "goodRASFlag" in header:  # MGH
        return [header.get_affine()] if header["goodRASFlag"] > 0 else []
    if "sform_code" not in header:
        return []
    stated = [("sform_code", header.get_sform), ("qform_code", header.get_qform)]
    return [read() for code, read in stated if header[code] > 0]


def _length_unit(header: Any) -> str:
    return str(header.get_xyzt_units()[0]) if "xyzt_units" in header else "unknown"


def _step(data: Any) -> float:
    """How far apart the values of scaled integers are."""
    slope = getattr(data, "slope", 1.0)
    scaled = slope is not None and slope != 1 and np.isfinite(slope) and np.dtype(data.dtype).kind in "iu"
    return abs(float(slope)) if scaled else 0.0


def _read_by_simpleitk(path: Path, channel: int | None) -> Volume:
    import SimpleITK

    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)  # its lines would stand between ours
    try:
        image = _read_slices(path) if path.is_dir() else SimpleITK.ReadImage(str(path))
    except (RuntimeError, ValueError) as error:  # ValueError: of places of DICOM slices that are no numbers
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


def _read_slices(folder: Path) -> Any:
    """The SimpleITK image of a folder that holds the slices of one DICOM series; DataError for anything else."""
    import SimpleITK

    series = SimpleITK.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    if len(series) != 1:
        found = f"{len(series)} DICOM series" if series else "no DICOM slices"
        raise DataError(f"{folder}: a folder that holds {found}; give an image file, or the slices of one series")
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series[0]))
    reader.MetaDataDictionaryArrayUpdateOn()
    image = reader.Execute()
    n_slices = image.GetSize()[2] if image.GetDimension() > 2 else 1
    if n_slices > 1:
        _check_evenly_spaced(folder, [reader.GetMetaData(i, _IMAGE_POSITION) for i in range(n_slices)])
    return image


def _check_evenly_spaced(folder: Path, positions: Sequence[str]) -> None:
    """Raise DataError where slices are missing or lie unevenly: SimpleITK places all by the distance of two."""
    places = np.array([[float(number) for number in text.split("\\")] for text in positions])
    apart = np.linalg.norm(np.diff(places, axis=0), axis=1)
    if apart.min() <= 0 or apart.max() > 1.05 * apart.min():
        raise DataError(
            f"{folder}: its DICOM slices lie {apart.min():.3g} to {apart.max():.3g} mm apart; is one missing? "
            "Convert the series to one file"
        )


def _one_volume(path: Path, data: Any, channel: int | None) -> NDArray[Any]:
    """The only volume of an array (or of nibabel's proxy), or one channel, without trailing axes of length 1."""
    shape = tuple(data.shape)
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) == 5 and shape[3] == 1:  # a NIfTI vector image: time, of one point, before the components
        data, shape = np.asarray(data[:, :, :, 0, :]), (*shape[:3], shape[4])
    if len(shape) > 4 or (channel is None and len(shape) > 3):
        raise DataError(f"{path}: {_size(shape)} voxels where one volume was expected; name its channels or split it")
    n_channels = shape[3] if len(shape) == 4 else 1
    if channel is not None and channel >= n_channels:
        raise DataError(f"{path}: {_size(shape)} voxels have no channel {channel}; check the list of modalities")
    chosen = data[:, :, :, channel] if len(shape) == 4 else data
    return np.asarray(chosen).reshape(shape[:3])


def _integers(volume: Volume) -> tuple[NDArray[Any], list[int]]:
    """The values of a label map as they are written, in ascending order, and the whole numbers that they mean.

    Where a file stores scaled integers, a whole number comes back rounded to the nearest step; each of them as one
    value, while values that were resampled linearly share their nearest whole number with others.
    """
    written = np.unique(volume.voxels)
    nearest = np.rint(written)
    with np.errstate(invalid="ignore"):  # infinite ones are found below
        off = np.abs(written.astype(np.float64) - nearest)
    exact = off <= np.maximum(_ROUNDING, _RELATIVE_ROUNDING * np.abs(nearest))
    alone = np.unique(nearest, return_counts=True)[1][np.unique(nearest, return_inverse=True)[1]] == 1
    broken = written[~(np.isfinite(written) & (exact | ((off <= 0.51 * volume.step) & alone)))]
    if broken.size:
        raise DataError(f"{volume.path}: label value {broken[0]:.9g} is not a whole number; was it resampled linearly?")
    return written, [int(value) for value in nearest]


def _unreadable(path: Path, error: Exception) -> DataError:
    if isinstance(error, FileNotFoundError):
        return DataError(f"{path}: its other half is missing; .hdr and .img must stand side by side")
    detail = one_line(error, 120)
    return DataError(f"{path}: truncated, or not an image file ({detail}); fetch or copy it again")


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
