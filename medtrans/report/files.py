"""Texts into files, whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from medtrans.errors import MedtransError


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 file, whole or not at all, making its folder if need be.

    Raises:
        MedtransError: the file cannot be written.
    """
    write_texts({Path(path): text})


def write_texts(texts: Mapping[Path, str]) -> None:
    """Write UTF-8 files by path, each whole, and none before there is room for all; makes folders if need be.

    Raises:
        MedtransError: a file cannot be written.
    """
    temporaries = {path: path.with_name(f".{path.name}.{os.getpid()}") for path in texts}
    try:
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            temporaries[path].write_text(text, encoding="utf-8")
        for path, temporary in temporaries.items():
            temporary.replace(path)
    except OSError as error:
        raise MedtransError(
            f"{path}: cannot be written ({error.strerror}); choose another folder or free space"
        ) from error
    finally:
        for temporary in temporaries.values():
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
