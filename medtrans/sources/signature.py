"""What a source tells about its training data without the data."""

from __future__ import annotations

import json
import math
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

import numpy as np
from numpy.typing import DTypeLike, NDArray

from medtrans.data.statistics import MeanShape
from medtrans.errors import BundleError, ConfigError, one_line
from medtrans.sources.files import member, read_document
from medtrans.tasks import TaskName

JSON_FILE = "signature/signature.json"
ARRAYS_FILE = "signature/signature.npz"
_FORMAT = 2
_OTHERWISE_PADDED = 1
"""The format whose features came from images padded on both sides, where training and scoring pad at the end."""

_MAX_ARRAY_BYTES = 512 * 2**20

_ARRAYS: Mapping[str, tuple[DTypeLike, tuple[int, ...]]] = {  # name: dtype, allowed numbers of axes
    "features": (np.float32, (2,)),
    "labels": (np.uint8, (1,)),
    "shape_values": (np.float32, (2, 3)),
    "shape_observed": (np.bool_, (1,)),
    "intensity_quantiles": (np.float32, (1,)),
}


@dataclass(frozen=True, eq=False)
class Signature:
    """Features and labels of sampled training pixels, and two statistics over all of them.

    Attributes:
        task: what the source was trained on.
        n_subjects: how many subjects it was trained on.
        features: float32, shape (n, D): penultimate features of the source at n of its training pixels. None where
            they are kept private.
        labels: uint8, shape (n,): the classes of these pixels. None exactly where ``features`` is.
        shape: mean foreground on a grid over the body's box. None for tasks without a background.
        intensity_quantiles: float32, shape (Q,): ascending quantiles of the preprocessed intensities where they are
            not 0.
        is_outdated: whether its features were left out as it was read, because an older medtrans took them from images
            that were padded in another way, so that they are not those that the network is scored and trained on.

    Raises:
        BundleError: arrays that contradict one another, or NaN or infinite values.
    """

    task: TaskName
    n_subjects: int
    features: NDArray[np.float32] | None = None
    labels: NDArray[np.uint8] | None = None
    shape: MeanShape | None = None
    intensity_quantiles: NDArray[np.float32] | None = None
    is_outdated: bool = False

    def __post_init__(self) -> None:
        _check(self)

    def reduced(self) -> Signature:
        """Without the features and labels of single pixels; shape and intensity statistics stay."""
        return replace(self, features=None, labels=None)

    def save(self, folder: str | Path) -> None:
        """Write ``signature/signature.json`` and ``signature/signature.npz`` under the folder. Raises OSError.

        A signature that is already there is replaced once both new files are written.
        """
        files = [Path(folder) / ARRAYS_FILE, Path(folder) / JSON_FILE]
        mark = uuid4().hex[:8]
        arrays, facts = partial = [file.with_name(f".{mark}.{file.name}") for file in files]
        arrays.parent.mkdir(parents=True, exist_ok=True)
        content = {"format": _FORMAT, "task": str(self.task), "n_subjects": self.n_subjects}
        try:
            np.savez(arrays, **_arrays_of(self))  # type: ignore[arg-type]
            facts.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
            for written, file in zip(partial, files, strict=True):
                written.replace(file)
        finally:
            for written in partial:
                written.unlink(missing_ok=True)

    @classmethod
    def load(cls, folder: str | Path) -> Signature:
        """Read what ``save`` wrote, also in the older format, of which the features are left out.

        Raises BundleError for anything else. No pickle is read.
        """
        folder = Path(folder)
        facts = read_document(folder, JSON_FILE)
        written = facts.get("format", kind=int)
        if written not in (_OTHERWISE_PADDED, _FORMAT):
            raise BundleError(f"{facts.file}: format {written} is not read here (up to {_FORMAT}); update medtrans")
        arrays = _read_arrays(member(folder, ARRAYS_FILE))
        try:
            signature = cls(
                task=TaskName.parse(facts.get("task", kind=str)),
                n_subjects=facts.get("n_subjects", kind=int),
                features=arrays.get("features"),
                labels=arrays.get("labels"),
                shape=_shape_of(arrays),
                intensity_quantiles=arrays.get("intensity_quantiles"),
            )
        except (BundleError, ConfigError) as error:
            raise BundleError(f"{facts.file.parent}: {error}") from error
        if written == _FORMAT or signature.features is None:
            return signature
        return replace(signature.reduced(), is_outdated=True)


