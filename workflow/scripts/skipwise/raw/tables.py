"""Tables that a person has, read some rows at a time: delimited text, json and parquet.

Compressed or not, every row is given or rejected with its line and a reason; nothing is lost.
"""

import codecs
import contextlib
import csv
import fnmatch
import json
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from skipwise.core.errors import UserError
from skipwise.raw.archives import (
    ZIP_DAMAGE,
    Block,
    archive_members,
    checked,
    damaged,
    is_archive,
    opened,
    prefetched,
    tar_members,
    text_blocks,
)
from skipwise.raw.tabular import REJECTED, Layout, check_columns, check_is_text, parse_block

_PACKED = (".gz", ".tgz", ".bz2", ".xz", ".zst", ".zip", ".tar")
_JSON = (".json", ".ndjson", ".jsonl", ".listens")  # the last one is ListenBrainz's ndjson
# Arrays of json in these are read as a stream, in others by DuckDB, which is faster.
_STREAMED = (".zip", ".tar", ".tgz", ".bz2", ".xz")
_SEPARATORS = (",", "\t", ";", "|")
_ROWS = 2**18  # of parquet and json at a time
_LONGEST = 2**20  # bytes of one record
_LARGE = 2**22  # bytes of a member of a tar that are not passed over for a look
_END = "\x1f\n"  # a line after the last one: within a quote, or a record of its own
_HEAD = 2**20
_IS_NAME = re.compile(r"[^,\t;|]*\w[^,\t;|]*$")  # a column's name, without another separator
_BETWEEN = re.compile(r"[\s,]*")  # what stands between two elements of an array of json


class Dialect(NamedTuple):
    """How delimited text is written.

    ``separator`` None is the one with which the wanted columns are found, ``quote`` None means that
    quotes are ordinary characters, ``null_values`` are texts that stand for a missing cell, and
    ``names`` are the columns of a text without a header.
    """

    separator: str | None = None
    quote: str | None = '"'
    null_values: tuple[str, ...] = ()
    names: tuple[str, ...] | None = None

    @classmethod
    def of(cls, entry: dict) -> "Dialect":
        """The dialect that the entry of a data set gives."""
        given = {key: entry[key] for key in ("separator", "quote") if key in entry}
        return cls(**given, null_values=tuple(entry.get("null_values", ())))


class Rows(NamedTuple):
    """Some rows of a table with the line of each, and those rejected as ``line`` and ``reason``.

    ``name`` stands for the file in messages; lines count from 1, in parquet and json arrays rows.
    """

    name: str
    rows: pl.DataFrame
    lines: pl.Series
    wrong: pl.DataFrame


def read_rows(
    path: Path,
    wanted: list[str] | None,
    dialect: Dialect | None = None,
    *,
    optional: tuple[str, ...] = (),
    members: tuple[str, ...] = ("*",),
    known: tuple[str, ...] = (),
) -> Iterator[Rows]:
    """The wanted columns (None: all, ``known`` ones among them) of a table, some rows at a time.

    Cells of text are text, null if they are empty; those of parquet are as they are.  A column that
    the file does not have is taken from a folder ``column=value`` above it; an ``optional`` one is
    null then.  Of an archive the members are read whose names match a pattern of ``members``.
    Raises UserError if the file cannot be read, lacks a column, or opens a quote that does not
    close.
    """
    dialect = dialect or Dialect()
    kind = _kind_inside(path, members)
    above = folder_columns(path)
    take = _Columns(wanted, optional, above, known)
    if kind in (".parquet", ".pq"):
        found = _parquet(path, take)
    elif kind in _JSON:
        found = _json(path, take, members)
    else:
        found = _delimited(path, take, dialect, members)
    for name, rows, lines, wrong in found:
        constants = [
            pl.lit(unquote(above[column]) if column in above else None, pl.String).alias(column)
            for column in (*(wanted or ()), *optional)
            if column not in rows.columns
        ]
        rows = rows.with_columns(*constants)
        check_flat(rows, wanted or (), name)
        if dialect.null_values:
            text = pl.col(pl.String)
            rows = rows.with_columns(pl.when(~text.is_in(dialect.null_values)).then(text))
        yield Rows(name, rows, lines, wrong)


def folder_columns(path: Path) -> dict[str, str]:
    """The columns that folders ``column=value`` above a file are, with their values as written."""
    parts = (part.partition("=") for part in path.absolute().parent.parts)
    return {name: value for name, equals, value in parts if name and equals}


