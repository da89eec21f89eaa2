"""The two losses against closed forms, torch's own cross-entropy and loops in numpy."""

import math

import numpy as np
import pytest
import torch
from skipwise.training.losses import candidate_cross_entropy
from skipwise.training.ways.contrastive import skip_contrastive
from torch.nn import functional

exp, log, sqrt = math.exp, math.log, math.sqrt


def normal(*shape, seed=0, kind=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=kind)


# --- cross-entropy over candidates


def test_cross_entropy_by_hand():
    predictions = torch.tensor([[1.0, 0.0], [0.0, 2.0]], dtype=torch.float64)
    candidates = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], dtype=torch.float64)
    # Scores are (1, 0, 1) and (0, 2, 2).
    expected = (log(2 * exp(1) + 1) - 0 + log(1 + 2 * exp(2)) - 2) / 2
    assert candidate_cross_entropy(
        predictions, candidates, torch.tensor([1, 2])
    ).item() == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize(("kind", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 2e-5)])
@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0])
@pytest.mark.parametrize(
    "count", [1, 32, 50]
)  # candidates: fewer than fill a row of scores, as many, and more
def test_cross_entropy_and_its_gradient_are_those_of_torch(kind, tolerance, scale, count):
    target = torch.randint(0, count, (33,), generator=torch.Generator().manual_seed(3))
    results = []
    for loss in (candidate_cross_entropy, lambda p, c, t: functional.cross_entropy(p @ c.T, t)):
        predictions = (scale * normal(33, 8, seed=1, kind=kind)).requires_grad_()
        candidates = normal(count, 8, seed=2, kind=kind).requires_grad_()
        value = loss(predictions, candidates, target)
        (3 * value).backward()  # an outer gradient that is not 1
        results.append((value.detach(), predictions.grad, candidates.grad))
    for ours, theirs in zip(*results, strict=True):
        assert ours.dtype == kind
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


def test_cross_entropy_passes_gradcheck():
    predictions, candidates = (
        normal(5, 3, seed=1).requires_grad_(),
        normal(7, 3, seed=2).requires_grad_(),
    )
    target = torch.tensor([0, 6, 3, 3, 1])
    assert torch.autograd.gradcheck(
        lambda p, c: candidate_cross_entropy(p, c, target), (predictions, candidates)
    )


def test_cross_entropy_of_large_scores_is_finite():
    predictions = torch.tensor([[1000.0], [-1000.0]]).requires_grad_()
    loss = candidate_cross_entropy(predictions, torch.tensor([[1.0], [-1.0]]), torch.tensor([0, 0]))
    loss.backward()
    assert loss.item() == (0 + 2000) / 2
    assert predictions.grad.tolist() == [[0.0], [-1.0]]  # softmax puts all on the wrong one: −2 / 2


def test_cross_entropy_ends_low_precision_at_the_scores():
    """Of products in bfloat16 the loss is exact in float32, and so are the gradients but for their
    own rounding.
    """
    target = torch.randint(0, 50, (33,), generator=torch.Generator().manual_seed(3))
    predictions, candidates = (
        normal(33, 8, seed=1).bfloat16().requires_grad_(),
        normal(50, 8, seed=2).float().requires_grad_(),
    )
    loss = candidate_cross_entropy(predictions, candidates, target)
    loss.backward()
    scores = (predictions.detach() @ candidates.detach().bfloat16().T).float().requires_grad_()
    expected = functional.cross_entropy(scores, target)
    expected.backward()
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, expected)
    assert (predictions.grad.dtype, candidates.grad.dtype) == (torch.bfloat16, torch.float32)
    torch.testing.assert_close(
        predictions.grad.float(), scores.grad @ candidates.detach(), rtol=0.02, atol=1e-3
    )
    torch.testing.assert_close(
        candidates.grad, scores.grad.T @ predictions.detach().float(), rtol=0.02, atol=1e-3
    )


def test_cross_entropy_leaves_its_inputs_alone():
    predictions, candidates = normal(4, 3, seed=1), normal(6, 3, seed=2)
    before = predictions.clone(), candidates.clone()
    candidate_cross_entropy(predictions, candidates, torch.tensor([0, 1, 2, 3]))
    assert torch.equal(predictions, before[0])
    assert torch.equal(candidates, before[1])


# --- contrastive term


def unit(degrees: float, length: float = 1.0) -> list[float]:
    return [length * math.cos(math.radians(degrees)), length * math.sin(math.radians(degrees))]


def booleans(*rows) -> torch.Tensor:
    return torch.tensor([[letter == "x" for letter in row] for row in rows])


