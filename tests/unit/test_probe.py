"""What saved models are asked besides their ranks: the released metric, responses to a skip, and
the tables made from both.
"""

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import torch
from examples import (
    FixedScores,
    given_for,
    random_sessions,
    ranks_table,
    sequences,
    settings_of,
    splits_of,
)
from skipwise.core.artifacts import write_artifact
from skipwise.core.registry import find_model
from skipwise.core.schemas import ARTIFACTS
from skipwise.evaluation.rank_sessions import rank_test_sessions
from skipwise.evaluation.released import (
    Best,
    average_precision,
    first_relevant,
    merged,
    released_metrics,
    with_skips,
)
from skipwise.evaluation.responses import last_listened, responses, similar, with_a_skip
from skipwise.ranking.candidates import sampled_candidates
from skipwise.report.tables import responsiveness
from skipwise.report.write import make_table
from sklearn.metrics import roc_auc_score

N_TRACKS, DRAWN, SEED = 40, 12, 3
INTERVALS = {"level": 0.95, "equivalence": 0.002, "least_deciding": 20, "seed": 1}


def scored(n: int, *, seed: int) -> np.ndarray:
    """(n + 1, N + 1) scores with ties."""
    return np.random.default_rng(seed).integers(0, 25, (n + 1, N_TRACKS + 1)).astype(np.float32)


def by_hand(scores: np.ndarray, test, batch: int) -> dict[str, tuple]:
    """The released metrics with plain lists: one list of (score, relevant) per query."""
    order = np.random.default_rng([SEED, 0]).permutation(len(test))
    of_session, of_place = {"t": [], "s": []}, {"t": {}, "s": {}}
    for number, start in enumerate(range(0, len(order), batch)):
        sessions = test.take(order[start : start + batch])
        rng = np.random.default_rng([SEED, 1, number])
        drawn = sampled_candidates(rng, N_TRACKS, DRAWN, sessions.tracks.padded(), sessions.target)
        for place in range(len(sessions)):
            own = scores[sessions.session_id[place]]
            tracks = {int(track) for track in drawn[place] if track}
            skips = {int(track) for track in sessions.unseen_skips.take(np.array([place])).values}
            target = int(sessions.target[place])
            lists = {
                "t": [(-own[track], track == target) for track in tracks],
                "s": [(-own[track], track in skips) for track in tracks | skips],
            }
            for kind, pairs in lists.items():
                of_session[kind].append((pairs, bool(skips)))
                of_place[kind].setdefault(place, []).extend(pairs)

    def relevant(pairs):
        return [is_relevant for _, is_relevant in sorted(pairs)[:10]]

    def precision(pairs):
        places = [at + 1 for at, hit in enumerate(relevant(pairs)) if hit]
        return np.mean([(n + 1) / at for n, at in enumerate(places)]) if places else 0.0

    def reciprocal(pairs):
        hits = relevant(pairs)
        return 1 / (hits.index(True) + 1) if True in hits else 0.0

    return {
        "hr_10": (np.mean([any(relevant(pairs)) for pairs, _ in of_session["t"]]), None),
        "map_10": (
            np.mean([precision(pairs) for pairs, _ in of_session["t"]]),
            np.mean([precision(pairs) for pairs in of_place["t"].values()]),
        ),
        "mrr_skipped_10": (
            np.mean([reciprocal(pairs) for pairs, has in of_session["s"] if has]),
            np.mean([reciprocal(pairs) for pairs in of_place["s"].values()]),
        ),
    }


@pytest.mark.parametrize("batch", [1, 4, 7, 64])
def test_the_released_metric_is_that_of_plain_lists(batch):
    test = random_sessions(30, N_TRACKS, seed=5)
    scores = scored(30, seed=batch)
    found = released_metrics(FixedScores(scores), test, batch=batch, candidates=DRAWN, seed=SEED)
    expected = by_hand(scores, test, batch)
    assert [row["metric"] for row in found] == list(expected)
    for row in found:
        for kind, value in zip(("sampled", "merged"), expected[row["metric"]], strict=True):
            assert row[kind] is None if value is None else row[kind] == pytest.approx(value)


