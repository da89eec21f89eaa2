"""Compressed files read as one stream in blocks of whole lines, checked to the last byte, nothing
extracted to disk.
"""

import contextlib
import gzip
import lzma
import queue
import tarfile
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

import numpy as np
import pyarrow as pa
import rapidgzip
from isal import igzip, isal_zlib

from skipwise.core.errors import UserError
from skipwise.core.log import logger

DAMAGE: tuple[type[Exception], ...] = (
    tarfile.TarError,
    EOFError,
    lzma.LZMAError,
    zlib.error,
    gzip.BadGzipFile,
    cast(type[Exception], isal_zlib.error),  # its stub has an instance
)
# Also a zip that is packed in an unknown way or needs a password.
ZIP_DAMAGE: tuple[type[Exception], ...] = (
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
    *DAMAGE,
)

# Bytes of text in a block: enough for a parser to work in parallel, few enough for the allocator to
# use memory again.
BLOCK = 2**24
_READ = 2**20
_BZ2_THREADS = 2
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

T = TypeVar("T")


@dataclass(frozen=True)
class Block:
    """Whole lines of one text file.

    ``name`` stands for the file in messages.  ``text`` starts with the line of column names, which
    every block of a file repeats; ``first_line`` is the number in the file, from 1, of the line
    after it.  ``last`` marks the end of the file.
    """

    name: str
    text: bytes
    first_line: int
    last: bool


def count_byte(text: bytes, byte: bytes) -> int:
    """The number of ``byte`` in ``text``, counted in pieces that stay in the cache.

    Twice as fast as bytes.count.
    """
    codes = np.frombuffer(text, np.uint8)
    pieces = (codes[at : at + 2**16] for at in range(0, len(codes), 2**16))
    return sum(int(np.count_nonzero(piece == ord(byte))) for piece in pieces)


