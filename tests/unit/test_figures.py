"""The figures besides hit_rates, from hand-made artifacts: their numbers, what they name, and their
bytes.
"""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from examples import given_for, ranks_table, splits_of
from skipwise.core.artifacts import write_artifact
from skipwise.core.registry import declared, find
from skipwise.core.schemas import ARTIFACTS
from skipwise.report.drawing import data_by_model, label, plot_figure, styles_of

QUERIES = {"sasrec": {"orig": None, "contrastive-item": "item", "contrastive-hidden": "hidden"}}
EMPTY = "No run of this configuration has numbers for this figure."


def write(
    artifact,
    folder,
    columns,
    *,
    dataset="toy-sim",
    split="paper",
    model="sasrec",
    variant="orig",
    seed=1,
) -> str:
    """An artifact of a run in the path that the workflow uses."""
    run = f"dataset={dataset}/split={split}/model={model}/variant={variant}/seed={seed}"
    path = str(folder / artifact / run / f"{artifact}.parquet")
    table = (
        columns if isinstance(columns, pa.Table) else pa.table(columns, ARTIFACTS[artifact].schema)
    )
    write_artifact(table, artifact, path)
    return path


def write_ranks(folder, targets, skips, *, ranks=None, **keys) -> str:
    """Ranks of a run; ``ranks`` has more of their columns, as in ranks_table."""
    return write("ranks", folder, ranks_table(targets, skips=skips, **ranks or {}), **keys)


def write_history(folder, ndcg, **keys) -> str:
    n = len(ndcg)
    columns = {
        "epoch": range(1, n + 1),
        "loss": [1.0] * n,
        "loss_base": [1.0] * n,
        "loss_skip": [None] * n,
        "valid_ndcg_10": ndcg,
        "valid_hr_10": [0.5] * n,
        "seconds": [1.0] * n,
        "sessions_per_second": [9.0] * n,
        "best": [value == max(ndcg) for value in ndcg],
    }
    return write("history", folder, columns, **keys)


def write_cosines(folder, target, skips, *, shift=0.0, **keys) -> str:
    """The cosines of the item query; those of the hidden query are less by ``shift``, and 0 for a
    null.
    """
    columns = {"session_id": range(1, len(target) + 1)}
    for to, values in (
        ("target", target),
        ("skips", skips),
        ("unseen_skips", [None] * len(target)),
    ):
        columns[f"item_{to}"] = values
        columns[f"hidden_{to}"] = [0.0 if value is None else value - shift for value in values]
    return write("cosines", folder, columns, **keys)


def write_by_skip_share(folder, rows) -> str:
    """The columns of the table ``by_skip_share`` that the figure reads, and one that it does
    not.
    """
    path = folder / "by_skip_share.parquet"
    keys = ("dataset", "data", "split", "candidates", "model", "variant", "metric", "quartile")
    values = ("share_low", "share_high", "difference", "difference_low", "difference_high")
    schema = pa.schema(
        [(key, pa.int16() if key == "quartile" else pa.string()) for key in keys]
        + [(name, pa.float64()) for name in values]
        + [("headline", pa.bool_())]
    )
    table = pa.Table.from_pylist(
        [dict(zip((*keys, *values, "headline"), row, strict=True)) for row in rows], schema=schema
    )
    pq.write_table(table, path)
    return str(path)


def outputs(folder, name) -> dict[str, str]:
    return {kind: str(folder / f"{name}.{kind}") for kind in ("svg", "parquet")}


def words(svg) -> list[str]:
    tree = ElementTree.parse(svg).getroot()
    return [
        "".join(element.itertext()) for element in tree.iter("{http://www.w3.org/2000/svg}text")
    ]


GAINS = [
    (*keys, quartile, low, high, gain, gain - 0.005, gain + 0.005, candidates == headline)
    for dataset, data, headline in (("toy-sim", "simulated", "full"), ("ml", "real", "new"))
    for candidates in ("full", "new", "sampled")
    for metric in ("hr_10", "ndcg_10")
    for variant in ("contrastive-item", "contrastive-hidden")
    for keys in [(dataset, data, "paper", candidates, "sasrec", variant, metric)]
    for quartile, low, high in (
        (1, 0.0, 0.2),
        (2, 0.25, 0.4),
        (4, 0.5, 0.75),
    )  # few shares: a quartile may be empty
    for gain in (quartile / 100 + (candidates == "new"),)
]


NEEDS = {
    "gain_by_skip_share": "by_skip_share",
    "rank_distribution": "ranks",
    "learning_curves": "history",
    "query_cosines": "cosines",
}


def given(name, files, paths=None, headline="full"):
    settings = {"simulated": ["toy-sim"], "queries": QUERIES}
    needs = {NEEDS[name]: files}
    if "split" in declared("figure", name)["NEEDS"]:
        needs["split"] = splits_of(files, headline)
    return given_for(needs, paths or {}, settings)


