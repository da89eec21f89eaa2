"""What the sessions of a data set depend on, and what a job may use: one object for each."""

from dataclasses import dataclass, field
from typing import Any

from skipwise.core import registry
from skipwise.core.registry import derives_skips, reads_lengths


@dataclass(frozen=True)
class Recipe:
    """How the sessions of one data set are made; a step that does not use a field may leave it out.

    ``skip_rule`` is the name of a rule and its parameters, ``session_gap`` the seconds between two
    starts that begin a new session (None if sessions are given), ``sessions`` the key of that name
    in the configuration, ``keep_share`` the share of all draws that is kept (None: all).
    ``form`` is that of its raw files.  ``columns`` are those of the form ``events``, and
    ``session_ids`` says whether its sessions may go on in another file (``global``) or are numbered
    in each (``per_file``).
    """

    dataset: str
    skip_rule: dict[str, Any] = field(default_factory=lambda: {"name": "given"})
    session_gap: float | None = None
    sessions: dict[str, Any] = field(default_factory=dict)
    keep_share: float | None = None
    form: str | None = None
    columns: dict[str, str] | None = None
    session_ids: str | None = None

    @property
    def rule(self) -> str:
        """The name of the skip rule."""
        return self.skip_rule["name"]

    @property
    def keys_hold_user(self) -> bool:
        """Whether the key of a session is its user, ``@`` and more."""
        return self.session_gap is not None or {"user", "session"} <= (self.columns or {}).keys()

    @property
    def plays_are_unique(self) -> bool:
        """Whether a play that two files have is an error: the form says so (``UNIQUE``)."""
        return bool(self.form and registry.declared("raw form", self.form).get("UNIQUE"))

    @property
    def derives_skips(self) -> bool:
        """Whether the skip rule derives skips from the times of the plays."""
        return derives_skips(self.rule)

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of the skip rule's own statement."""
        return {
            name: value
            for name, value in self.skip_rule.items()
            if name != "name" and not (name == "min_support" and reads_lengths(self.rule))
        }


@dataclass(frozen=True)
class Machine:
    """What a DuckDB job may use: cores, and memory in MB (None: no limit)."""

    threads: int = 1
    memory: int | None = None
