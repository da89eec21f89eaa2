"""From scores to metrics, against two libraries that share no code: scikit-learn and NIST's
trec_eval (pytrec_eval).

Many scores are equal, and ties count against the model.  Two of the libraries' rules for ties do
the same: scikit-learn's average precision gives tied tracks the worst of their ranks, and trec_eval
ranks tied tracks by descending name, where the target's is the smallest.  scikit-learn's other
metrics have no such rule; for them the target's score is lowered by less than two scores differ.
"""

import numpy as np
import pytest
import pytrec_eval
from examples import FixedScores, sequences
from skipwise.ranking.metrics import CUTOFFS, per_session
from skipwise.ranking.ranker import ranker
from skipwise.sessions.sequences import Ragged
from sklearn.metrics import label_ranking_average_precision_score, ndcg_score, top_k_accuracy_score

SESSIONS, TRACKS, PADDED = 60, 80, 50


@pytest.fixture(params=[2, 12, 10**6], ids="{} values".format)
def ranking(request):
    """Scores (B, N + 1) of as many different values, targets (B,) and candidates (B, C) with the
    target in each row.
    """
    rng = np.random.default_rng(request.param)
    # High values are rare, so that ties are of few tracks at the top and of many below.
    scores = np.floor(request.param * rng.random((SESSIONS, TRACKS + 1)) ** 6).astype(np.float32)
    scores[:, 0] = request.param  # the padding, which is no track, would be the best
    # A third of the targets is among the best, so that no cut-off is without a hit.
    best = scores[:, 1:].argmax(1) + 1
    targets = np.where(rng.random(SESSIONS) < 1 / 3, best, rng.integers(1, TRACKS + 1, SESSIONS))
    tied = (scores[:, 1:] == scores[np.arange(SESSIONS), targets][:, None]).sum(1) > 1
    assert tied.mean() > 0.6 if request.param <= 12 else tied.mean() < 0.2
    candidates = np.zeros((SESSIONS, PADDED), np.int64)
    for row, target in enumerate(targets):
        others = np.setdiff1d(np.arange(1, TRACKS + 1), [target])
        drawn = [target, *rng.choice(others, rng.integers(25, 45), replace=False)]
        candidates[row, rng.permutation(PADDED)[: len(drawn)]] = drawn
    return scores, targets, candidates


@pytest.fixture(params=["full", "sampled"])
def ours_and_lists(request, ranking):
    """Our metrics of each session, and what a library gets: for each session the candidates' scores
    and the target's place.
    """
    scores, targets, candidates = ranking
    test = sequences([[1]] * SESSIONS, targets=targets.tolist())
    model = FixedScores(np.concatenate([scores[:1], scores]))  # sessions count from 1
    wanted = Ragged(targets, np.arange(SESSIONS + 1))
    full, _, sampled, _ = ranker(model, np.zeros(TRACKS + 1)).rank(test, wanted, candidates)
    if request.param == "full":
        rank = full
        lists = [(row[1:], target - 1) for row, target in zip(scores, targets, strict=True)]
    else:
        rank = sampled
        lists = []
        for row, target, among in zip(scores, targets, candidates, strict=True):
            tracks = among[among > 0]
            lists.append((row[tracks], int(np.flatnonzero(tracks == target)[0])))
    ours = per_session(rank)
    # Some targets are within the cut-offs and some are not.
    assert all(0 < ours["hr", k].mean() < 1 for k in (10, 20))
    return ours, lists


def test_scikit_learn_agrees(ours_and_lists):
    ours, lists = ours_and_lists
    for session, (scores, target) in enumerate(lists):
        relevant = np.arange(len(scores)) == target
        lowered = scores.astype(np.float64) - relevant / 2
        hits = {
            k: top_k_accuracy_score(
                [target], [lowered], k=k, labels=range(len(scores)), normalize=False
            )
            for k in CUTOFFS["hr"]
        }
        reciprocal_rank = label_ranking_average_precision_score([relevant], [scores])
        theirs = (
            {("hr", k): hit for k, hit in hits.items()}
            | {("ndcg", k): ndcg_score([relevant], [lowered], k=k) for k in CUTOFFS["ndcg"]}
            | {("map", k): hits[k] * reciprocal_rank for k in CUTOFFS["map"]}
        )
        assert theirs == {
            key: pytest.approx(values[session], abs=1e-9) for key, values in ours.items()
        }


def test_trec_eval_agrees(ours_and_lists):
    ours, lists = ours_and_lists
    measures = {"hr": "success", "ndcg": "ndcg_cut", "map": "map_cut"}
    target_name, names = "a", [f"b{track}" for track in range(TRACKS)]
    run = {}
    for session, (scores, target) in enumerate(lists):
        named = dict(zip(names, map(float, scores), strict=False))
        named[target_name] = named.pop(names[target])
        run[str(session)] = named
    evaluator = pytrec_eval.RelevanceEvaluator(
        {session: {target_name: 1} for session in run},
        {f"{measures[metric]}.{','.join(map(str, ks))}" for metric, ks in CUTOFFS.items()},
    )
    for session, theirs in evaluator.evaluate(run).items():
        found = {(metric, k): theirs[f"{measures[metric]}_{k}"] for metric, k in ours}
        assert found == {
            key: pytest.approx(values[int(session)], abs=1e-9) for key, values in ours.items()
        }