def _check(signature: Signature) -> None:
    if signature.n_subjects < 1:
        raise BundleError(f"signature of {signature.task}: {signature.n_subjects} subjects; there is at least one")
    features, labels = signature.features, signature.labels
    if (features is None) != (labels is None) or (
        features is not None and labels is not None and len(features) != len(labels)
    ):
        raise BundleError(f"signature of {signature.task}: features and labels differ in number; give both or neither")
    arrays = _arrays_of(signature)
    for name, array in arrays.items():
        dtype, axes = _ARRAYS[name]
        if array.dtype != dtype or array.ndim not in axes or not array.size:
            raise BundleError(f"signature of {signature.task}: {name} is {array.dtype} of shape {array.shape}")
        if not np.isfinite(array).all():
            raise BundleError(f"signature of {signature.task}: {name} holds NaN or infinite values")
    values, observed = arrays.get("shape_values"), arrays.get("shape_observed")
    if values is not None and observed is not None:
        if len(set(values.shape)) > 1 or values.shape[-1:] != observed.shape:
            raise BundleError(f"signature of {signature.task}: shape_values is not a cube with one plane per observed")
        if values.min() < 0 or values.max() > 1:
            raise BundleError(f"signature of {signature.task}: shape_values leaves the range 0 to 1")
    quantiles = signature.intensity_quantiles
    if quantiles is not None and (np.diff(quantiles) < 0).any():
        raise BundleError(f"signature of {signature.task}: intensity_quantiles descend")


def _arrays_of(signature: Signature) -> dict[str, NDArray[Any]]:
    shape = signature.shape
    arrays = {
        "features": signature.features,
        "labels": signature.labels,
        "shape_values": None if shape is None else shape.values,
        "shape_observed": None if shape is None else shape.observed,
        "intensity_quantiles": signature.intensity_quantiles,
    }
    return {name: array for name, array in arrays.items() if array is not None}


def _shape_of(arrays: Mapping[str, NDArray[Any]]) -> MeanShape | None:
    values, observed = arrays.get("shape_values"), arrays.get("shape_observed")
    if values is None and observed is None:
        return None
    if values is None or observed is None:
        raise BundleError("shape_values and shape_observed belong together; one is missing")
    return MeanShape(values, observed)


def _read_arrays(file: Path) -> dict[str, NDArray[Any]]:
    """Read arrays whose headers say what they should; np.load would make room for whatever they claim."""
    try:
        with zipfile.ZipFile(file) as archive:
            return {
                entry.filename.removesuffix(".npy"): _read_array(archive, entry, file) for entry in archive.infolist()
            }
    except OSError as error:
        raise BundleError(f"{file}: cannot be read ({error.strerror or error})") from error
    except (ValueError, EOFError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise BundleError(f"{file}: not an .npz file of plain arrays: {one_line(error)}") from error


def _read_array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, file: Path) -> NDArray[Any]:
    name = entry.filename.removesuffix(".npy")
    if name not in _ARRAYS:
        raise BundleError(f"{file}: unknown array '{name}'")
    dtype = np.dtype(_ARRAYS[name][0])
    with archive.open(entry) as stream:
        shape, found = _read_header(stream)
        n_bytes = math.prod(shape) * dtype.itemsize
        if found != dtype or min(shape, default=1) < 1 or n_bytes > _MAX_ARRAY_BYTES:
            raise BundleError(
                f"{file}: {name} claims to be {found} of shape {shape}; expected {dtype} of sensible size"
            )
        if stream.tell() + n_bytes != entry.file_size:
            raise BundleError(f"{file}: {name} claims shape {shape} but holds {entry.file_size} bytes")
    with archive.open(entry) as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)


def _read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(stream)
    if version != (1, 0):
        raise ValueError(f"array format {version}")
    shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    return shape, dtype
