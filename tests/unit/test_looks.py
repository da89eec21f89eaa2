"""Timers of Snakemake's scheduler."""

import threading
import time

import pytest
from skipwise.looks import look_once_at_a_time
from snakemake.scheduling.job_scheduler import JobScheduler

DELAY = 0.2


@pytest.fixture
def scheduler(monkeypatch) -> JobScheduler:
    """A scheduler of which only the timers work."""
    monkeypatch.setattr(JobScheduler, "_schedule_reevalutation", JobScheduler._schedule_reevalutation)  # undone at the end
    scheduler = JobScheduler.__new__(JobScheduler)
    scheduler._open_jobs = threading.Semaphore(0)
    return scheduler


def looks(scheduler: JobScheduler) -> int:
    """How often it looks for jobs within three delays."""
    end, found = time.monotonic() + 3 * DELAY, 0
    while scheduler._open_jobs.acquire(timeout=max(0, end - time.monotonic())):
        found += 1
    return found


def test_snakemake_looks_once_for_each_timer(scheduler):
    """What the fix is for; if this fails, Snakemake has changed and the fix may go."""
    for _ in range(5):
        scheduler._schedule_reevalutation(DELAY)
    assert looks(scheduler) == 5


def test_timers_at_the_same_time_are_one(scheduler):
    look_once_at_a_time()
    for _ in range(5):
        scheduler._schedule_reevalutation(DELAY)
    assert looks(scheduler) == 1
    scheduler._schedule_reevalutation(DELAY)
    assert looks(scheduler) == 1


def test_timers_of_other_lengths_are_kept(scheduler):
    look_once_at_a_time()
    for delay in (DELAY, 2 * DELAY, DELAY):
        scheduler._schedule_reevalutation(delay)
    assert looks(scheduler) == 2
