"""A platform that plays near the taste, so that plays say most of what skips could."""

VERDICT = "Labels add little to the plays: the headroom of labels in the input is small."
