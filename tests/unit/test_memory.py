"""What a training takes is said before it starts, and too little of it is one sentence."""

import logging

import pytest
from examples import settings_of
from skipwise.core.errors import UserError
from skipwise.training import memory

GIB = 2**30


@pytest.mark.parametrize(("reference_epochs", "tables"), [(None, 5), (3, 6)])
def test_a_neural_training_holds_five_tables_of_the_tracks(reference_epochs, tables):
    settings = {"dimension": 128, "reference_epochs": reference_epochs}
    assert (
        memory.training_memory("neural", settings, n_tracks=10**6, n_sessions=9)
        == GIB + tables * 10**6 * 128 * 4
    )


def test_a_factorisation_has_a_vector_and_a_bias_for_each_session_too():
    expected = GIB + 2 * (1000 + 500) * (64 + 1) * 4
    assert (
        memory.training_memory("factorization", {"factors": 64}, n_tracks=1000, n_sessions=500)
        == expected
    )


def test_a_baseline_has_no_table(monkeypatch):
    assert memory.training_memory("baseline", {}, n_tracks=10**9, n_sessions=9) == GIB
    monkeypatch.setattr(memory, "available_memory", lambda: 0)
    memory.check_memory("baseline", {}, n_tracks=10**9, n_sessions=9)


def test_a_model_of_all_pairs_of_tracks_says_so(monkeypatch, caplog):
    squares = memory.squares_of("ease")
    assert squares[0] == 5
    assert memory.squares_of("markov")[0] == 0
    sizes = {"n_tracks": 10**5, "n_sessions": 9}
    needed = memory.training_memory("baseline", {}, **sizes, squares=squares[0])
    assert needed == GIB + 5 * 10**10 * 4
    caplog.set_level(logging.INFO, "skipwise")
    monkeypatch.setattr(memory, "available_memory", lambda: needed - 1)
    with pytest.raises(UserError, match="take the model out of `models`") as error:
        memory.check_memory("baseline", {}, **sizes, squares=squares)
    assert "5 × 100000 tracks × 100000 tracks × 4 bytes" in str(error.value)
    assert str(error.value).startswith(caplog.messages[-1])


@pytest.mark.parametrize(
    ("model", "variant", "family", "rows", "remedy"),
    [
        (
            "sasrec",
            "contrastive-item",
            "neural",
            "5 × 1000000 tracks × 32 × 4 bytes",
            "neural.dimension",
        ),
        (
            "bpr",
            "nr",
            "factorization",
            "2 × 1000000 tracks and 300 sessions × 9 × 4 bytes",
            "factors",
        ),
    ],
)
def test_too_little_memory_is_the_sentence_of_the_log_and_a_remedy(
    monkeypatch, caplog, model, variant, family, rows, remedy
):
    caplog.set_level(logging.INFO, "skipwise")
    settings, sizes = settings_of(model, variant), {"n_tracks": 10**6, "n_sessions": 300}
    needed = memory.training_memory(family, settings, **sizes)
    monkeypatch.setattr(memory, "available_memory", lambda: needed)
    memory.check_memory(family, settings, **sizes)
    sentence = caplog.messages[-1]
    assert rows in sentence
    monkeypatch.setattr(memory, "available_memory", lambda: needed - 1)
    with pytest.raises(UserError) as error:
        memory.check_memory(family, settings, **sizes)
    assert str(error.value).startswith(f"{sentence}; ")
    assert "\n" not in str(error.value)
    assert remedy in str(error.value)


def test_this_process_may_have_what_it_has_and_not_more_than_the_machine():
    import psutil

    assert (
        psutil.Process().memory_info().rss
        < memory.available_memory()
        < psutil.virtual_memory().total
    )


def group(folder, limit: str, usage: int, stat: str, names: tuple[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{usage}\n")
    (folder / "memory.stat").write_text(stat)


def test_the_limits_of_control_groups_and_of_those_above(tmp_path):
    names = ("memory.max", "memory.current")
    group(tmp_path / "slurm/job", "max", 3_000, "anon 100\ninactive_file 900\n", names)
    group(tmp_path / "slurm", "10000", 4_000, "anon 100\ninactive_file 1000\n", names)
    listed = tmp_path / "listed"
    listed.write_text("0::/slurm/job\n")
    assert memory._left_in_groups(listed, tmp_path) == [10_000 - 4_000 + 1_000]


def test_the_limits_of_the_first_version(tmp_path):
    names = ("memory.limit_in_bytes", "memory.usage_in_bytes")
    group(
        tmp_path / "memory/slurm/job",
        "8000",
        3_000,
        "inactive_file 5\ntotal_inactive_file 900\n",
        names,
    )
    listed = tmp_path / "listed"
    listed.write_text("5:cpu,cpuacct:/elsewhere\n4:memory:/slurm/job\n1:name=systemd:/\n")
    assert memory._left_in_groups(listed, tmp_path) == [8_000 - 3_000 + 900]


def test_a_group_that_cannot_be_seen_and_a_system_without_groups_have_no_limit(tmp_path):
    listed = tmp_path / "listed"
    listed.write_text("0::/of/the/host\n4:memory:/of/the/host\n")
    assert memory._left_in_groups(listed, tmp_path) == []
    assert memory._left_in_groups(tmp_path / "absent", tmp_path) == []
