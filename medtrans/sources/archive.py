"""The zip file that weights come in, looked at before anything in it is taken for an array."""

from __future__ import annotations

import zipfile
import zlib
from collections import Counter
from pathlib import Path

from medtrans.errors import BundleError, one_line


def check_archive(file: Path) -> None:
    """Refuse a zip file that torch would read otherwise than it was written: torch does not look at its checksums.

    A file that is no zip at all passes, as torch reads older formats too. What is kept is as large as what is read, as
    torch writes it: no member is packed, so that a file of kilobytes cannot become gigabytes.

    Raises:
        BundleError: members that are packed or come twice, or whose checksum is not theirs.
    """
    if not zipfile.is_zipfile(file):
        return
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            if any(it.compress_type != zipfile.ZIP_STORED or it.file_size != it.compress_size for it in members):
                raise BundleError(f"{file}: refused, its zip members are packed, as torch never writes them")
            name, times = Counter(it.filename for it in members).most_common(1)[0] if members else ("", 0)
            if times > 1:
                raise BundleError(f"{file}: refused, its zip member {name[:80]!r} is there {times} times")
            if sum(it.file_size for it in members) > file.stat().st_size:
                raise BundleError(f"{file}: refused, its zip members claim more bytes than the file has")
            damaged = archive.testzip()
    except (OSError, EOFError, ValueError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise BundleError(
            f"{file}: refused, its zip directory is damaged ({one_line(error, 80)}); copy it again"
        ) from error
    if damaged is not None:
        raise BundleError(f"{file}: damaged, {damaged[:80]!r} in it is not what was written; copy it again")
