"""A fault of Snakemake 9.27 that takes a core away from a large run."""

import math
import time


def look_twice_a_second() -> None:
    """Let Snakemake's scheduler look for jobs that it may start at most twice a second, beside when
    one has ended.

    For the sake of `--max-jobs-per-timespan` each of its looks starts a timer for another one a
    second later, also a look because a job has ended.  So every job that ended adds one look a
    second for the rest of the run: of a run of 361 jobs, two at a time, Snakemake's own process
    took 45 % of a core after 118.  Here a timer runs to the next half of a second, and one that
    would end with another is left out.  Another version of Snakemake that has no such timers stays
    as it is.
    """
    try:
        from snakemake.scheduling.job_scheduler import JobScheduler

        plain = JobScheduler._schedule_reevalutation  # (their spelling)
    except (ImportError, AttributeError):
        return
    last_due: dict[float, float] = {}

    def schedule_reevaluation(self: JobScheduler, delay: float) -> None:
        now = time.monotonic()
        due = math.ceil(2 * (now + delay)) / 2
        if due > last_due.get(delay, 0):
            last_due[delay] = due
            plain(self, due - now)

    JobScheduler._schedule_reevalutation = schedule_reevaluation