def numbers(name, files, headline="full") -> pl.DataFrame:
    """The numbers of a figure, with the types of its columns."""
    figure = find("figure", name)
    rows = figure.numbers(given(name, files, headline=headline))
    return pl.DataFrame(pa.Table.from_pylist(rows, schema=figure.COLUMNS.schema))


def draw(name, folder) -> dict[str, str]:
    """Draw a figure of two data sets, two variants and two seeds."""
    runs = [
        {"dataset": dataset, "variant": variant, "seed": seed}
        for dataset in ("toy-sim", "ml")
        for variant in ("orig", "contrastive-hidden")
        for seed in (1, 2)
    ]
    if name == "gain_by_skip_share":
        files = write_by_skip_share(folder, GAINS)
    elif name == "rank_distribution":
        skips = [[3], [], [20, 30]]
        files = [write_ranks(folder, [1, 5, 9 * run["seed"]], skips, **run) for run in runs]
    elif name == "learning_curves":
        files = [write_history(folder, [0.1, 0.3, 0.2 + run["seed"] / 20], **run) for run in runs]
    else:
        files = [write_cosines(folder, [0.1, 0.3], [0.0, -0.2], **run) for run in runs]
    paths = outputs(folder, name)
    plot_figure(name, given(name, files, paths))
    return paths


NAMES = tuple(NEEDS)


@pytest.mark.parametrize("name", NAMES)
def test_every_panel_names_its_data(name, tmp_path):
    everything = " ".join(words(draw(name, tmp_path)["svg"]))
    assert everything.count("toy-sim") == everything.count("(simulated data)") == 1
    assert everything.count("(real data)") == 1
    assert "contrastive, query = state" in everything


@pytest.mark.parametrize("name", NAMES)
def test_same_bytes_again(name, tmp_path):
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
    first, second = (draw(name, tmp_path / folder) for folder in ("first", "second"))
    for kind in ("svg", "parquet"):
        assert Path(first[kind]).read_bytes() == Path(second[kind]).read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_the_numbers_beside_it_have_their_schema(name, tmp_path):
    table = pq.read_table(draw(name, tmp_path)["parquet"])
    assert table.schema.equals(find("figure", name).COLUMNS.schema)
    assert table.num_rows > 0


@pytest.mark.parametrize("name", NAMES)
def test_without_neural_models_a_figure_says_that_it_is_empty(name, tmp_path):
    files = write_by_skip_share(tmp_path, []) if name == "gain_by_skip_share" else []
    plot_figure(name, given(name, files, outputs(tmp_path, name)))
    assert words(tmp_path / f"{name}.svg") == [EMPTY]
    assert pq.read_table(tmp_path / f"{name}.parquet").num_rows == 0


# --- the numbers


def test_gain_is_that_of_hr_10_among_the_headline_candidates(tmp_path):
    """Those of toy-sim are full, those of ml new, where all gains are greater by 1."""
    rows = numbers("gain_by_skip_share", write_by_skip_share(tmp_path, GAINS)).to_dicts()
    assert len(rows) == 2 * 2 * 3
    assert {row["dataset"] for row in rows if row["difference"] > 1} == {"ml"}
    assert {row["dataset"] for row in rows if row["difference"] < 1} == {"toy-sim"}
    assert rows[2] == {
        "dataset": "toy-sim",
        "data": "simulated",
        "split": "paper",
        "model": "sasrec",
        "variant": "contrastive-item",
        "quartile": 4,
        "share_low": 0.5,
        "share_high": 0.75,
        "difference": 4 / 100,
        "difference_low": 4 / 100 - 0.005,
        "difference_high": 4 / 100 + 0.005,
    }


def test_share_of_ranks(tmp_path):
    """Seeds are pooled, a null rank lies past every other, and both curves have the same ranks."""
    runs = [
        write_ranks(tmp_path, [1, 2, None, 4], [[2, 6], [], [6], []], seed=1),
        write_ranks(tmp_path, [2, 2, 3, 8], [[1, 6], [], [8], []], seed=2),
    ]
    frame = numbers("rank_distribution", runs)
    curves = {
        tracks: dict(frame.filter(tracks=tracks).select("rank", "share").rows())
        for tracks in frame["tracks"].unique().to_list()
    }
    assert curves == {
        "target": {1: 1 / 8, 2: 4 / 8, 3: 5 / 8, 4: 6 / 8, 5: 6 / 8, 6: 6 / 8, 7: 6 / 8, 8: 7 / 8},
        "unseen skips": {
            1: 1 / 6,
            2: 2 / 6,
            3: 2 / 6,
            4: 2 / 6,
            5: 2 / 6,
            6: 5 / 6,
            7: 5 / 6,
            8: 6 / 6,
        },
    }


