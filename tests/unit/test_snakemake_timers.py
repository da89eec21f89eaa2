"""Timers of Snakemake's scheduler."""

import threading
import time

import pytest
from snakemake.scheduling.job_scheduler import JobScheduler
from snakemake_timers import look_twice_a_second


@pytest.fixture
def scheduler(monkeypatch) -> JobScheduler:
    """A scheduler of which only the timers work."""
    monkeypatch.setattr(
        JobScheduler, "_schedule_reevalutation", JobScheduler._schedule_reevalutation
    )  # undone at the end
    scheduler = JobScheduler.__new__(JobScheduler)
    scheduler._open_jobs = threading.Semaphore(0)
    return scheduler


def looks(scheduler: JobScheduler, seconds: float) -> int:
    """How often it looks for jobs in that time."""
    end, found = time.monotonic() + seconds, 0
    while scheduler._open_jobs.acquire(timeout=max(0, end - time.monotonic())):
        found += 1
    return found


def test_snakemake_looks_once_for_each_timer(scheduler):
    """What the mend is for; if this fails, Snakemake has changed and the mend may go."""
    for _ in range(20):
        scheduler._schedule_reevalutation(0.2)
    assert looks(scheduler, 0.6) == 20


def test_timers_that_end_in_the_same_half_second_are_one(scheduler):
    look_twice_a_second()
    for _ in range(20):
        scheduler._schedule_reevalutation(0.2)
    assert looks(scheduler, 1.3) in (1, 2)  # two if a half second began between the calls


def test_every_timer_is_followed_by_a_look(scheduler):
    """Not much later than without the correction; no limit of jobs makes it wait longer."""
    look_twice_a_second()
    for _ in range(6):
        started = time.monotonic()
        scheduler._schedule_reevalutation(0.3)
        while scheduler._open_jobs.acquire(timeout=0):  # looks of earlier timers
            pass
        time.sleep(0.3)
        assert scheduler._open_jobs.acquire(timeout=1)
        assert 0.3 <= time.monotonic() - started < 1.0


def test_timers_of_other_lengths_are_kept(scheduler):
    look_twice_a_second()
    for delay in (0.1, 1.1):
        scheduler._schedule_reevalutation(delay)
    assert looks(scheduler, 2) == 2


def test_another_snakemake_stays_as_it_is(monkeypatch):
    monkeypatch.delattr(JobScheduler, "_schedule_reevalutation")
    look_twice_a_second()
    assert not hasattr(JobScheduler, "_schedule_reevalutation")
