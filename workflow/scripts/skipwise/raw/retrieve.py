"""Downloads: resumed where they broke, from a second address where the first fails, and checked."""

import time
from pathlib import Path

import requests
import urllib3

from skipwise.core.errors import UserError
from skipwise.core.log import logger
from skipwise.raw.checksums import wrong_checksum

_CHUNK = 2**20


def retrieve_raw(
    path: str | Path, *, urls: list[str], checksums: dict, timeout: float = 60.0
) -> None:
    """Download ``path`` from the first of ``urls`` that serves it whole.

    A file that is there with the right checksum is left as it is.  A partial download stays next to
    ``path`` as ``<name>.part`` and is continued by the next attempt.  ``checksums`` maps md5 or
    sha256 to the expected digest, and ``member`` to name and md5 of a file in a ``.tar.gz`` whose
    checksum is the published one.  Raises UserError that names every address and its failure, or
    the wrong checksum.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    failures = []
    if path.is_file() and checksums:
        wrong = wrong_checksum(path, checksums)
        if wrong is None:
            logger.info("%s is there, with the checksum that is expected", path)
            return
        failures.append(f"the file that is there: {wrong}")
    for url in urls:
        try:
            whole = _download(url, part, timeout)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            failures.append(f"{url}: {error}")
            logger.warning("download failed, %s", failures[-1])
            continue
        wrong = wrong_checksum(whole, checksums)
        if wrong is None:
            whole.replace(path)
            part.unlink(missing_ok=True)
            return
        whole.unlink()
        failures.append(f"{url}: {wrong}")
        logger.warning("download failed, %s", failures[-1])
    raise UserError(
        f"{path.name} could not be downloaded ({'; '.join(failures)}). Get it by hand and give "
        "its place as `paths` of this data set in the configuration"
    )


def _download(url: str, part: Path, timeout: float) -> Path:
    """Download to ``part``, from where it ends; returns the file that is whole now.

    A server that starts again writes to another file, which takes the place of ``part`` once it has
    more: what an earlier attempt got is not given up for an error page or a connection that breaks
    sooner.
    """
    done = part.stat().st_size if part.exists() else 0
    # The bytes of the file as they are: neither packed for the way nor unpacked here.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
    with requests.get(url, stream=True, timeout=timeout, headers=headers) as response:
        if response.status_code == 416:
            # Nothing is left to send: the part is whole, or it is longer than the file and cannot
            # be a part of it.
            if response.headers.get("Content-Range") != f"bytes */{done}":
                part.unlink()
                return _download(url, part, timeout)
            return part
        response.raise_for_status()
        resumed = response.status_code == 206
        total = int(response.headers.get("Content-Length", 0)) + (done if resumed else 0)
        into = part if resumed or not done else part.with_name(f"{part.name}.again")
        try:
            _write(response, into, total, append=resumed)
            if total and into.stat().st_size != total:
                raise OSError(f"the connection ended after {into.stat().st_size} of {total} bytes")
        except Exception:
            if into != part and into.exists():
                into.replace(part) if into.stat().st_size > done else into.unlink()
            raise
    return into


def _write(response: requests.Response, into: Path, total: int, *, append: bool) -> None:
    """Write what comes, and log how far it is."""
    logged = time.monotonic()
    with into.open("ab" if append else "wb") as out:
        for chunk in response.raw.stream(_CHUNK, decode_content=False):
            out.write(chunk)
            if time.monotonic() - logged > 10:
                logged = time.monotonic()
                logger.info("%s: %.0f of %.0f MB", response.url, out.tell() / 1e6, total / 1e6)
