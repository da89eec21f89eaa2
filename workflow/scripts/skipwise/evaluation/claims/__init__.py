"""One file per claim of a paper: the constant ``CLAIM``, its ``PLACE`` among the findings, the
function ``rows``, and ``WORLDS``.

A world says what is true of planted ranks: for models and variants, in the papers' words or ``*``,
by how much they are better than the rest.  tests/unit/test_planted_truths.py draws ranks from every
world and compares the verdicts.  In ``true`` the claim holds; in ``false`` its opposite does; in
``absent`` nothing differs; in ``worse`` the variants with skips are merely worse.
"""
