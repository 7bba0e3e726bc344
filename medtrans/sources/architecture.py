"""The network of a bundle, read from its ``configs/inference.json`` without MONAI's configuration parser.

That parser evaluates ``$`` expressions and calls any ``_target_``. Here a reference ``@name`` is looked up among the
plain values of the same file, and everything else that is not a plain value is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from medtrans.errors import BundleError, NetworkError
from medtrans.networks import network_arguments
from medtrans.sources.files import Document

_MAX_DEPTH = 8
_MAX_TRANSFORMS = 10_000  # and lists of them
_MAX_REFERENCES = 16  # that lead to one another


def read_network_definition(inference: Document) -> dict[str, Any]:
    """Read the architecture and its arguments under ``network_def``, references resolved.

    Raises:
        BundleError: an architecture that is not on the list, an expression, or an argument it does not know.
    """
    definition = _resolved(inference, inference.get("network_def", kind=dict), "network_def")
    try:
        network_arguments(definition)
    except NetworkError as error:
        raise BundleError(f"{inference.file}: key 'network_def': {error}") from error
    return dict(definition)


def read_activation(inference: Document, out_channels: int) -> str:
    """``"sigmoid"`` if the post-processing says so, that is if classes may overlap; otherwise ``"softmax"``.

    Raises:
        BundleError: the network has one output channel, of which a softmax says nothing, and no sigmoid is written.
    """
    for transform in _transforms(inference, inference.content.get("postprocessing")):
        said = _looked_up_or_none(inference, transform.get("sigmoid"))
        if said is True or (isinstance(said, list) and True in said):
            return "sigmoid"
    if out_channels == 1:
        raise BundleError(
            f"{inference.file}: key 'postprocessing': the network has one output channel, but no transform says "
            "sigmoid: true; write it there"
        )
    return "softmax"


def _transforms(inference: Document, value: Any) -> Iterator[dict[str, Any]]:
    """The transforms of a post-processing that are not switched off: of lists, nested Composes and references.

    Raises BundleError for more than anybody writes: lists of references to lists multiply.
    """
    waiting, n_seen = [value], 0
    while waiting:
        n_seen += 1
        if n_seen + len(waiting) > _MAX_TRANSFORMS:
            raise BundleError(f"{inference.file}: key 'postprocessing' has more than {_MAX_TRANSFORMS} parts")
        found = _looked_up_or_none(inference, waiting.pop())
        if isinstance(found, list):
            waiting += found
        elif isinstance(found, dict) and _looked_up_or_none(inference, found.get("_disabled_")) is not True:
            yield found
            waiting.append(found.get("transforms"))


def _looked_up_or_none(inference: Document, value: Any) -> Any:
    """As `_looked_up`; None where a reference leads nowhere, as those to what medtrans does not read may."""
    try:
        return _looked_up(inference, value, "postprocessing")
    except BundleError:
        return None


def _resolved(inference: Document, value: Any, where: str, depth: int = 0) -> Any:
    if depth > _MAX_DEPTH:
        raise BundleError(f"{inference.file}: key '{where}' is nested deeper than {_MAX_DEPTH}")
    if isinstance(value, dict):
        return {key: _resolved(inference, item, f"{where}.{key}", depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolved(inference, item, where, depth + 1) for item in value]
    return _looked_up(inference, value, where)


def _looked_up(inference: Document, value: Any, where: str) -> Any:
    """Follow ``@name`` to a value; references inside that value stay, and are refused as expressions."""
    found = value
    for _ in range(_MAX_REFERENCES):
        if not isinstance(found, str) or not found.startswith("@"):
            return found
        found = inference.get(*found[1:].replace("#", "::").split("::"), kind=object)
    raise BundleError(f"{inference.file}: key '{where}': '{value}' refers to itself")
