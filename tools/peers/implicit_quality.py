"""implicit on the sessions of a split: AlternatingLeastSquares and its item neighbours.

Users are the sessions.  A context is folded in by `recommend` with `recalculate_user`; neighbours
need only the context.  `alpha` is the confidence of a play, of which an unplayed track has 1.
"""

import time

import numpy as np
from implicit.als import AlternatingLeastSquares
from implicit.nearest_neighbours import BM25Recommender, CosineRecommender, TFIDFRecommender
from implicit.recommender_base import RecommenderBase
from quality import TOP, Contexts, Job, Run, answer, job
from scipy.sparse import csr_matrix

NEIGHBOURS = {"cosine": CosineRecommender, "tf-idf": TFIDFRecommender, "bm25": BM25Recommender}


def matrix(contexts: Contexts, n_tracks: int) -> csr_matrix:
    """Sessions × tracks from 0, with 1 where the session has the track."""
    lengths = [len(tracks) for tracks in contexts.tracks]
    columns = np.concatenate(contexts.tracks) - 1
    rows = np.repeat(np.arange(len(contexts)), lengths)
    plays = csr_matrix(
        (np.ones(len(columns), np.float32), (rows, columns)), (len(contexts), n_tracks)
    )
    plays.data[:] = 1
    return plays


def untrained(given: Job) -> RecommenderBase:
    """The model with its settings."""
    settings = dict(given.settings)
    if given.model == "ALS":
        return AlternatingLeastSquares(
            given.dimension, random_state=given.seed, num_threads=given.threads, **settings
        )
    kind = NEIGHBOURS[settings.pop("weighting")]
    return kind(num_threads=given.threads, **settings)


def main() -> None:
    given, started = job(__doc__), time.perf_counter()
    model = untrained(given)
    model.fit(matrix(given.train(), given.n_tracks), show_progress=False)
    contexts = given.contexts()
    folded = {"recalculate_user": True} if given.model == "ALS" else {}
    tracks, scores = model.recommend(
        np.arange(len(contexts)),
        matrix(contexts, given.n_tracks),
        N=min(TOP, given.n_tracks),
        filter_already_liked_items=False,
        **folded,
    )
    sessions = np.repeat(contexts.sessions, tracks.shape[1])
    # Neighbours fill their rows up with track −1 or with scores of nothing.
    real = (tracks.ravel() >= 0) & np.isfinite(scores.ravel())
    real &= (given.model == "ALS") | (scores.ravel() > 0)
    run = Run(sessions[real], tracks.ravel()[real] + 1, scores.ravel()[real])
    answer(given, "implicit", run, started)


if __name__ == "__main__":
    main()
