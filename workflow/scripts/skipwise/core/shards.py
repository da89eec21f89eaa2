"""The raw files of a data set, each a shard of it."""

import glob
import itertools
import os
import re
from collections import Counter
from pathlib import Path

from skipwise.core.errors import UserError

# Suffixes that are not part of a shard's name.
_SUFFIX = re.compile(
    r"(\.tar)?(\.(gz|bz2|zst|tgz|zip|csv|tsv|tab|txt|data|inter|parquet|pq|json|ndjson|jsonl|tar))*$",
    re.IGNORECASE,
)


def raw_files(name: str, entry: dict, resources: str) -> dict[str, str]:
    """The raw files of a data set by shard name, in order: local ``paths``, else ``files`` under
    ``resources``.

    A shard has the name of its file; files of one name have those of their folders too.  Raises
    UserError when no local file is there, with what to do, when two files would be one shard, or
    when Snakemake would read a name as another.
    """
    if "paths" in entry:
        remedy = entry.get("how_to_get", "Check `paths` in the configuration.")
        found = {pattern: _matches(name, pattern) for pattern in entry["paths"]}
        # The patterns of a data set that says how to get it are the layouts that it comes in.
        absent = [
            pattern
            for pattern, files in found.items()
            if not files and not (glob.has_magic(pattern) and "how_to_get" in entry)
        ]
        if absent or not any(found.values()):
            sought = " ".join(
                ", ".join(absent or found).split()
            )  # a pattern may hold anything, the message is one line
            raise UserError(f"{name}: no file matches {sought}. {remedy}")
        by_place: dict[str, str] = {}  # a file that is also there by a link is one
        for path in itertools.chain.from_iterable(found.values()):
            by_place.setdefault(os.path.realpath(path), path)
        files = [*by_place.values()]
    else:
        files = [f"{resources}/raw/{name}/{file['name']}" for file in entry["files"]]
    names = Counter(_shard(Path(path).name) for path in files)
    shared = os.path.commonpath([Path(path).absolute().parent for path in files])
    shards: dict[str, str] = {}
    for path in files:
        if "{" in path:
            raise UserError(
                f"registry.{name}: {path} has braces in its name, which Snakemake reads as "
                "wildcards; rename it"
            )
        shard = _shard(Path(path).name)
        if names[shard] > 1:
            shard = _shard(os.path.relpath(path, shared))
        if shard in shards:
            raise UserError(
                f"registry.{name}: {path} and {shards[shard]} would both be shard '{shard}'; "
                "rename one"
            )
        shards[shard] = path
    return shards


def _shard(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "-", _SUFFIX.sub("", name))


def _expanded(pattern: str) -> list[str]:
    """What :func:`glob.glob` finds of a recursive pattern, each folder once: links may lead around
    in circles, of which two would keep it for ever.
    """
    head, *rest = re.split(r"(?:^|/)\*\*(?:/|$)", pattern, maxsplit=1)
    if not rest:
        return glob.glob(pattern)
    starts = glob.glob(head) if head else ["/" if pattern.startswith("/") else "."]
    found, seen = [], set()
    for folder, below, _ in itertools.chain.from_iterable(
        os.walk(start, followlinks=True) for start in starts
    ):
        place = os.path.realpath(folder)
        below[:] = [] if place in seen else sorted(name for name in below if name[0] != ".")
        if place not in seen:
            seen.add(place)
            found += _expanded(os.path.join(folder, rest[0] or "*").removeprefix("./"))
    return list(dict.fromkeys(found))


def _as_counted(path: str) -> tuple[list[str | int], str]:
    """By which part comes before part2 and part2 before part10."""
    # Texts are at even places, numbers at odd ones.
    parts = re.split("([0-9]+)", _SUFFIX.sub("", path))
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], path


def _matches(name: str, pattern: str) -> list[str]:
    """The files of a pattern, in which ``**`` is any number of folders and ``~`` the user's own; a
    name that is there is taken as it is, whatever characters are in it.

    Raises UserError for a folder, for a link to nothing, and for ``**`` within a name, which would
    go down no folder.
    """
    path = os.path.expanduser(pattern)
    if not os.path.lexists(path) and any("**" in part != "**" for part in Path(path).parts):
        raise UserError(
            f"{name}: `**` is any number of folders only between slashes, as in logs/**/*.csv; "
            f"correct {pattern}"
        )
    there = os.path.lexists(path)
    found = [path] if there else sorted(_expanded(path), key=_as_counted)
    for file in found:
        if os.path.islink(file) and not os.path.exists(file):
            raise UserError(f"{name}: {file} is a link to {os.readlink(file)}, which is not there")
    files = [file for file in found if os.path.isfile(file)]
    if found and not files:
        raise UserError(
            f"{name}: {found[0]} is a folder; name its files, for example {found[0]}/**/*.csv"
        )
    return files
