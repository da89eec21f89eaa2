"""How often Python looks for cycles of garbage.

By default after 700 new objects, which are most of the time of an import: a job that imports torch
spends .5 of 1.5 s on it, the plan of 377 jobs 1 of 3 s.
"""

import atexit
import functools
import gc
import sys

OBJECTS = 100_000


@functools.cache
def collect_rarely() -> None:
    """Look for cycles after so many new objects, and not at all when the process ends, as its
    memory is given back anyway.

    For the processes of the workflow and the command line.  The library does not call it, as the
    process of a notebook is not ours.
    """
    gc.set_threshold(OBJECTS, *gc.get_threshold()[1:])
    atexit.register(_leave_it)


def _leave_it() -> None:
    if "duckdb" not in sys.modules:  # which prints what is left of its own
        gc.freeze()