class _Columns(NamedTuple):
    """The columns that are to be read of a file that may have others.

    ``above`` has the values of columns that are folders above the file; where all columns are
    wanted, the separator is the one with which the ``known`` ones are there.
    """

    wanted: list[str] | None
    optional: tuple[str, ...]
    above: dict[str, str]
    known: tuple[str, ...]

    def of(self, present: list[str], name: str) -> list[str]:
        """Those of the columns ``present`` in a file; raises UserError if a wanted one is not."""
        check_columns([*present, *self.above], self.wanted or (), name)
        if self.wanted is None:
            return present
        return [column for column in (*self.wanted, *self.optional) if column in present]


def read_columns(
    path: Path,
    wanted: list[str],
    judged: Callable[[pl.DataFrame], tuple[pl.DataFrame, list[pl.Series]]],
) -> pl.DataFrame:
    """What ``judged`` makes of the wanted columns of a table, read at once.

    It also gives the reasons why rows are wrong, else null; raises UserError for the first one.
    """
    found, unit = [], "row" if counts_rows(path) else "line"
    for name, rows, lines, wrong in read_rows(path, list(dict.fromkeys(wanted))):
        made, reasons = judged(rows)
        odd = pl.DataFrame({"line": lines, "reason": pl.select(pl.coalesce(reasons)).to_series()})
        for line, reason in pl.concat([wrong, odd.drop_nulls()]).sort("line").head(1).iter_rows():
            raise UserError(f"{name}, {unit} {line}: {reason}; correct or remove this row")
        found.append(made)
    if not found:
        raise UserError(f"{path} holds no rows")
    return pl.concat(found)


def check_flat(rows: pl.DataFrame, columns: Iterable[str], name: str) -> None:
    """Raise UserError if one of the columns holds lists or structs."""
    for column in columns:
        kind = rows.schema[column]
        if kind.is_nested():
            raise UserError(
                f"{name}: column '{column}' holds {kind} values; write one row per play"
            )


def counts_rows(path: Path) -> bool:
    """Whether the rows of a file have numbers of their own, and not those of lines."""
    return _kind(path) in (".parquet", ".pq")


def _kind(path: Path) -> str:
    name = path.name.lower()
    while name.endswith(_PACKED):
        name = name.rpartition(".")[0]
    return Path(name).suffix


def _kind_inside(path: Path, members: tuple[str, ...]) -> str:
    """The kind of a table, of an archive that of its first member."""
    if not is_archive(path):
        return _kind(path)
    for name, _ in _members(path, members):
        return _kind(Path(name))
    what = "tables" if members == ("*",) else " or ".join(members)
    raise UserError(f"{path} holds no {what}; it is another archive")


def first_members(path: Path) -> list[str]:
    """The names of all members of a zip, or of a tar those before its first large one."""
    if path.suffix.lower() == ".zip":
        try:
            with zipfile.ZipFile(path) as archive:
                return archive.namelist()
        except ZIP_DAMAGE as error:
            raise damaged(path, error) from error
    names = []
    for name, read in tar_members(path, lambda _: True):
        names.append(name)
        if len(read(_LARGE)) == _LARGE:
            break
    return names


def _members(path: Path, patterns: tuple[str, ...]) -> Iterator[tuple[str, Callable[[int], bytes]]]:
    """Name and ``read(size)`` of the members of an archive that match a pattern."""

    def is_wanted(name: str) -> bool:
        junk = name.endswith("/") or name.startswith("__MACOSX/")
        return not junk and any(fnmatch.fnmatch(name, pattern) for pattern in patterns)

    if path.suffix.lower() == ".zip":
        _check_kinds(path, [*filter(is_wanted, first_members(path))])
    yield from archive_members(path, is_wanted)


def _check_kinds(path: Path, names: list[str]) -> None:
    """Raise UserError if members of an archive are not text tables of one kind."""
    kinds = {_kind(Path(name)) for name in names}
    if len(kinds) > 1 or kinds & {".parquet", ".pq"}:
        raise UserError(
            f"{path} holds {', '.join(names[:5])}; give an archive of text tables of one kind, or "
            "unpack it"
        )


