"""Tracks come and go: the tastes of the crowd change in time."""

VERDICT = "The temporal split differs: what is tested there was rare when models were trained."
# The 66 days of MSSD in eras of six; a track loses half of its plays about every eight days before
# and after its peak.
LISTENERS = {"eras": 11, "fashion": 6.0}