def test_a_batch_of_64_has_the_sampled_candidates_of_the_ranks():
    test = random_sessions(150, N_TRACKS, seed=2)
    model = FixedScores(scored(150, seed=8))
    popularity = np.zeros(N_TRACKS + 1)
    ranks = rank_test_sessions(model, test, popularity, candidates=DRAWN, seed=SEED)
    rank = ranks["rank_sampled"].to_numpy()
    hr, average, _ = released_metrics(model, test, batch=64, candidates=DRAWN, seed=SEED)
    assert hr["sampled"] == pytest.approx((rank <= 10).mean())
    assert average["sampled"] == pytest.approx(np.where(rank <= 10, 1 / rank, 0).mean())


def test_merged_queries_flatter_a_model_that_is_sure_where_it_is_right():
    test = random_sessions(400, N_TRACKS, seed=4)
    scores = np.random.default_rng(1).normal(size=(401, N_TRACKS + 1)).astype(np.float32)
    sure = test.session_id[::5]
    scores[test.session_id, test.target] = -100  # never found
    scores[sure, test.target[::5]] = 100
    _, found, _ = released_metrics(FixedScores(scores), test, batch=16, candidates=DRAWN, seed=SEED)
    assert found["sampled"] == pytest.approx(1 / 5)
    assert found["merged"] > 0.9


def test_a_query_with_several_relevant_tracks():
    query = Best(np.zeros((3, 4)), np.array([[1, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]], bool))
    assert average_precision(query) == pytest.approx([(1 + 2 / 3) / 2, 1 / 4, 0])
    assert first_relevant(query) == pytest.approx([1, 1 / 4, 0])


def test_batches_are_merged_by_place_and_a_relevant_track_is_last_among_equals():
    one = Best(np.array([[3.0, 1.0], [2.0, 0.0]]), np.array([[False, True], [True, False]]))
    two = Best(np.array([[3.0, 2.0]]), np.array([[True, False]]))
    both = merged([one, two])
    assert both.relevant.tolist() == [[False, True, False, True], [True, False, False, False]]


def test_each_skip_is_a_candidate_once():
    sessions = sequences([[1], [2]], targets=[3, 4], unseen=[[7, 7, 5], []])
    drawn = np.array([[3, 4, 5, 0], [4, 3, 0, 6]])
    candidates, is_skip = with_skips(drawn, sessions)
    assert candidates.tolist() == [[3, 4, 5, 0, 7, 0, 0], [4, 3, 0, 6, 0, 0, 0]]
    assert is_skip.tolist() == [[False, False, True, False, True, False, False], [False] * 7]


class ByLabels(FixedScores):
    """A track that was skipped in the context loses so much."""

    def __init__(self, table, loss):
        super().__init__(table)
        self.loss = loss

    def score(self, contexts):
        scores = self.table[contexts.session_id].copy()
        row = contexts.tracks.row_of_value()
        for at, track, skipped in zip(
            row, contexts.tracks.values, contexts.skipped.values, strict=True
        ):
            if skipped:
                scores[at, [track - 1, track + 1]] -= self.loss
        return torch.from_numpy(scores)


TRAIN = sequences([[4, 5], [5, 6, 5], [5, 6], [8, 9], [1, 5]])


def test_tracks_like_a_play_have_the_largest_cosine():
    like = similar(TRAIN, np.array([5, -1, 8, 2]), 10)
    # Track 5 is in four sessions: with 6 in 2 of 2, with 1 in 1 of 1, with 4 in 1 of 1.
    assert np.split(like.values, like.offsets[1:-1])[0].tolist() == [6, 1, 4]
    assert like.lengths.tolist() == [3, 0, 1, 0]


def test_one_listened_play_is_exchanged():
    sessions = sequences([[1, 2, 3], [1, 2], [4, 4]], [[0, 0, 1], [1, 1], [0, None]])
    assert last_listened(sessions).tolist() == [1, -1, 5]
    assert with_a_skip(sessions).skipped.values.tolist() == [0, 1, 1, 1, 1, 1, 0]
    assert sessions.skipped.values.tolist() == [0, 0, 1, 1, 1, 0, 0]