def test_contrastive_by_hand():
    """Two sessions of three.  Angles give the cosines; lengths must not matter."""
    items = torch.tensor(
        [[unit(0), unit(90, 2.0), unit(60)], [unit(0), unit(45), unit(180, 0.5)]],
        dtype=torch.float64,
    )
    queries = torch.tensor(
        [[unit(30, 3.0), unit(0), unit(0)], [unit(0), unit(90), unit(0)]], dtype=torch.float64
    )
    # Session 1: the second is skipped; the first listened is a query, its positive is the third.
    #   cos to the positive: 30° apart; to the skip: 60° apart.
    # Session 2: the first is skipped; the second is a query, its positive is the third.
    #   cos to the positive: 90° apart; to the skip: 90° apart.
    tau = 0.5
    first = -log(exp(sqrt(3) / 2 / tau) / (exp(sqrt(3) / 2 / tau) + exp(0.5 / tau)))
    second = -log(exp(0) / (exp(0) + exp(0)))
    loss = skip_contrastive(
        queries,
        items,
        torch.tensor([[2, 2, -1], [1, 2, -1]]),
        booleans("x..", ".x."),
        booleans(".x.", "x.."),
        tau,
    )
    assert loss.item() == pytest.approx((first + second) / 2, abs=1e-12)


def test_contrastive_counts_a_track_that_is_skipped_twice_twice():
    items = torch.tensor([[unit(0), unit(60), unit(60), unit(90)]], dtype=torch.float64)
    loss = skip_contrastive(
        items, items, torch.tensor([[3, 3, 3, -1]]), booleans("x..."), booleans(".xx."), 1.0
    )
    # Positive at 90°, both skips at 60°.
    assert loss.item() == pytest.approx(-log(1 / (1 + 2 * exp(0.5))), abs=1e-12)


def test_a_skip_before_the_query_is_a_negative_too():
    items = torch.tensor([[unit(60), unit(0), unit(90)]], dtype=torch.float64)
    loss = skip_contrastive(
        items, items, torch.tensor([[1, 2, -1]]), booleans(".x."), booleans("x.."), 1.0
    )
    assert loss.item() == pytest.approx(-log(1 / (1 + exp(0.5))), abs=1e-12)


def random_batch(seed: int, *, sessions=6, length=9, dimension=4):
    """(queries, items, next_listened, query, skipped) as training makes them; padding at the end is
    all zero.
    """
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, length + 1, sessions)
    lengths[0] = length
    real = np.arange(length) < lengths[:, None]
    skipped = (rng.random((sessions, length)) < rng.choice([0.0, 0.4, 0.7], (sessions, 1))) & real
    skipped[0, :3] = False, True, False  # at least one query with a negative
    following = np.full((sessions, length), -1)
    for session in range(sessions):
        for i in range(lengths[session]):
            later = [j for j in range(i + 1, lengths[session]) if not skipped[session, j]]
            following[session, i] = later[0] if later else -1
    query = (following >= 0) & ~skipped & real
    items = rng.normal(size=(sessions, length, dimension)) * real[:, :, None]
    queries = rng.normal(size=(sessions, length, dimension))
    return tuple(map(torch.from_numpy, (queries, items, following, query, skipped)))


def loop(queries, items, next_listened, query, skipped, tau) -> float:
    """The formula of P1, position by position."""

    def cosine(a, b):
        return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))

    queries, items = queries.numpy(), items.numpy()
    losses = []
    for session in range(len(queries)):
        skips = [j for j in range(items.shape[1]) if skipped[session, j]]
        for i in range(items.shape[1]):
            if skips and query[session, i]:
                positive = exp(
                    cosine(queries[session, i], items[session, next_listened[session, i]]) / tau
                )
                negative = sum(
                    exp(cosine(queries[session, i], items[session, j]) / tau) for j in skips
                )
                losses.append(-log(positive / (positive + negative)))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("tau", [0.1, 1.0])
@pytest.mark.parametrize("seed", range(10))
def test_contrastive_is_that_of_the_loop(seed, tau):
    batch = random_batch(seed)
    assert skip_contrastive(*batch, tau).item() == pytest.approx(loop(*batch, tau), rel=1e-10)
    single = skip_contrastive(*(x.float() if x.is_floating_point() else x for x in batch), tau)
    assert single.dtype == torch.float32
    assert single.item() == pytest.approx(loop(*batch, tau), rel=1e-4)


def test_contrastive_passes_gradcheck():
    queries, items, *masks = random_batch(4, sessions=3, length=5)
    items = items + 0.1 * (items == 0)  # a finite difference at the zero vector means nothing
    inputs = queries.requires_grad_(), items.requires_grad_()
    assert torch.autograd.gradcheck(lambda q, i: skip_contrastive(q, i, *masks, 0.5), inputs)
    # Queries that are the items themselves: the gradient comes in by both ways.
    assert torch.autograd.gradcheck(lambda i: skip_contrastive(i, i, *masks, 0.5), inputs[1:])


