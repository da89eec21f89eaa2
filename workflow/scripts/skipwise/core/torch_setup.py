"""Settings of the process, and what the machine has."""

import ctypes
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import torch

from skipwise.core.errors import UserError

# Names of mallopt(3) for glibc.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3


def use_threads(threads: int) -> None:
    """Compute with ``threads`` cores, and keep large blocks of memory for the next use instead of
    giving them back.

    A training step allocates the same few megabytes again and again.  By default glibc returns each
    to the system, which then has to clear every page again.
    """
    torch.set_num_threads(threads)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt:
        mallopt(_MMAP_THRESHOLD, 2**30)
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)


@contextmanager
def single_threads() -> Iterator[tuple[ThreadPoolExecutor, int]]:
    """A pool with a worker for each of torch's threads, and their number; meanwhile an operation of
    torch takes one thread.

    Whole pieces of work side by side keep all cores busy, also in what is not torch's and in
    operations too small to share.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads) as pool:
            yield pool, threads
    finally:
        torch.set_num_threads(threads)


@contextmanager
def float32_products() -> Iterator[None]:
    """Meanwhile CPU and GPU multiply float32 matrices as they are.

    A process may have allowed less (`torch.set_float32_matmul_precision`): a processor that can
    then rounds to bfloat16 first, a GPU to TF32.
    """
    mkldnn: Any = torch.backends.mkldnn  # its types lack `matmul`
    backends = mkldnn.matmul, torch.backends.cuda.matmul
    before = [backend.fp32_precision for backend in backends]
    for backend in backends:
        backend.fp32_precision = "ieee"
    try:
        yield
    finally:
        for backend, precision in zip(backends, before, strict=True):
            backend.fp32_precision = precision


def find_device(name: str) -> torch.device:
    """The device ``cpu`` or ``cuda``.  Raises UserError if there is none."""
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "neural.device: torch finds no GPU here; set it to cpu, or install a torch that is "
            "built for the machine's GPU (envs/requirements.in pins the CPU build)"
        )
    return torch.device(name)


def fast_bfloat16() -> bool:
    """Whether the processor multiplies matrices in bfloat16 by itself; elsewhere it is slower than
    float32.
    """
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(supported and supported())
