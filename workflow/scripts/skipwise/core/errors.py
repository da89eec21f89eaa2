"""The exceptions that a user or a machine may cause."""

import errno


class UserError(Exception):
    """A mistake in the input, the configuration or the machine that the user can correct.

    The message is one sentence that names the file, the row or the key, and says what to do about
    it.  Adapters print it without a traceback.
    """


class DivergedError(UserError):
    """A training whose loss or scores are no longer finite; a search tries other settings."""


class StoppedError(Exception):
    """A signal asked the work to stop, and it is saved; ``signal`` is its number."""

    def __init__(self, signal: int, message: str):
        super().__init__(message)
        self.signal = signal


# Libraries in other languages give the system's error as text alone.
_FAULTS = (
    (
        (errno.ENOSPC, errno.EDQUOT),
        ("No space left on device", "Disk quota exceeded"),
        "the disk is full; free some space, then run the same command again: what is done stays",
    ),
    (
        (errno.EROFS, errno.EACCES, errno.EPERM),
        ("Read-only file system", "Permission denied"),
        "this file or folder may not be read or written; change its rights, or name another "
        "folder in pathvars",
    ),
    (
        (errno.ENOMEM,),
        (
            "can't allocate memory",
            "Cannot allocate memory",
            "Out of Memory Error",
            "std::bad_alloc",
        ),
        "not enough memory; run fewer jobs at once (--cores), or give the job more "
        "(--set-resources {rule}:mem_mb=…)",
    ),
)


def machine_fault(error: BaseException, rule: str) -> str | None:
    """One line on what the machine lacked in ``rule``, with the remedy; None where the error is of
    another kind.
    """
    for numbers, texts, remedy in _FAULTS:
        memory = errno.ENOMEM in numbers and isinstance(error, MemoryError)
        if (
            memory
            or getattr(error, "errno", None) in numbers
            or any(text in str(error) for text in texts)
        ):
            where = "".join(f"{note}: " for note in getattr(error, "__notes__", ()))
            said = " ".join(str(error).split()) or type(error).__name__
            return f"{where}{remedy.format(rule=rule)} ({said[:300]})"
    return None
