"""Overlays checked without a run."""

import pytest
from skipwise.commands.check import check_overlays
from skipwise.core.errors import UserError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("datasets: [ml100k\nseeds: [1]\n", ", line 2, column 6: not valid YAML"),
        ("datasets: [ml100k]\n\tseeds: [1]\n", ", line 2, column 1: not valid YAML"),
        ("a: b: c\n", ", line 1, column 5: not valid YAML"),
        ("- ml100k\n", ": a configuration has keys at top level"),
        ("", ": a configuration has keys at top level"),
        ("a: \x07\n", ": not valid YAML"),
    ],
)
def test_a_file_that_is_not_yaml_is_named_with_its_line(tmp_path, text, expected):
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text("seeds: [1]\n")
    bad.write_text(text)
    with pytest.raises(UserError) as error:
        check_overlays([good, bad])
    assert str(error.value).startswith(f"{bad}{expected}")
    assert "\n" not in str(error.value)


def test_a_wrong_key_is_named(tmp_path):
    (tmp_path / "mine.yaml").write_text("seed: [1]\n")
    with pytest.raises(UserError, match="unknown key 'seed'; did you mean 'seeds'"):
        check_overlays([tmp_path / "mine.yaml"])


def test_overlays_are_merged_from_left_to_right(tmp_path):
    one, two = tmp_path / "1.yaml", tmp_path / "2.yaml"
    one.write_text("datasets: [mine]\nregistry: {mine: {form: events, paths: [a.csv]}}\n")
    two.write_text(
        "registry:\n  mine:\n    columns: {session: s, track: t}\n    skipped_when: skipped\n"
        "    skip_rule: {name: given}\n    session_gap: null\n"
    )
    assert check_overlays([one, two]) == ["mine"]
