"""One file per claim of a paper, with the constant ``CLAIM`` and the function ``rows``."""