def differentiated(queries, items, *masks, tau=0.1):
    """Loss and its gradients."""
    queries, items = queries.clone().requires_grad_(), items.clone().requires_grad_()
    loss = skip_contrastive(queries, items, *masks, tau)
    loss.backward()
    return loss.detach(), queries.grad, items.grad


def assert_equal(ours, theirs):
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)


def test_a_skip_of_another_session_changes_nothing():
    """The gradient of one session's part by another session's tracks is 0, and moving that
    session's skips changes nothing.
    """
    batch = random_batch(4)
    queries, items, following, query, skipped = batch
    session = int((query & skipped.any(1, keepdim=True)).any(1).nonzero()[0])
    alone = query & (torch.arange(len(query)) == session)[:, None]
    loss, by_query, by_item = differentiated(queries, items, following, alone, skipped)
    assert loss > 0
    others = torch.arange(len(query)) != session
    assert skipped[others].any()
    assert not by_query[others].any()
    assert not by_item[others].any()
    moved = torch.where((skipped & others[:, None])[:, :, None], items + 1, items)
    assert not torch.equal(moved, items)
    assert torch.equal(skip_contrastive(queries, moved, following, alone, skipped, 0.1), loss)


def test_sessions_without_a_skip_contribute_nothing():
    queries, items, following, query, skipped = random_batch(4)
    without = ~skipped.any(1)
    assert query[without].any()
    kept = differentiated(*(x[~without] for x in (queries, items, following, query, skipped)))
    loss, by_query, by_item = differentiated(queries, items, following, query, skipped)
    assert_equal((loss, by_query[~without], by_item[~without]), kept)
    assert not by_query[without].any()
    assert not by_item[without].any()


def test_positions_that_are_no_query_contribute_nothing():
    """Skipped positions and those without a later listened track: neither their query nor their
    next_listened matters.
    """
    queries, items, following, query, skipped = random_batch(5)
    expected = differentiated(queries, items, following, query, skipped)
    assert not expected[1][~query].any()
    noisy = torch.where(query[:, :, None], queries, torch.full_like(queries, 7.0))
    assert_equal(differentiated(noisy, items, following, query, skipped), expected)
    anywhere = torch.where(query, following, torch.full_like(following, 8))
    assert_equal(differentiated(queries, items, anywhere, query, skipped), expected)


@pytest.mark.parametrize("fill", [0.0, 5.0])
def test_padding_changes_nothing(fill):
    queries, items, following, query, skipped = random_batch(6)
    loss, by_query, by_item = differentiated(queries, items, following, query, skipped)
    padded = (
        functional.pad(queries, (0, 0, 0, 4), value=fill),
        functional.pad(items, (0, 0, 0, 4), value=fill),
        functional.pad(following, (0, 4), value=-1),
        functional.pad(query, (0, 4), value=False),
        functional.pad(skipped, (0, 4), value=False),
    )
    wider = differentiated(*padded)
    length = query.shape[1]
    assert_equal((wider[0], wider[1][:, :length], wider[2][:, :length]), (loss, by_query, by_item))
    assert not wider[1][:, length:].any()
    assert not wider[2][:, length:].any()


def test_zero_vectors_of_padding_give_no_nan():
    queries, items, following, query, skipped = random_batch(7)
    padding = ~items.any(2)
    assert padding.any()
    queries = torch.where(padding[:, :, None], torch.zeros_like(queries), queries)
    for found in differentiated(queries, items, following, query, skipped):
        assert torch.isfinite(found).all()


@pytest.mark.parametrize(
    ("query", "skipped"),
    [
        (["xx.", "x.."], ["...", "..."]),
        (["...", "..."], [".x.", "x.."]),
        (["xx.", "..."], ["...", "x.."]),
    ],
    ids=["no skip", "no query", "never both"],
)
def test_contrastive_is_zero_without_a_query_that_has_a_negative(query, skipped):
    queries, items = normal(2, 3, 4, seed=1), normal(2, 3, 4, seed=2)
    items[1, 2] = 0
    following = torch.tensor([[1, 2, -1], [1, 2, -1]])
    loss, by_query, by_item = differentiated(
        queries, items, following, booleans(*query), booleans(*skipped)
    )
    assert loss.item() == 0
    assert torch.equal(by_query, torch.zeros_like(queries))
    assert torch.equal(by_item, torch.zeros_like(items))


def test_low_temperature_does_not_overflow():
    items = torch.tensor([[unit(0), unit(180), unit(0)]], dtype=torch.float32)
    found = differentiated(
        items, items, torch.tensor([[1, -1, -1]]), booleans("x.."), booleans("..x"), tau=1e-3
    )
    assert found[0].item() == pytest.approx((1 - -1) / 1e-3, rel=1e-5)  # e^1000 is no float32
    assert torch.isfinite(found[1]).all()
    assert torch.isfinite(found[2]).all()
