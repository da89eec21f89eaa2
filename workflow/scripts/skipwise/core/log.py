"""Logging of a rule: to its log file and to the terminal, and one line instead of a traceback for a
user's mistake.
"""

import contextlib
import logging
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

from skipwise.core.errors import StoppedError, UserError, machine_fault
from skipwise.core.garbage import collect_rarely

logger = logging.getLogger("skipwise")


class _LogFile(logging.FileHandler):
    """A log that can no longer be written is no reason to stop, nor for a traceback per line."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802, logging's name
        return


@contextlib.contextmanager
def rule_log(path: str, rule: str) -> Iterator[None]:
    """Log the block to ``path`` and to stderr; end the process with status 1 and one clear line on
    a :class:`UserError` or a fault of the machine, and with that of the signal when one stopped the
    work."""
    collect_rarely()
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        to_file = _LogFile(path, mode="w", encoding="utf-8")
    except OSError as error:
        sys.exit(f"{rule}: ERROR: the log cannot be written: {machine_fault(error, rule) or error}")
    to_file.setFormatter(
        logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    )
    to_terminal = logging.StreamHandler()
    to_terminal.setLevel(logging.WARNING)
    to_terminal.setFormatter(logging.Formatter(f"{rule}: %(levelname)s: %(message)s"))
    logger.setLevel(logging.INFO)
    logger.addHandler(to_file)
    logger.addHandler(to_terminal)
    # Before anything that could get the job killed: Snakemake shows no log after an empty one, and
    # the next is Slurm's.
    logger.info("%s starts on %s, process %d", rule, platform.node(), os.getpid())
    try:
        yield
    except UserError as error:
        logger.error("%s", error)
        sys.exit(1)
    except StoppedError as stop:
        logger.warning("%s", stop)
        sys.exit(128 + stop.signal)
    except Exception as error:
        if fault := machine_fault(error, rule):
            logger.error("%s", fault)
            sys.exit(1)
        logger.exception("this is an error of skipwise; please report it with this log")
        raise
    finally:
        for handler in (to_file, to_terminal):
            logger.removeHandler(handler)
            with contextlib.suppress(OSError):
                handler.close()
