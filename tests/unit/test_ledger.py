"""Rejected rows: the first of each reason is named."""

import polars as pl
import pytest
from skipwise.core.errors import UserError
from skipwise.raw.ledger import Ledger, first_of_each_reason

REASONS = [
    (9, "the time 'x' is no time"),
    (4, "the time 'yesterday' is no time"),
    (7, "2 fields where 3 are expected"),
    (5, "4 fields where 3 are expected"),
    (6, "the track is empty"),
]


def ledger(rows=REASONS, tolerance=0.0):
    its = Ledger("plays.csv", tolerance)
    its.read(10)
    its.reject("plays.csv", pl.DataFrame(rows, schema=["line", "reason"], orient="row"))
    return its


def test_a_message_names_the_first_row_of_each_reason():
    with pytest.raises(UserError) as error:
        ledger().check()
    assert str(error.value) == (
        "plays.csv, line 4: the time 'yesterday' is no time; correct or remove this row (5 of 10 "
        "rows of plays.csv are wrong, raw.tolerance allows 0.00%); line 5: 4 fields where 3 are "
        "expected (2 such); line 6: the track is empty (1 such)"
    )


def test_within_the_tolerance_nothing_is_said():
    ledger(tolerance=0.5).check()


def test_reasons_of_other_columns_are_others_and_files_are_named():
    its = Ledger("logs.zip", 0)
    its.read(10)
    for file, rows in {
        "a.csv": [
            (3, "column 'user' is empty"),
            (5, "column 'n' holds 'x\ny', which is no number"),
        ],
        "b.csv": [(1, "column 'track' is empty"), (2, "column 'n' holds 'z', which is no number")],
    }.items():
        its.reject(file, pl.DataFrame(rows, schema=["line", "reason"], orient="row"))
    with pytest.raises(UserError) as error:
        its.check()
    assert "a.csv, line 3: column 'user' is empty; correct" in str(error.value)
    assert str(error.value).endswith(
        "; line 5: column 'n' holds 'x\ny', which is no number (2 such); b.csv, line 1: column "
        "'track' is empty (1 such)"
    )


def test_at_most_five_reasons_are_named():
    many = [(line, "reason " + "abcdefgh"[line]) for line in range(8)]
    assert [line for _, line, _, _ in first_of_each_reason(ledger(many).rejected())] == [*range(5)]
