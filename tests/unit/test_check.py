"""Overlays checked without a run."""

import pytest
from skipwise.commands.check import check_overlays
from skipwise.core.errors import UserError
from skipwise.core.reading import read_yaml


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("datasets: [ml100k\nseeds: [1]\n", ", line 2, column 6: not valid YAML"),
        ("datasets: [ml100k]\n\tseeds: [1]\n", ", line 2, column 1: not valid YAML"),
        ("a: b: c\n", ", line 1, column 5: not valid YAML"),
        ("- ml100k\n", ": a configuration has keys at top level"),
        ("", ": a configuration has keys at top level"),
        ("a: \x07\n", ": not valid YAML"),
        ("registry: {mine: {until: 2020-02-30}}\n", ": a date or number cannot be (day is out of"),
        ("seeds: [1]\nneural:\n  dropout: 0.1\n  dropout: 0.2\n", ", line 4: the key 'dropout' is"),
        ("a: &a {x: 1}\nb: {<<: *a, x: 2}\na: 1\n", ", line 3: the key 'a' is there twice"),
        ("registry: [1]\n", ", line 1, registry: [1] is not of type 'object'"),
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


def test_keys_that_only_look_alike_are_no_mistake(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("a: &a {x: 1}\nb: &b {y: 2}\nc: {<<: *a, <<: *b}\n1: a\n'1': b\n")
    read = read_yaml(path)
    assert read["c"] == {"x": 1, "y": 2}
    assert (read[1], read["1"]) == ("a", "b")


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


def test_all_mistakes_are_named_with_file_and_line(tmp_path):
    one, two = tmp_path / "1.yaml", tmp_path / "2.yaml"
    one.write_text("seeds: [1]\nneural:\n  dropout: 0.1\n  learning_rte: 0.1\n  rate: 1\n")
    two.write_text("\nseeds: [1,\n  x]\nneural: {dropout: no}\n")
    with pytest.raises(UserError) as error:
        check_overlays([one, two])
    lines = str(error.value).splitlines()
    assert len(lines) == 4
    for place, words in (
        (f"{one}, line 4, neural", "unknown key 'learning_rte'; did you mean 'learning_rate'?"),
        (f"{one}, line 5, neural", "unknown key 'rate'"),
        (f"{two}, line 3, seeds.1", "'x' is not of type 'integer'"),
        (f"{two}, line 4, neural.dropout", "False is not of type 'number'"),
    ):
        assert any(line.startswith(f"{place}: {words}") for line in lines), (place, lines)


def test_unknown_names_are_all_named(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("models: [sasrek]\n\nsplits: [papr]\nmetrics: {hitrate: [10]}\n")
    with pytest.raises(UserError) as error:
        check_overlays([path])
    assert [
        line.split(": ")[0].removeprefix(f"{path}, ") for line in str(error.value).splitlines()
    ] == [
        "line 1, models",
        "line 3, splits",
        "line 4, metrics",
    ]


def test_a_way_of_one_model_is_a_mistake_of_that_model_only(tmp_path):
    """Variants of several models are one object to YAML."""
    path = tmp_path / "mine.yaml"
    path.write_text("model_registry:\n  sasrec:\n    variants:\n      mine: {way: nope}\n")
    with pytest.raises(UserError) as error:
        check_overlays([path])
    assert str(error.value).startswith(f"{path}, line 4, model_registry.sasrec.variants.mine: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("\nneural.dropout: 0.1\n", "line 2, top level: unknown key 'neural.dropout'"),
        (
            "neural: {max_epochs: 5}\nmodel_registry: {sasrec: {variants: {\n"
            "  mine: {way: pairwise, reference_epochs: 5}}}}\n",
            "line 3, model_registry.sasrec.variants.mine: reference_epochs (5) leaves none of",
        ),
        (
            "registry: {lfm1k: {skip_rule: {min_support: 0.5}}}\n",
            "line 1, registry.lfm1k.skip_rule.min_support: 0.5 is not a whole number from 1",
        ),
        (
            "model_registry: {ease: {variants: {orig: {\n  regularization: .inf}}}}\n",
            "line 2, model_registry.ease.variants.orig.regularization: inf is not a finite number",
        ),
    ],
)
def test_the_line_of_a_mistake(tmp_path, text, place):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        check_overlays([path])
    assert str(error.value).startswith(f"{path}, {place}")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("{name: gap_below, seconds: 30}", "{name: length_margin, margin: 20}"),
        ("{name: known_length, margin: 5}", "{name: gap_below, seconds: 30}"),
    ],
)
def test_each_overlay_may_name_another_rule(tmp_path, first, second):
    one, two = tmp_path / "1.yaml", tmp_path / "2.yaml"
    for path, rule in ((one, first), (two, second)):
        path.write_text(f"registry: {{lfm1k-sim: {{skip_rule: {rule}}}}}\n")
    assert "lfm1k-sim" in check_overlays([one, two])
    two.write_text(two.read_text().replace("}}}", ", lead: 3}}}"))
    with pytest.raises(UserError, match=r"2.yaml, line 1.*has no parameter 'lead'"):
        check_overlays([one, two])


def test_what_no_overlay_has_is_of_the_configuration(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "sessions: {min_length: 30}\nregistry: {a.b: {form: events}}\ndatasets: [a.b]\n"
    )
    with pytest.raises(UserError, match=r"mine.yaml, line 2, registry.a.b: "):
        check_overlays([path])