def test_share_of_ranks_among_new_candidates(tmp_path):
    """The second target repeats: neither it nor its skip counts.  A skip of the context has no
    rank, which lies past every other.
    """
    new = {"new": [1, None, 4], "skips_new": [[2, None], [1], []], "repeat": [False, True, False]}
    run = write_ranks(tmp_path, [3, 2, 6], [[4, 1], [2], []], ranks=new)
    frame = numbers("rank_distribution", [run], headline="new")
    curves = {
        tracks: frame.filter(tracks=tracks).select("rank", "share").rows()
        for tracks in frame["tracks"].unique().to_list()
    }
    assert curves == {
        "target": [(1, 1 / 2), (2, 1 / 2), (3, 1 / 2), (4, 2 / 2)],
        "unseen skips": [(1, 0), (2, 1 / 2), (3, 1 / 2), (4, 1 / 2)],
    }


def test_a_curve_has_few_points_and_starts_and_ends_where_the_ranks_do(tmp_path):
    n = 3000
    frame = numbers("rank_distribution", [write_ranks(tmp_path, range(1, n + 1), [[]] * n)])
    assert frame["tracks"].unique().to_list() == ["target"]  # no unseen skip, no curve
    assert 100 < len(frame) <= 200
    assert frame.select("rank", "share").row(0) == (1, 1 / n)
    assert frame.select("rank", "share").row(-1) == (n, 1.0)
    assert (frame["rank"] / n - frame["share"]).abs().max() < 1e-12
    assert frame["rank"].is_unique().all()


def test_a_learning_curve_is_a_run(tmp_path):
    paths = [
        write_history(tmp_path, [0.1, 0.3, 0.2], seed=1),
        write_history(tmp_path, [0.4, 0.2], seed=2),
    ]
    rows = (
        numbers("learning_curves", paths)
        .select("variant", "seed", "epoch", "valid_ndcg_10", "best")
        .rows()
    )
    assert rows == [
        ("orig", 1, 1, 0.1, False),
        ("orig", 1, 2, 0.3, True),
        ("orig", 1, 3, 0.2, False),
        ("orig", 2, 1, 0.4, True),
        ("orig", 2, 2, 0.2, False),
    ]


def test_quartiles_of_cosines(tmp_path):
    """Five sessions of two seeds; a session without the cosine does not count."""
    paths = [
        write_cosines(tmp_path, [0.0, 0.25, 0.5], [-0.5, -0.25, None], seed=1),
        write_cosines(tmp_path, [0.75, 1.0], [0.0, 0.25], seed=2),
        write_cosines(tmp_path, [0.5], [0.0], variant="contrastive-item"),
    ]
    rows = numbers("query_cosines", paths).drop("dataset", "data", "split", "model").rows()
    assert rows == [
        ("orig", "item", "next-positive", 0.25, 0.5, 0.75, 5),
        ("orig", "item", "skips", -0.25 - 0.25 / 4, -0.25 / 2, 0.25 / 4, 4),
        ("contrastive-item", "item", "next-positive", 0.5, 0.5, 0.5, 1),
        ("contrastive-item", "item", "skips", 0.0, 0.0, 0.0, 1),
    ]


def test_a_variant_is_shown_with_the_query_of_its_term_and_orig_with_each(tmp_path):
    paths = [
        write_cosines(tmp_path, [0.75], [0.0], shift=0.5, variant=variant)
        for variant in QUERIES["sasrec"]
    ]
    frame = numbers("query_cosines", paths).filter(to="next-positive")
    assert frame.select("query", "variant", "median").rows() == [
        ("hidden", "orig", 0.25),
        ("hidden", "contrastive-hidden", 0.25),
        ("item", "orig", 0.75),
        ("item", "contrastive-item", 0.75),
    ]


def test_twenty_series_have_twenty_looks():
    looks = styles_of(pl.Series([f"variant-{i}" for i in range(20)])).values()
    assert len(set(looks)) == 20
    # Also where colours are grey.
    assert len({(look.marker, look.is_filled) for look in looks}) == 20


def test_panels_by_model_fit_a_page():
    """At most four side by side, a row for each data set, and no empty axes."""
    models = {"toy-sim": 6, "ml": 1}
    frame = pl.DataFrame(
        [
            {"dataset": dataset, "data": "real", "split": "paper", "model": f"m{i}"}
            for dataset, n in models.items()
            for i in range(n)
        ]
    )
    plot, axes, panels = data_by_model(frame)
    assert axes.shape == (3, 4)
    assert [axis.get_title().split("\n")[0] for axis in plot.axes] == [
        *(f"m{i}, toy-sim" for i in range(6)),
        "m0, ml",
    ]
    assert [panel["model"][0] for _, panel in panels] == frame["model"].to_list()
    label(axes, "x", "y")
    assert [axis.get_xlabel() for axis in plot.axes] == ["", "", "x", "x", "", "x", "x"]
    assert [axis.get_ylabel() for axis in plot.axes] == ["y", "", "", "", "y", "", "y"]
