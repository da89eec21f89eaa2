"""How often Python looks for cycles of garbage.

By default after 700 new objects (Python 3.11), which takes much of the time of imports: a job that
imports torch spends .5 of 1.5 s on it, the plan of 377 jobs 1 of 3 s.  A job that drops something
large, which may be part of a cycle, and goes on calls ``gc.collect`` itself.
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

    For the processes of the workflow, Snakemake's among them, and of the command line.  The library
    does not call it, as the process of a notebook is not ours.
    """
    gc.set_threshold(OBJECTS, *gc.get_threshold()[1:])
    atexit.register(_leave_it)


def _leave_it() -> None:
    # duckdb's bindings print a list of their objects that are left.
    if "duckdb" not in sys.modules:
        gc.freeze()
