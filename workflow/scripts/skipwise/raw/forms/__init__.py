"""One file per raw form, with ``read_events(path, entry, ledger)``."""
