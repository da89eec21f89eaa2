"""Whether a raw file is the one that is published."""

import hashlib
from pathlib import Path

from skipwise.core.errors import UserError
from skipwise.raw.archives import tar_members

_CHUNK = 2**20


def wrong_checksum(path: Path, checksums: dict) -> str | None:
    """What is wrong with the checksum of a file, or None."""
    for name, expected in checksums.items():
        if name == "member":
            wrong = _wrong_member(path, **expected)
            if wrong:
                return wrong
            continue
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, name).hexdigest()
        if found != expected:
            return f"{name} is {found} where {expected} is expected"
    return None


def _wrong_member(path: Path, name: str, md5: str) -> str | None:
    """What is wrong with a member of an archive, or None."""
    digest, there = hashlib.md5(), False
    try:
        for _, read in tar_members(path, lambda member: member.rsplit("/", 1)[-1] == name):
            there = True
            while text := read(_CHUNK):
                digest.update(text)
    except UserError as error:
        return str(error)
    if not there:
        return f"it has no member {name}"
    return (
        None
        if digest.hexdigest() == md5
        else f"md5 of {name} in it is {digest.hexdigest()} where {md5} is expected"
    )
