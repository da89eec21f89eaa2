"""Checkpoints: what a training needs to go on exactly where it was, in one file that is there whole
or not at all, and what a job has finished already.
"""

import json
import os
import shutil
import signal
import threading
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from skipwise.core.artifacts import whole_file
from skipwise.core.log import logger


class Checkpoint:
    """A file of tensors with plain values in its header.

    ``fingerprint`` stands for everything that the training depends on: it goes on from a checkpoint
    of the same fingerprint and starts over from any other.
    """

    def __init__(self, path: str | Path, fingerprint: str):
        self.path, self._fingerprint = Path(path), fingerprint

    def save(self, tensors: dict[str, Tensor], values: dict) -> None:
        """Replace what was saved before; ``values`` must be what json can hold.

        Where that is not possible, on a full disk say, what was saved before stays, and the log has
        a warning: a training that cannot be saved is still worth its end.
        """
        header = {"fingerprint": self._fingerprint, "values": json.dumps(values)}
        try:
            with whole_file(self.path) as partial:
                save_file(tensors, partial, metadata=header)
        except (SafetensorError, OSError) as error:
            logger.warning(
                "%s cannot be saved (%s): a stop now would lose what is not in it", self.path, error
            )

    def load(self) -> tuple[dict[str, Tensor], dict] | None:
        """Tensors and values; None, with a line in the log, if nothing can be continued."""
        for left in self.path.parent.glob(f".{self.path.name}.*.partial"):
            left.unlink(missing_ok=True)  # of a training that was killed while it saved
        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, "pt") as file:
                header = file.metadata() or {}
                if header.get("fingerprint") == self._fingerprint:
                    names = file.keys()  # safe_open is no dict, and cannot be iterated
                    tensors = {name: file.get_tensor(name) for name in names}
                    return tensors, json.loads(header["values"])
            reason = "is of another configuration, data, code, library or number of threads"
        except (SafetensorError, OSError) as error:
            reason = f"cannot be read ({error})"
        logger.info("the checkpoint %s %s: training starts over", self.path, reason)
        return None


class Finished:
    """A finished training, kept in ``folder`` as hard links, which take no room on the disk.

    Snakemake removes what a job wrote when the job fails later on, and before it runs again: the
    training, by far the longest part of its job, is then taken over.  ``fingerprint`` stands for
    everything that the files depend on.
    """

    def __init__(self, folder: str | Path, fingerprint: str):
        self.folder, self._fingerprint = Path(folder), fingerprint

    def keep(self, *paths: Path) -> None:
        """Keep these files; a line in the log where the file system has no hard links."""
        shutil.rmtree(self.folder, ignore_errors=True)
        try:
            for path in paths:
                with whole_file(self.folder / path.name) as partial:
                    os.link(path, partial)
            with whole_file(self._mark) as partial:  # last: with it all are there
                partial.write_text(self._fingerprint, encoding="utf-8")
        except OSError as error:
            logger.info("the training cannot be kept in %s: %s", self.folder, error)
            shutil.rmtree(self.folder, ignore_errors=True)

    def take(self, *paths: Path) -> bool:
        """Put the kept files at these paths, if all that their fingerprint stands for is the same;
        whether they are there.
        """
        if not self._mark.is_file() or self._mark.read_text("utf-8") != self._fingerprint:
            return False
        for path in paths:
            with whole_file(path) as partial:
                os.link(self.folder / path.name, partial)
            os.utime(path)  # Snakemake compares times
        logger.info("the same training has ended before: taken over from %s", self.folder)
        return True

    @property
    def _mark(self) -> Path:
        return self.folder / "fingerprint"


class StopSignal:
    """While the block runs, SIGTERM and SIGINT, which Slurm and Ctrl-C send, are noted instead of
    ending the process.
    """

    received: signal.Signals | None = None

    def __enter__(self) -> "StopSignal":
        # Python allows handlers in the main thread only, where the workflow trains.
        catches = (
            (signal.SIGTERM, signal.SIGINT)
            if threading.current_thread() is threading.main_thread()
            else ()
        )
        self._before = {number: signal.signal(number, self._note) for number in catches}
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame) -> None:
        self.received = signal.Signals(number)
