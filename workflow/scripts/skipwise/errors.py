"""The exceptions that a user may cause."""


class UserError(Exception):
    """A mistake in the input, the configuration or the machine that the user can mend.

    The message is one sentence that names the file, the row or the key, and says what to do about it.  Adapters print it
    without a traceback.
    """


class StoppedError(Exception):
    """A signal asked the work to stop, and it is saved; ``signal`` is its number."""

    def __init__(self, signal: int, message: str):
        super().__init__(message)
        self.signal = signal
