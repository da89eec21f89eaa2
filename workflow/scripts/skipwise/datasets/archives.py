"""Compressed tar archives read as one stream, checked to the last byte, nothing extracted to disk."""

import gzip
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from skipwise.errors import UserError
from skipwise.log import logger

DAMAGE = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile)


def tar_members(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each regular file of a ``.tar.gz`` whose name is ``wanted``.

    Links and everything else are not followed and counted in a warning.  The stream is read to its end, where gzip has a
    checksum, so a damaged or shortened archive is never taken for a whole one: raises UserError.
    """
    passed_over = 0
    try:
        with gzip.open(path) as stream:
            with tarfile.open(fileobj=stream, mode="r|") as archive:
                for member in archive:
                    if member.isfile() and wanted(member.name):
                        yield member.name, archive.extractfile(member).read()
                    elif not member.isdir():
                        passed_over += 1
            while stream.read(2**20):
                pass
    except DAMAGE as error:
        raise damaged(path, error) from error
    if passed_over:
        logger.warning("%s: %d members do not belong to the data set and were not read", path, passed_over)


def decompressed(path: Path) -> bytes:
    """The bytes of a file, unpacked where its name ends with ``.gz``."""
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def damaged(path: Path, error: Exception) -> UserError:
    """What to say of a file that does not decompress."""
    return UserError(f"{path} is damaged or cut short ({error}); get it again and compare its size or checksum with the source")