@contextlib.contextmanager
def _readable(path: Path, what: str, *errors: type[Exception]) -> Iterator[None]:
    """Raise UserError in one line for an error of a library that reads ``what``; ``errors`` are
    those of a library that only some readers need.
    """
    try:
        yield
    except (pa.ArrowException, pl.exceptions.PolarsError, OSError, *errors) as error:
        said = " ".join(str(error).split())[:200]
        raise UserError(f"{path} is not a readable {what} file ({said}); get it again") from error


def _parquet(path: Path, take: _Columns) -> Iterator[Rows]:
    if path.suffix.lower() in _PACKED:
        raise UserError(f"{path} is a packed parquet file; unpack it first")
    with _readable(path, "parquet"), pq.ParquetFile(path) as file:
        present = file.schema_arrow.names
        columns = take.of(present, str(path))
        for column in columns:
            if present.count(column) > 1:
                raise _twice(str(path), column)
        first, empty = 1, True
        for batch in file.iter_batches(_ROWS, columns=columns):
            yield _parquet_rows(path, batch, first)
            first, empty = first + batch.num_rows, False
        if empty:
            batch = file.schema_arrow.empty_table().select(columns).combine_chunks()
            yield _parquet_rows(path, batch, first)


def _parquet_rows(path: Path, batch: pa.RecordBatch | pa.Table, first: int) -> Rows:
    """A batch from row ``first`` on; dictionaries as their values, UUIDs and bytes as text."""
    columns = {}
    for name in batch.schema.names:
        column = batch.column(name)
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if pa.types.is_decimal256(column.type):  # which polars cannot read
            column = column.cast(pa.decimal128(38, column.type.scale))
        if isinstance(column.type, pa.UuidType):
            column = pa.array([None if at is None else str(at) for at in column.to_pylist()])
        elif isinstance(column.type, pa.BaseExtensionType):  # such as json
            column = column.cast(column.type.storage_type)
        columns[name] = column
    lines = pl.int_range(first, first + batch.num_rows, dtype=pl.Int64, eager=True)
    rows = pl.DataFrame(pa.table(columns))
    for column in rows.select(pl.col(pl.Binary)):
        texts = pl.Series(column.name, [_text(held) for held in column], dtype=pl.String)
        rows = rows.with_columns(texts)
    return Rows(str(path), rows, lines, pl.DataFrame(schema=REJECTED))


def _twice(name: str, column: str) -> UserError:
    return UserError(f"{name} has the column '{column}' twice; take one of them out")


def _text(held: bytes | None) -> str | None:
    """Bytes as text, in hexadecimal if they are none."""
    if held is None:
        return None
    try:
        return held.decode()
    except UnicodeDecodeError:
        return held.hex()


def _streams(path: Path, patterns: tuple[str, ...]) -> Iterator[tuple[str, Callable[[int], bytes]]]:
    """Name and ``read(size)`` of a file, unpacked; of every table in an archive."""
    if not is_archive(path):
        with opened(path) as read:
            yield str(path), checked(path, read)
        return
    names = []
    for member, read in _members(path, patterns):
        names.append(member)
        _check_kinds(path, names)
        yield f"{path}, {member}", read


def _json(path: Path, take: _Columns, members: tuple[str, ...]) -> Iterator[Rows]:
    """Objects, one per line or in an array; every value is text, that of an object or list json."""
    import duckdb  # only for json: a recommendation does without

    for name, read in _streams(path, members):
        names: list[str] | None = None
        with duckdb.connect(config={"threads": 1}) as connection:
            for objects in _objects(path, name, read):
                connection.register("lines", objects.to_arrow())
                connection.execute(
                    "create or replace temp table objects as select line, text, "
                    "if(json_type(object) = 'OBJECT', object, null) as object "
                    "from (select *, try_cast(text as json) as object from lines)"
                )
                if names is None:
                    keys = "select distinct unnest(json_keys(object)) as key from objects"
                    present = [key for (key,) in connection.sql(f"{keys} order by key").fetchall()]
                    if not present and len(objects):
                        raise UserError(
                            f"{name}, line {objects['line'][0]}: not a json object; write one "
                            "object per line, or an array of objects"
                        )
                    # Later objects may have keys that these do not.
                    later = (column for column in take.optional if column not in take.above)
                    names = list(dict.fromkeys([*take.of(present, name), *later]))
                paths = ["/" + key.replace("~", "~0").replace("/", "~1") for key in names]
                sound = (
                    "select line, json_extract_string(object, $paths) as cells from objects "
                    "where object is not null order by line"
                )
                wrong = (
                    "select line, 'not a json object in utf-8' as reason from objects "
                    "where object is null order by line"
                )
                rows = connection.sql(sound, params={"paths": paths}).pl()
                rejected = connection.sql(wrong).pl()
                cells = rows.select(
                    pl.col("cells").list.get(at).replace("", None).alias(key)
                    for at, key in enumerate(names)
                )
                lines = rows["line"].cast(pl.Int64)
                yield Rows(name, cells, lines, rejected.cast(dict(REJECTED)))


