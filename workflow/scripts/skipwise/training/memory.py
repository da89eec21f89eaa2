"""How much memory a training takes and how much there is: the one formula that the rules ask for
and a job checks.

Plain Python without heavy imports, because Snakemake reads it at every start.
"""

import resource
import sys
from pathlib import Path

import psutil

from skipwise.core import registry
from skipwise.core.errors import UserError
from skipwise.core.log import logger

GIB = 2**30
# Beside what is counted: libraries, sessions and the batch or block at hand; up to 0.9 GiB was
# measured.
BASE = GIB
# A job in Slurm shares its memory with the Snakemake that started it.
SNAKEMAKE = GIB // 2
# Tables of vectors that are in memory at once, and what they are; a frozen reference has one more.
COPIES = {
    "neural": (5, "the table, its two moments, the best epoch's and the last best one's"),
    "factorization": (2, "the factors, once more where they are drawn or saved"),
}


def squares_of(recommender: str) -> tuple[int, str]:
    """The number of N × N tables that the training of a model's file holds, and what they are: its
    literal ``SQUARES``; none where it has not.
    """
    return registry.declared("model", recommender).get("SQUARES", (0, ""))


def peak_memory() -> int:
    """The most bytes that this process has taken so far."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


def training_memory(
    family: str, settings: dict, *, n_tracks: int, n_sessions: int, squares: int = 0
) -> int:
    """Bytes that training takes at most: ``BASE`` and, in float32, ``COPIES`` of the table of
    vectors.

    A neural table has one row per track, the factors of a factorisation also one per session.  A
    baseline has no vectors; ``squares`` is its number of N × N tables.
    """
    if family not in COPIES:
        return BASE + 4 * squares * n_tracks**2
    rows = n_tracks if family == "neural" else n_tracks + n_sessions
    return BASE + 4 * _copies(family, settings)[0] * rows * _width(settings)


def _copies(family: str, settings: dict) -> tuple[int, str]:
    copies, words = COPIES[family]
    if settings.get("reference_epochs"):
        return copies + 1, f"{words} and the frozen reference's"
    return copies, words


def _width(settings: dict) -> int:
    # BPR keeps the bias of a track next to its factors.
    return settings["dimension"] if "dimension" in settings else settings["factors"] + 1


def check_memory(
    family: str,
    settings: dict,
    *,
    n_tracks: int,
    n_sessions: int,
    squares: tuple[int, str] = (0, ""),
) -> None:
    """Log what a training will take.  Raises UserError with the same sentence and the remedy where
    that is not there.  ``squares`` is what :func:`squares_of` gives.
    """
    if family in COPIES:
        copies, words = _copies(family, settings)
        rows = f"{n_tracks} tracks" + ("" if family == "neural" else f" and {n_sessions} sessions")
        width = str(_width(settings))
        lower = "neural.dimension" if family == "neural" else "the setting factors of the model"
        remedy = f"lower {lower}"
    elif squares[0]:
        (copies, words), rows, width = squares, f"{n_tracks} tracks", f"{n_tracks} tracks"
        remedy = "take the model out of `models`: it is for small catalogues"
    else:
        return
    needed = training_memory(
        family, settings, n_tracks=n_tracks, n_sessions=n_sessions, squares=squares[0]
    )
    sentence = (
        f"this training takes up to {needed / GIB:.1f} GiB of memory: {copies} × {rows} × "
        f"{width} × 4 bytes ({words}) and {BASE / GIB:.0f} GiB for all else"
    )
    logger.info("%s", sentence)
    available = available_memory()
    if available < needed:
        raise UserError(
            f"{sentence}; {available / GIB:.1f} GiB are there. Run fewer jobs at once (--cores), "
            "give the job more memory "
            f"(--set-resources train_model:mem_mb={needed * 5 // 4 // 10**6}), or {remedy}"
        )


def available_memory() -> int:
    """Bytes that this process may have in all, with what it has already: of the machine, and of its
    control groups.
    """
    own = psutil.Process().memory_info().rss
    return own + min([psutil.virtual_memory().available, *_left_in_groups()])


def _left_in_groups(
    groups: Path = Path("/proc/self/cgroup"), mounted: Path = Path("/sys/fs/cgroup")
) -> list[int]:
    """Bytes left in each control group of Linux that this process is in and that has a limit:
    Slurm's, a container's.
    """
    if not groups.exists():
        return []
    left = []
    for line in groups.read_text(encoding="utf-8").splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):  # the first version of control groups
            mount, limit, usage, reclaimable = (
                mounted / "memory",
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
                "total_inactive_file",
            )
        elif controllers == "":
            mount, limit, usage, reclaimable = (
                mounted,
                "memory.max",
                "memory.current",
                "inactive_file",
            )
        else:
            continue
        # A limit holds for all groups below.  In a container the path may be one of the host's,
        # which is not to be seen here.
        for group in [Path(path), *Path(path).parents]:
            folder = mount / group.relative_to("/")
            try:
                most = (folder / limit).read_text(encoding="utf-8").strip()
                used = int((folder / usage).read_text(encoding="utf-8"))
                stat = dict(
                    row.split()
                    for row in (folder / "memory.stat").read_text(encoding="utf-8").splitlines()
                )
            except OSError:
                continue
            if most != "max":
                left.append(int(most) - used + int(stat.get(reclaimable, 0)))
    return left
