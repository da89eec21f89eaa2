"""Logging of a rule: to its log file and to the terminal, and one line instead of a traceback for a user's mistake."""

import contextlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

from skipwise.errors import StoppedError, UserError

logger = logging.getLogger("skipwise")


@contextlib.contextmanager
def rule_log(path: str, rule: str) -> Iterator[None]:
    """Log the block to ``path`` and to stderr; end the process with status 1 and one clear line on a :class:`UserError`,
    and with that of the signal when one stopped the work."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    to_file = logging.FileHandler(path, mode="w", encoding="utf-8")
    to_file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S"))
    to_terminal = logging.StreamHandler()
    to_terminal.setLevel(logging.WARNING)
    to_terminal.setFormatter(logging.Formatter(f"{rule}: %(levelname)s: %(message)s"))
    logger.setLevel(logging.INFO)
    logger.addHandler(to_file)
    logger.addHandler(to_terminal)
    try:
        yield
    except UserError as error:
        logger.error("%s", error)
        sys.exit(1)
    except StoppedError as stop:
        logger.warning("%s", stop)
        sys.exit(128 + stop.signal)
    except Exception:
        logger.exception("this is an error of skipwise; please report it with this log")
        raise
    finally:
        for handler in (to_file, to_terminal):
            logger.removeHandler(handler)
            handler.close()