def _objects(path: Path, name: str, read: Callable[[int], bytes]) -> Iterator[pl.DataFrame]:
    """``line`` and ``text`` of json objects, some at a time; an array counts its elements."""
    head = read(_HEAD)
    first, _, rest = head.removeprefix(codecs.BOM_UTF8).lstrip().partition(b"\n")
    # A line that is an array by itself is one of lines that are no objects, and is named as such.
    if first.startswith(b"[") and not (rest.strip() and _is_json(first)):
        is_streamed = is_archive(path) or path.suffix.lower() in _STREAMED
        yield from _elements(name, head, read) if is_streamed else _elements_of(path)
        return
    pending = [head]
    again = text_blocks(lambda size: pending.pop() if pending else read(size), name, names=b"")
    for block in again:
        try:
            text = block.text[1:].decode()
        except UnicodeDecodeError:
            text = "\n".join(map(_decoded, block.text[1:].split(b"\n")))
        lines = pl.DataFrame({"text": pl.Series([text]).str.split("\n").explode()})
        lines = lines.with_row_index("line", block.first_line)
        yield lines.filter(pl.col("text").str.strip_chars(" \t\r") != "")


def _is_json(text: bytes) -> bool:
    """Whether text is one value of json."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _elements_of(path: Path) -> Iterator[pl.DataFrame]:
    """``line`` and ``text`` of the elements of a file that is an array of json."""
    import duckdb

    statement = "from read_json_objects($path, format = 'array')"
    with (
        _readable(path, "json", duckdb.Error),
        duckdb.connect(config={"threads": 1}) as connection,
    ):
        number = 1
        found = connection.sql(statement, params={"path": str(path)})
        for batch in found.to_arrow_reader(_ROWS):
            texts = pl.DataFrame(pa.table(batch)).to_series().cast(pl.String)
            yield pl.DataFrame({"text": texts}).with_row_index("line", number)
            number += len(texts)


def _elements(name: str, head: bytes, read: Callable[[int], bytes]) -> Iterator[pl.DataFrame]:
    """``line`` and ``text`` of the elements of an array of json, read as a stream."""
    decode, scan = codecs.getincrementaldecoder("utf-8")().decode, json.JSONDecoder().raw_decode
    text, number, ended = "", 1, False
    more = head.removeprefix(codecs.BOM_UTF8).lstrip()[1:] or read(_HEAD)
    while more:
        try:
            text += decode(more)
        except UnicodeDecodeError as error:
            raise UserError(f"{name}: after row {number - 1} it is not valid utf-8") from error
        at, texts = 0, []
        while not ended:
            between = _BETWEEN.match(text, at)
            assert between is not None  # it may be empty
            if text.startswith("]", between.end()):
                at, ended = between.end() + 1, True
                break
            try:
                _, end = scan(text, between.end())
            except json.JSONDecodeError:
                break  # The rest of this element is not read yet.
            texts.append(text[between.end() : end])
            at = end
        text = text[at:]
        if texts:
            yield pl.DataFrame({"text": texts}).with_row_index("line", number)
            number += len(texts)
        if len(text) > _LONGEST + _HEAD:
            break
        more = read(_HEAD)
    if not ended or text.strip():
        raise UserError(f"{name}, row {number}: not readable as json; get the file again")


def _decoded(line: bytes) -> str:
    """A line as text; what is not utf-8 is no json either."""
    try:
        return line.decode()
    except UnicodeDecodeError:
        return "?"


def _delimited(
    path: Path, take: _Columns, dialect: Dialect, members: tuple[str, ...]
) -> Iterator[Rows]:
    given = (dialect.separator or ",").join(dialect.names).encode() if dialect.names else None
    for name, read in _streams(path, members):
        reader = None
        for block in prefetched(text_blocks(read, name, names=given)):
            header, _, body = block.text.partition(b"\n")
            if reader is None:
                reader = _Delimited(name, header, take, dialect)
            yield reader.rows_of(body, block.first_line, last=block.last)


class _Delimited:
    """The blocks of one text file; a record may go on in the next block."""

    def __init__(self, name: str, header: bytes, take: _Columns, dialect: Dialect):
        self._name, self._quote = name, dialect.quote
        present = self._header(header, take, dialect)
        columns = take.of(present, name)
        if take.wanted is None and present.count("") > 1:  # the empty columns of a spreadsheet
            columns = [column for column in columns if column]
        self._present = present
        for column in columns:
            if present.count(column) > 1:
                raise _twice(name, column)
        self._places = {column: present.index(column) for column in columns}
        # Columns by place, as names may hold anything.
        places = dict.fromkeys((f"c{place}" for place in self._places.values()), pl.String)
        self._layout = Layout(places, self._separator, quote=None)
        names = [f"c{place}" for place in range(len(present))]
        self._names = self._separator.join(names).encode() + b"\n"
        self._held = b""

    def _header(self, header: bytes, take: _Columns, dialect: Dialect) -> list[str]:
        """The names of the columns; sets the separator with which the wanted ones are there."""
        check_is_text(header, self._name)
        if b"\r" in header.rstrip(b"\r"):
            raise UserError(
                f"{self._name} ends its lines with a carriage return only; write it with line feeds"
            )
        text = header.rstrip(b"\r").decode("utf-8", "replace")
        default = "\t" if _kind(Path(self._name)) in (".tsv", ".tab") else ","
        found, is_open = {}, {}
        for separator in [dialect.separator] if dialect.separator else [default, *_SEPARATORS]:
            lines = [f"{text}\n", _END]  # of which a quote that is left open swallows the second
            read = [*csv.reader(lines, delimiter=separator, quotechar=dialect.quote or "\0")]
            found[separator] = [cell.strip() for cell in read[0]]
            is_open[separator] = len(read) == 1
        known = {*(take.wanted or take.known)} - take.above.keys()
        # Of a table of which nothing is known, it makes three columns: a user, a track and a time.
        missing = {
            separator: len(known.difference(present))
            if known
            else -min(sum(bool(_IS_NAME.match(cell)) for cell in present), 3)
            for separator, present in found.items()
        }
        self._separator = min(missing, key=missing.__getitem__)
        if is_open[self._separator]:
            raise UserError(
                f"{self._name}: a quote of its first line does not end there; write the names of "
                "the columns without line breaks"
            )
        return found[self._separator]

    def rows_of(self, body: bytes, first_line: int, *, last: bool) -> Rows:
        """The rows of a block without its header."""
        if b"\r" in body:
            body = body.replace(b"\r\n", b"\n").removesuffix(b"\r" if last else b"")
        if self._held:
            first_line -= self._held.count(b"\n")
            body, self._held = self._held + body, b""
        if self._opens_a_cell(body):
            regular = self._regular(body, first_line)
            rows, wrong = regular or self._quoted(body, first_line, last=last)
        else:
            rows, wrong = parse_block(
                Block(self._name, self._names + body, first_line, last), self._layout
            )
        cells = rows.select(
            pl.col(f"c{place}").alias(column) for column, place in self._places.items()
        )
        return Rows(self._name, cells, rows["line"], wrong)

    def _opens_a_cell(self, body: bytes) -> bool:
        """Whether a quote stands at the start of a cell; one elsewhere is an ordinary character."""
        if not self._quote:
            return False
        mark = self._quote.encode()
        starts = (b"\n" + mark, self._separator.encode() + mark)
        return body.startswith(mark) or any(start in body for start in starts)

    def _regular(self, body: bytes, first_line: int) -> tuple | None:
        """The rows of text in which every quote opens or closes a cell of one line and every row
        has all cells; None for any other, which needs a closer look.
        """
        codes = np.frombuffer(body if body.endswith(b"\n") else body + b"\n", np.uint8)
        assert self._quote is not None
        if len(self._present) == 1 and (b"\n\n" in body or body.startswith(b"\n")):
            return None  # an empty line looks like a row of one empty cell
        mark, split = ord(self._quote), ord(self._separator)
        if max(mark, split) > 127:
            return None
        quotes, ends = np.flatnonzero(codes == mark), np.flatnonzero(codes == ord("\n"))
        splits = np.flatnonzero(codes == split)
        opens, closes = quotes[::2], quotes[1::2]
        if len(opens) != len(closes) or (np.searchsorted(quotes, ends) % 2).any():
            return None
        # A doubled quote closes and opens again; any other one has the edge of a cell outside.
        edges = (split, ord("\n"), mark)
        at_edge = np.isin(codes[opens - 1], edges) | (opens == 0)
        if not (at_edge & np.isin(codes[closes + 1], edges)).all():
            return None
        outside = splits[np.searchsorted(quotes, splits) % 2 == 0]
        per_row = np.bincount(np.searchsorted(ends, outside), minlength=len(ends))
        if (per_row != len(self._present) - 1).any():
            return None
        try:
            rows = pl.read_csv(
                self._names + body,
                separator=self._separator,
                quote_char=self._quote,
                columns=list(self._layout.columns),
                infer_schema=False,
            )
        except pl.exceptions.PolarsError:
            return None
        if rows.height != len(ends):
            return None
        rows = rows.select(
            pl.int_range(first_line, first_line + pl.len(), dtype=pl.Int64).alias("line"),
            pl.col(list(self._layout.columns)).replace("", None),
        )
        return rows, pl.DataFrame(schema=REJECTED)

    def _quoted(self, body: bytes, first_line: int, *, last: bool) -> tuple:
        """Records that may hold quotes, as Python's csv reads them, with the line of each."""
        text = body.decode("utf-8", "surrogateescape")
        lines = [f"{line}\n" for line in text.removesuffix("\n").split("\n")]
        reader = csv.reader([*lines, _END], delimiter=self._separator, quotechar=self._quote)
        records, numbers, wrong, start, n = [], [], [], 0, len(self._present)
        while start < len(lines):
            try:
                record = next(reader)
            except csv.Error as error:
                if reader.line_num - start > 1:  # a cell that is longer than the limit
                    raise self._unclosed(first_line + start) from error
                wrong.append((first_line + start, f"not readable as delimited text ({error})"))
                start = reader.line_num
                continue
            begun, start = start, reader.line_num
            if start > len(lines):
                self._held = "".join(lines[begun:]).encode("utf-8", "surrogateescape")
                if last or len(self._held) > _LONGEST:
                    raise self._unclosed(first_line + begun)
                break
            if start - begun > 1 and not self._is_sound(lines[begun:start]):
                raise self._unclosed(first_line + begun)
            if len(record) == n:
                records.append(record)
                numbers.append(first_line + begun)
            elif len(record) > 1 or "".join(record).strip(" \t"):
                reason = f"{len(record)} fields where {n} are expected"
                wrong.append((first_line + begun, reason))
        columns = {f"c{at}": [record[at] for record in records] for at in self._places.values()}
        if not _is_unicode(text):
            broken = [any(map(_is_broken, record)) for record in records]
            wrong += [
                (line, "not valid utf-8")
                for line, is_broken in zip(numbers, broken, strict=True)
                if is_broken
            ]
            keep = [not is_broken for is_broken in broken]
            numbers = [line for line, kept in zip(numbers, keep, strict=True) if kept]
            columns = {
                name: [cell for cell, kept in zip(cells, keep, strict=True) if kept]
                for name, cells in columns.items()
            }
        schema = {"line": pl.Int64(), **dict.fromkeys(columns, pl.String())}
        rows = pl.DataFrame({"line": numbers, **columns}, schema=schema)
        rows = rows.with_columns(pl.col(pl.String).replace("", None))
        return rows, pl.DataFrame(wrong, schema=REJECTED, orient="row")

    def _is_sound(self, lines: list[str]) -> bool:
        """Whether lines are one record by the letter: each quote that closes ends its cell."""
        try:
            (record,) = csv.reader(
                lines, delimiter=self._separator, quotechar=self._quote, strict=True
            )
        except (csv.Error, ValueError):
            return False
        return len(record) == len(self._present)

    def _unclosed(self, line: int) -> UserError:
        return UserError(
            f"{self._name}, line {line}: a quote opens and does not close; correct this row, or "
            "set quote: null if quotes are ordinary characters"
        )


def _is_unicode(text: str) -> bool:
    return text.isascii() or not _is_broken(text)


def _is_broken(text: str) -> bool:
    """Whether text has bytes that are not utf-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