class _Forward:
    """A stream that is read forward only, as the file that tarfile wants.

    Before each header tarfile goes back by the one byte before it, to see that the member was
    whole: that byte is kept. (tarfile's own stream mode would copy everything several times, at a
    third of the speed of decompression.)
    """

    def __init__(self, read: Callable[[int], bytes]):
        self._read = read
        self._last = b""
        self._again = b""
        self._at = 0

    def tell(self) -> int:
        return self._at - len(self._again)

    def seek(self, to: int) -> None:
        if to == self.tell() - 1 and self._last and not self._again:
            self._again = self._last
        while self.tell() < to and self.read(min(_READ, to - self.tell())):
            pass

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes, fewer at the end alone."""
        again, self._again = self._again[:size], self._again[size:]
        read = [again] if again else []
        missing = size - len(again)
        while missing and (more := self._read(missing)):
            read.append(more)
            missing -= len(more)
            self._at += len(more)
        found = read[0] if len(read) == 1 else b"".join(read)
        self._last = found[-1:] or self._last
        return found


def is_archive(path: Path) -> bool:
    """Whether a file may hold several tables."""
    *_, before, last = "", "", *(suffix.lower() for suffix in path.suffixes)
    return last in (".zip", ".tar", ".tgz") or (before == ".tar" and last in _MAGIC.values())


def archive_members(
    path: Path, wanted: Callable[[str], bool]
) -> Iterator[tuple[str, Callable[[int], bytes]]]:
    """Name and ``read(size)`` of each file of a zip or tar whose name is ``wanted``, to be read in
    this order; raises UserError where the archive is damaged.
    """
    if path.suffix.lower() != ".zip":
        yield from tar_members(path, wanted)
        return
    try:
        with zipfile.ZipFile(path) as archive:
            seen: set[str] = set()
            for name in filter(wanted, archive.namelist()):
                _check_is_new(path, name, seen)
                with archive.open(name) as stream:
                    yield name, checked(path, stream.read)
    except ZIP_DAMAGE as error:
        raise damaged(path, error) from error


def _check_is_new(path: Path, name: str, seen: set[str]) -> None:
    """Raise UserError at a member that is there twice: programs that update an archive leave the
    older one in it.
    """
    if name in seen:
        raise UserError(f"{path} holds {name} twice; pack it anew, with one of them")
    seen.add(name)


def checked(path: Path, read: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """``read`` with one line for what is damaged."""

    def read_whole(size: int) -> bytes:
        try:
            return read(size)
        except ZIP_DAMAGE as error:
            raise damaged(path, error) from error

    return read_whole


def tar_members(
    path: Path, wanted: Callable[[str], bool]
) -> Iterator[tuple[str, Callable[[int], bytes]]]:
    """Name and ``read(size)`` of each regular file of a tar, packed or not whatever it is called,
    whose name is ``wanted``, to be read in this order.

    Links, sparse files and everything else are not followed and counted in a warning.  The stream
    is read to its end, where gzip has a checksum, so a damaged or shortened archive is never taken
    for a whole one: raises UserError.
    """
    passed_over = 0
    try:
        with opened(path, _packing(path)) as read:
            stream = _Forward(read)
            with tarfile.open(fileobj=cast(BinaryIO, stream), mode="r:") as archive:
                seen: set[str] = set()
                for member in archive:
                    # tarfile remembers every member, which nobody asks for here.
                    vars(archive)["members"].clear()
                    if member.isreg() and not member.issparse() and wanted(member.name):
                        _check_is_new(path, member.name, seen)
                        content = _Member(path, stream, member)
                        yield member.name, content.read
                        content.pass_over()
                    elif not member.isdir():
                        passed_over += 1
            while read(_READ):
                pass
    except DAMAGE as error:
        raise damaged(path, error) from error
    if passed_over:
        logger.warning(
            "%s: %d members do not belong to the data set and were not read", path, passed_over
        )


class _Member:
    """The bytes of one member; a header that claims more than there is, is damage."""

    def __init__(self, path: Path, stream: _Forward, member: tarfile.TarInfo):
        self._path, self._stream, self._left = path, stream, member.size

    def read(self, size: int) -> bytes:
        try:
            found = self._stream.read(min(size, self._left))
        except DAMAGE as error:
            raise damaged(self._path, error) from error
        if not found and size and self._left:
            raise damaged(
                self._path,
                EOFError(f"a member ends {self._left} bytes before the size in its header"),
            )
        self._left -= len(found)
        return found

    def pass_over(self) -> None:
        while self._left:
            self.read(_READ)


_OPENERS: dict[str, Callable] = {".gz": igzip.open, ".tgz": igzip.open, ".xz": lzma.open}
_MAGIC = {b"\x1f\x8b": ".gz", b"BZh": ".bz2", b"\xfd7zXZ": ".xz", b"\x28\xb5\x2f\xfd": ".zst"}


def _packing(path: Path) -> str:
    """How a file is packed, by its first bytes: a partial download has another name."""
    with path.open("rb") as stream:
        head = stream.read(8)
    return next((suffix for magic, suffix in _MAGIC.items() if head.startswith(magic)), "")


@contextlib.contextmanager
def opened(path: Path, packing: str | None = None) -> Iterator[Callable[[int], bytes]]:
    """``read(size)`` of a file, unpacked if its name ends with ``.gz``, ``.tgz``, ``.bz2``, ``.xz``
    or ``.zst``, or as such an ending ``packing`` says.

    Raises UserError if it is damaged.
    """
    packing = path.suffix.lower() if packing is None else packing
    try:
        if packing == ".bz2":
            with _opened_bz2(path) as read:
                yield read
        elif packing == ".zst":
            with _opened_zst(path) as read:
                yield read
        else:
            unpack = _OPENERS.get(packing, Path.open)
            with unpack(path, mode="rb") as stream:
                yield stream.read
    except DAMAGE as error:
        raise damaged(path, error) from error


@contextlib.contextmanager
def _opened_bz2(path: Path) -> Iterator[Callable[[int], bytes]]:
    """``read(size)`` of a bz2 file of any number of streams, unpacked in parallel.

    Raises EOFError if it is damaged, cut short or has bytes behind its end.
    """
    size = path.stat().st_size
    if not size:
        yield lambda _: b""
        return
    try:
        stream = rapidgzip.IndexedBzip2File(str(path), parallelization=_BZ2_THREADS)
    except ValueError as error:
        raise EOFError(error) from error

    def read(wanted: int) -> bytes:
        try:
            text = stream.read(wanted)
        except (RuntimeError, ValueError) as error:
            raise EOFError(error) from error
        # The last block, an empty one, marks the end; its place is in bits.
        if not text and max(stream.block_offsets()) // 8 != size:
            raise EOFError("it has bytes behind the end of its last stream")
        return text

    with stream:
        yield read


@contextlib.contextmanager
def _opened_zst(path: Path) -> Iterator[Callable[[int], bytes]]:
    """``read(size)`` of a zst file; raises EOFError if it is damaged or cut short."""
    with pa.CompressedInputStream(pa.OSFile(str(path)), "zstd") as stream:

        def read(size: int) -> bytes:
            try:
                return stream.read(size)
            except OSError as error:
                raise EOFError(error) from error

        yield read


def text_blocks(
    read: Callable[[int], bytes], name: str, *, names: bytes | None = None
) -> Iterator[Block]:
    """The lines of a text in blocks of about ``BLOCK`` bytes; raises UserError where it is empty or
    has no lines.

    The first line is that of the column names, unless ``names`` gives them, separated as in the
    file.
    """
    size = min(_READ, BLOCK)
    text = read(size).removeprefix(_BYTE_ORDER_MARK)
    if not text or text.isspace():
        raise UserError(f"{name} is empty; get the file again")
    first_line = 1
    if names is None:
        names, _, text = text.partition(b"\n")
        first_line = 2
    names += b"\n"
    # What is read goes into a block with a single copy, which is what a block costs beside
    # decompression.
    parts, held = [names, text], len(text)
    while more := read(size):
        parts.append(more)
        held += len(more)
        end = more.rfind(b"\n") + 1
        if held >= BLOCK and end:
            parts[-1] = more[:end]
            block = b"".join(parts)
            yield Block(name, block, first_line, False)
            first_line += count_byte(block, b"\n") - 1
            parts, held = [names, more[end:]], len(more) - end
        elif held > 2 * BLOCK + size:
            raise UserError(
                f"{name} has a line of more than {BLOCK} bytes; this is not a table of text"
            )
    yield Block(name, b"".join(parts), first_line, True)


def prefetched(items: Iterator[T], ahead: int = 1) -> Iterator[T]:
    """The same items, made in a thread while the last one is used: it reads during parsing."""
    made: queue.Queue = queue.Queue(ahead)
    stopped = threading.Event()

    def put(item) -> None:
        while not stopped.is_set():
            with contextlib.suppress(queue.Full):
                made.put(item, timeout=0.1)
                return

    def make() -> None:
        try:
            for item in items:
                put((item, None))
                if stopped.is_set():
                    return
            put((None, StopIteration()))
        except BaseException as error:
            put((None, error))

    thread = threading.Thread(target=make, daemon=True)
    thread.start()
    try:
        while True:
            item, error = made.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item
    finally:
        stopped.set()
        thread.join()


def damaged(path: Path | str, error: Exception) -> UserError:
    """The error for a file that does not decompress, in one line."""
    what = " ".join(str(error).split())
    return UserError(
        f"{path} is damaged or cut short ({what}); get it again and compare its size or checksum "
        "with the source"
    )