def test_tracks_like_it_fall_and_others_stay():
    table = np.tile(np.arange(11.0, dtype=np.float32), (4, 1))  # track 10 is the best
    test = sequences([[2, 5], [8], [5]], [[0, 0], [0], [1]], targets=[10, 9, 10])
    rows = responses(ByLabels(table, 100.0), test, TRAIN).to_pylist()
    # After the skip of track 5 tracks 4 and 6 are last; 1 rises by the two. Ranks: 6, 1 and 4.
    before, after = np.array([5, 10, 7]), np.array([9, 8, 10])
    assert rows[0]["fall"] == pytest.approx(np.log2(after / before).mean())
    assert rows[0]["target_fall"] == 0
    assert (rows[0]["near_before"], rows[0]["near_after"]) == (3, 3)
    # The track like 8 is the target 9, which falls from 2 to 9; 7 is the other that does.
    assert rows[1]["fall"] == rows[1]["target_fall"] == pytest.approx(np.log2(9 / 2))
    assert rows[2]["fall"] is None
    assert rows[2]["target_logit"] is None


@pytest.mark.parametrize(
    ("variant", "answers"), [("orig", False), ("feedback-input", True), ("skip-head", False)]
)
def test_only_a_model_that_sees_labels_responds(variant, answers):
    base = settings_of("sasrec", "orig") | {"max_epochs": 1}
    own = {"way": None if variant == "orig" else variant}
    if variant == "skip-head":
        own |= {"skip_weight": 1.0}
    sessions = random_sessions(60, N_TRACKS, seed=3)
    model = find_model("sasrec")(N_TRACKS, base | own)
    model.fit(sessions, sessions, seed=1, threads=1)
    table = responses(model, sessions, sessions)
    falls = table["fall"].drop_null().to_numpy()
    assert len(falls) > 50
    assert np.any(falls != 0) == answers
    has_logits = variant == "skip-head"
    assert (table["target_logit"].null_count == 0) == has_logits
    if has_logits:
        head, contexts = model.network.get_submodule("weights"), sessions.take(np.arange(1))
        with torch.inference_mode():
            query = head.query(model.queries(contexts))[0]
            expected = query @ model.table[int(sessions.target[0])] + head.constant
        assert table["target_logit"][0].as_py() == pytest.approx(expected.item(), abs=1e-5)


def test_auc_is_that_of_sklearn():
    rng = np.random.default_rng(1)
    targets = rng.integers(0, 9, 30)
    skips = [rng.integers(2, 11, 3).astype(float).tolist() for _ in targets]
    frame = pl.DataFrame(
        {"target_logit": targets.astype(float), "skip_logits": skips},
        schema_overrides={"skip_logits": pl.List(pl.Float64)},
    )
    flat = np.concatenate(skips)
    truth = np.repeat([0, 1], [len(targets), len(flat)])
    expected = roc_auc_score(truth, np.concatenate([targets, flat]))
    assert responsiveness.auc(frame) == pytest.approx(expected)
    assert np.isnan(responsiveness.auc(frame.head(0)))


def keys(variant: str, seed: int) -> str:
    return f"dataset=toy/split=paper/model=sasrec/variant={variant}/seed={seed}"


def made(name: str, needs: dict, folder) -> pl.DataFrame:
    paths = {kind: str(folder / f"{name}.{kind}") for kind in ("csv", "parquet", "html", "tex")}
    make_table(name, given_for(needs, paths, {"simulated": [], "intervals": INTERVALS}))
    return pl.read_parquet(paths["parquet"])


