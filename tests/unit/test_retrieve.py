"""Downloads from a server on this machine: whole, resumed, from the second address, and checked."""

import contextlib
import gzip
import hashlib
import http.server
import io
import random
import re
import tarfile
import threading

import pytest
from skipwise.core.errors import UserError
from skipwise.raw.checksums import wrong_checksum
from skipwise.raw.retrieve import retrieve_raw

MB = 2**20
CONTENT = random.Random(1).randbytes(4 * MB + 12_345)
MD5 = {"md5": hashlib.md5(CONTENT).hexdigest()}
SHA256 = {"sha256": hashlib.sha256(CONTENT).hexdigest()}


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves by the first part of the path; ``server.requests`` keeps path and Range of every
    request.
    """

    def do_GET(self):
        way = self.path.split("/")[1]
        wanted = self.headers.get("Range")
        self.server.requests.append((way, wanted))
        getattr(self, f"_{way}")(int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted else None)

    def _send(self, status: int, body: bytes, length: int | None = None, **headers: str):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def _good(self, start: int | None, stop: int | None = None):
        """Ranges and all; with ``stop`` the connection ends there."""
        if start is None:
            self._send(200, CONTENT[:stop], len(CONTENT))
        elif start < len(CONTENT):
            span = f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
            self._send(206, CONTENT[start:stop], len(CONTENT) - start, Content_Range=span)
        else:
            self._send(416, b"", Content_Range=f"bytes */{len(CONTENT)}")

    def _drops(self, start: int | None):
        """Every request ends 1.5 MB further on."""
        self._good(start, (start or 0) + 3 * MB // 2)

    def _drops_once(self, start: int | None):
        self._good(start, 5 * MB // 2 if start is None else None)

    def _norange(self, start: int | None):
        self._send(200, CONTENT)

    def _drops_norange(self, start: int | None):
        """Knows no ranges, and breaks off the first time."""
        first = len(self.server.requests) == 1
        self._send(200, CONTENT[: 5 * MB // 2] if first else CONTENT, len(CONTENT))

    def _missing(self, start: int | None):
        self._send(404, b"no such file")

    def _broken(self, start: int | None):
        self._send(500, b"<html>\n<body>sorry</body>\n</html>")

    def _other(self, start: int | None):
        """Another file of the same size."""
        other = bytes(len(CONTENT))
        self._send(200, other) if start is None else self._send(206, other[start:])

    def _too_long(self, start: int | None):
        """Promises more than it has; knows ranges."""
        self._send(200, CONTENT, len(CONTENT) + 100) if start is None else self._good(start)

    def _too_short(self, start: int | None):
        """Promises less than it has."""
        self._send(200, CONTENT, 1000)

    def _unsaid(self, start: int | None):
        """No Content-Length, the end of the connection is the end of the file."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(CONTENT)

    def _moved(self, start: int | None):
        self._send(302, b"", Location="/good/file")

    def _packs(self, start: int | None):
        """Compresses on the way, if the client can read it."""
        if "gzip" in self.headers.get("Accept-Encoding", ""):
            self._send(200, gzip.compress(CONTENT, 1), Content_Encoding="gzip")
        else:
            self._send(200, CONTENT)

    def _labels(self, start: int | None):
        """Says of a .gz file that gzip is its encoding, as some servers do; the file is what it
        sends.
        """
        self._send(200, gzip.compress(CONTENT, 1, mtime=0), Content_Encoding="x-gzip")

    def _breaks_soon(self, start: int | None):
        """Knows no ranges and breaks off before the others."""
        self._send(200, CONTENT[:1000], len(CONTENT))

    def _page(self, start: int | None):
        """Says with status 200 that it does not have the file."""
        self._send(200, b"<html>moved</html>")

    def _stalls(self, start: int | None):
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[:1000])
        self.server.stopped.wait(20)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[tuple[str, str | None]] = []
        self.stopped = threading.Event()

    def url(self, way: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{way}/file"

    def handle_error(self, *_):
        """The client may go away before it has everything."""


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.stopped.set()
        server.shutdown()
        thread.join()


def retrieve(server, path, *ways: str, checksums: dict = MD5, timeout: float = 10) -> None:
    retrieve_raw(path, urls=[server.url(way) for way in ways], checksums=checksums, timeout=timeout)


def failure(server, path, *ways: str, checksums: dict = MD5, timeout: float = 10) -> str:
    """The one line that a download ends with; it names every address and the file, which is not
    there.
    """
    with pytest.raises(UserError) as error:
        retrieve(server, path, *ways, checksums=checksums, timeout=timeout)
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith(f"{path.name} could not be downloaded")
    assert all(server.url(way) in message for way in ways)
    assert "`paths`" in message
    assert not path.exists()
    return message


@pytest.fixture
def path(tmp_path):
    return tmp_path / "raw" / "mine" / "file.bin"


@pytest.fixture
def part(path):
    """Where the partial download is, in a folder that is there."""
    path.parent.mkdir(parents=True)
    return path.with_name("file.bin.part")


@pytest.mark.parametrize(
    "checksums", [{}, MD5, SHA256, MD5 | SHA256], ids=["none", "md5", "sha256", "both"]
)
def test_whole_download(server, path, checksums):
    retrieve(server, path, "good", checksums=checksums)
    assert path.read_bytes() == CONTENT
    assert [file.name for file in path.parent.iterdir()] == ["file.bin"]
    assert server.requests == [("good", None)]


@pytest.mark.parametrize("way", ["norange", "unsaid", "moved"])
def test_whole_download_from_simpler_servers(server, path, way):
    retrieve(server, path, way)
    assert path.read_bytes() == CONTENT


def test_dropped_connection_is_resumed_by_the_next_call(server, path, part):
    assert "drops_once" in failure(server, path, "drops_once")
    kept = part.read_bytes()
    assert len(kept) >= MB
    assert kept == CONTENT[: len(kept)]
    retrieve(server, path, "drops_once")
    assert path.read_bytes() == CONTENT
    assert not part.exists()
    assert server.requests == [("drops_once", None), ("drops_once", f"bytes={len(kept)}-")]


def test_each_call_gets_further(server, path, part):
    sizes = []
    for _ in range(2):
        failure(server, path, "drops")
        sizes.append(part.stat().st_size)
        assert part.read_bytes() == CONTENT[: sizes[-1]]
    assert 0 < sizes[0] < sizes[1] < len(CONTENT)


def test_second_address_goes_on_where_the_first_broke_off(server, path):
    retrieve(server, path, "drops", "good")
    assert path.read_bytes() == CONTENT
    (first, none), (second, wanted) = server.requests
    assert (first, none, second) == ("drops", None, "good")
    assert re.fullmatch(r"bytes=[1-9]\d+-", wanted)


@pytest.mark.parametrize("bad", ["missing", "broken"])
def test_second_address_where_the_first_has_no_file(server, path, caplog, bad):
    with caplog.at_level("WARNING", logger="skipwise"):
        retrieve(server, path, bad, "good")
    assert path.read_bytes() == CONTENT
    assert server.requests == [(bad, None), ("good", None)]
    assert [server.url(bad) in record.getMessage() for record in caplog.records] == [True]


def test_first_address_alone_where_it_serves(server, path):
    retrieve(server, path, "good", "missing")
    assert server.requests == [("good", None)]


def test_no_address_serves(server, path):
    message = failure(server, path, "missing", "broken")
    assert "404" in message
    assert "500" in message


def test_a_missing_file_leaves_the_partial_download_alone(server, path, part):
    part.write_bytes(CONTENT[:MB])
    failure(server, path, "missing")
    assert part.read_bytes() == CONTENT[:MB]


def test_nobody_answers(server, path):
    port = server.server_port
    with Server() as closed:
        nobody = closed.server_port
    assert nobody != port
    with pytest.raises(
        UserError, match=rf"file\.bin could not be downloaded \(http://127\.0\.0\.1:{nobody}/x: "
    ) as error:
        retrieve_raw(path, urls=[f"http://127.0.0.1:{nobody}/x"], checksums={}, timeout=2)
    assert "\n" not in str(error.value)


def test_a_server_that_stalls_is_left(server, path):
    retrieve(server, path, "stalls", "good", timeout=0.2)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("name", ["md5", "sha256"])
def test_wrong_checksum_names_address_and_digests_and_keeps_nothing(server, path, name):
    found = hashlib.new(name, bytes(len(CONTENT))).hexdigest()
    expected = (MD5 | SHA256)[name]
    message = failure(server, path, "other", checksums={name: expected})
    assert f"{server.url('other')}: {name} is {found} where {expected} is expected" in message
    assert list(path.parent.iterdir()) == []


def test_wrong_checksum_of_the_first_address_does_not_spoil_the_second(server, path):
    retrieve(server, path, "other", "good")
    assert path.read_bytes() == CONTENT
    assert server.requests == [("other", None), ("good", None)]


def test_a_partial_download_of_something_else_is_thrown_away(server, path, part):
    part.write_bytes(bytes(MB))
    assert "md5 is" in failure(server, path, "good")
    assert not part.exists()
    retrieve(server, path, "good")
    assert path.read_bytes() == CONTENT


def test_a_whole_partial_download_is_taken_as_it_is(server, path, part):
    """The process ended between the download and the check: the server has nothing more to send,
    status 416.
    """
    part.write_bytes(CONTENT)
    retrieve(server, path, "good")
    assert path.read_bytes() == CONTENT
    assert server.requests == [("good", f"bytes={len(CONTENT)}-")]


@pytest.mark.parametrize("checksums", [MD5, {}], ids=["with a checksum", "without"])
def test_a_partial_download_that_is_too_long_is_never_taken(server, path, part, checksums):
    part.write_bytes(CONTENT + b"more")
    with contextlib.suppress(UserError):
        retrieve(server, path, "good", checksums=checksums)
    if not path.exists():
        retrieve(server, path, "good", checksums=checksums)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("bad", ["missing", "broken", "breaks_soon", "page", "stalls"])
def test_a_good_partial_download_is_never_thrown_away(server, path, part, bad):
    """Whatever another address sends; the next call goes on from it."""
    part.write_bytes(CONTENT[: 3 * MB])
    failure(server, path, bad, timeout=0.3)
    assert part.read_bytes() == CONTENT[: 3 * MB]
    assert [file.name for file in path.parent.iterdir()] == [part.name]
    retrieve(server, path, bad, "good", timeout=0.3)
    assert path.read_bytes() == CONTENT
    assert server.requests[-1] == ("good", f"bytes={3 * MB}-")
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_server_without_ranges_starts_again(server, path, part):
    failure(server, path, "drops_norange")
    size = part.stat().st_size
    assert size >= MB
    retrieve(server, path, "drops_norange")
    assert path.read_bytes() == CONTENT
    assert server.requests == [("drops_norange", None), ("drops_norange", f"bytes={size}-")]


def test_content_length_that_is_too_long_is_a_broken_connection(server, path, part):
    failure(server, path, "too_long", checksums={})
    assert CONTENT.startswith(part.read_bytes())
    retrieve(server, path, "too_long")
    assert path.read_bytes() == CONTENT


def test_content_length_that_is_too_short_is_a_wrong_checksum(server, path):
    message = failure(server, path, "too_short")
    assert f"md5 is {hashlib.md5(CONTENT[:1000]).hexdigest()}" in message
    retrieve(server, path, "too_short", "good")
    assert path.read_bytes() == CONTENT


def test_compression_on_the_way_is_not_asked_for(server, path):
    """Sizes and ranges count the bytes of the file, not of its packing."""
    retrieve(server, path, "packs")
    assert path.read_bytes() == CONTENT


def test_a_gz_file_that_its_server_labels_as_encoded_stays_packed(server, path):
    archive = gzip.compress(CONTENT, 1, mtime=0)
    retrieve(server, path, "labels", checksums={"md5": hashlib.md5(archive).hexdigest()})
    assert path.read_bytes() == archive


def test_an_old_file_stays_when_the_new_one_cannot_be_had(server, path, part):
    path.write_bytes(b"old")
    with pytest.raises(UserError):
        retrieve(server, path, "other")
    assert path.read_bytes() == b"old"


def test_a_file_that_is_there_with_its_checksum_is_left(path):
    path.parent.mkdir(parents=True)
    path.write_bytes(b"abc")
    retrieve_raw(path, urls=[], checksums={"md5": hashlib.md5(b"abc").hexdigest()})
    assert path.read_bytes() == b"abc"
    with pytest.raises(UserError, match="the file that is there: md5 is 9001"):
        retrieve_raw(path, urls=[], checksums={"md5": "0" * 32})


@pytest.mark.parametrize(
    ("checksums", "expected"),
    [
        ({}, None),
        ({"md5": hashlib.md5(b"abc").hexdigest()}, None),
        ({"md5": hashlib.md5(b"abc").hexdigest(), "sha256": "0" * 64}, "sha256 is ba7816bf"),
        (
            {"md5": "0" * 32},
            "md5 is 900150983cd24fb0d6963f7d28e17f72 where 00000000000000000000000000000000 is "
            "expected",
        ),
    ],
)
def test_wrong_checksum(tmp_path, checksums, expected):
    (tmp_path / "file").write_bytes(b"abc")
    found = wrong_checksum(tmp_path / "file", checksums)
    assert found is None if expected is None else found.startswith(expected)


def archive_with(name: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


INNER = {"member": {"name": "plays.tsv", "md5": hashlib.md5(b"plays").hexdigest()}}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (archive_with("folder/plays.tsv", b"plays"), None),
        (
            archive_with("folder/plays.tsv", b"other"),
            f"md5 of plays.tsv in it is {hashlib.md5(b'other').hexdigest()}",
        ),
        (archive_with("folder/readme", b"plays"), "it has no member plays.tsv"),
        (archive_with("folder/plays.tsv", b"plays")[:-9], "damaged or cut short"),
        (b"<html>moved</html>" * 100, "damaged or cut short"),
    ],
    ids=["right", "another content", "another member", "cut short", "no archive"],
)
def test_checksum_of_a_member(tmp_path, content, expected):
    (tmp_path / "file").write_bytes(content)
    found = wrong_checksum(tmp_path / "file", INNER)
    assert found is None if expected is None else expected in found
