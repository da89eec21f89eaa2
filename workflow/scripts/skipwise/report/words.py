"""What figures call the variants of the default configuration, and what each of them is.

Files and tables keep the names of the configuration, by which rows are found; a variant that is not
listed here keeps its name in figures too.
"""

VARIANTS = {
    "orig": (
        "orig",
        "the model without a use of skips; neural ones aim at the next listened track",
    ),
    "blind": ("no labels", "blind: targets are the next tracks, skipped or not"),
    "contrastive-item": (
        "contrastive, query = track",
        "contrastive-item: the papers' term with c = e, the last listened track",
    ),
    "contrastive-hidden": (
        "contrastive, query = state",
        "contrastive-hidden: the papers' term with c = ŷ, the state of the encoder",
    ),
    "bl": ("skips left out", "bl: a skipped play counts as if it had not been"),
    "nr": ("skips as negatives", "nr: a skipped track counts against the session"),
}


def label(variant: str) -> str:
    """What a figure calls a variant."""
    return VARIANTS.get(variant, (variant, ""))[0]


def glossary() -> str:
    """The sentence that ends the caption of every figure."""
    return (
        "In figures, " + "; ".join(f"*{name}* is {what}" for name, what in VARIANTS.values()) + "."
    )
