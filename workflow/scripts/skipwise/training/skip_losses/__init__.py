"""One file per skip loss, with the class ``LOSS``."""