def test_the_evaluation_audit_has_gains_by_every_metric(tmp_path):
    needs: dict = {"ranks": [], "released": []}
    schema = ARTIFACTS["released"].schema
    for variant, hits, merged_map in (("orig", 100, 0.5), ("pairwise", 150, 0.4)):
        for seed in (1, 2):
            rank = np.where(np.arange(400) < hits, 2, 50).tolist()
            needs["ranks"].append(str(tmp_path / "ranks" / keys(variant, seed) / "ranks.parquet"))
            write_artifact(ranks_table(rank, skips=[[4]] * 400), "ranks", needs["ranks"][-1])
            path = tmp_path / "released" / keys(variant, seed) / "released.parquet"
            rows = [
                {"batch": batch, "metric": metric, "sampled": 0.6, "merged": merged_map + seed / 10}
                for batch in (16, 64)
                for metric in ("map_10", "mrr_skipped_10")
            ]
            rows += [{"batch": batch, "metric": "hr_10", "sampled": 0.7} for batch in (16, 64)]
            rows.sort(key=lambda row: (row["batch"], row["metric"]))
            write_artifact(pa.Table.from_pylist(rows, schema=schema), "released", path)
            needs["released"].append(str(path))
    splits_of(needs["ranks"])
    table = made("evaluation_audit", needs, tmp_path)
    assert table.height == 2 * 3 * 2
    row = table.row(
        by_predicate=(pl.col("variant") == "pairwise")
        & (pl.col("metric") == "map_10")
        & (pl.col("batch") == 64),
        named=True,
    )
    assert row["value_full"] == pytest.approx(150 / 400 / 2)
    assert row["gain_full"] == pytest.approx(50 / 400 / 2)
    assert row["value_merged"] == pytest.approx(0.4 + 0.15)
    assert row["gain_merged"] == pytest.approx(-0.1)  # the sign is another one
    assert row["gain_merged_sd"] == pytest.approx(0)
    of_orig = table.filter(variant="orig", metric="hr_10")
    assert of_orig["gain_full"].null_count() == of_orig["value_merged"].null_count() == 2
    assert of_orig["value_sampled"].to_list() == pytest.approx([0.7, 0.7])


def test_the_table_of_responses(tmp_path):
    schema, paths = ARTIFACTS["responses"].schema, []
    for seed, shift in ((1, 0.0), (2, 0.1), (3, 0.2)):
        rows = [
            {"session_id": at, "cluster": at, "fall": 1.0 + shift, "target_fall": 0.25}
            | {"near_before": 4.0, "near_after": 1.0, "target_logit": 0.0}
            | {"skip_logits": [1.0, -1.0, 1.0, 1.0]}
            for at in range(1, 50)
        ]
        rows.append({"session_id": 50, "cluster": 50, "skip_logits": []})
        path = tmp_path / keys("skip-head", seed) / "responses.parquet"
        write_artifact(pa.Table.from_pylist(rows, schema=schema), "responses", path)
        paths.append(str(path))
    [row] = made("responsiveness", {"responses": paths}, tmp_path).to_dicts()
    assert row["fall"] == pytest.approx(1.1)
    assert row["fall_low"] < 1.0 < 1.2 < row["fall_high"]  # of three seeds
    assert row["beyond_target"] == pytest.approx(0.85)
    assert (row["near_before"], row["near_after"]) == (4.0, 1.0)
    assert (row["auc"], row["auc_sd"]) == pytest.approx((0.75, 0.0))
    assert (row["sessions"], row["seeds"]) == (49, "1 2 3")
    assert row["beyond_input"] is None

    # Beside a model that sees labels in its input and responds by .4 in every session and seed.
    for seed, path in enumerate(list(paths), start=1):
        less = pl.read_parquet(path).with_columns(fall=pl.col("fall") * 0 + 0.4)
        other = tmp_path / keys("feedback-input", seed) / "responses.parquet"
        write_artifact(less.to_arrow().cast(schema), "responses", other)
        paths.append(str(other))
    found = {
        row["variant"]: row
        for row in made("responsiveness", {"responses": paths}, tmp_path / "two").to_dicts()
    }
    assert found["skip-head"]["beyond_input"] == pytest.approx(0.7)
    assert found["skip-head"]["beyond_input_low"] < 0.6
    assert found["feedback-input"]["beyond_input"] is None
