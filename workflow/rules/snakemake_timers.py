"""A correction of Snakemake 9.27.1, whose scheduler takes a core away from a large run.

Each look of the scheduler for jobs that may start sets a timer for another look one second later
(for `--max-jobs-per-timespan`), and so does each look after a job has ended.  Every job that ended
thus adds one look per second for the rest of the run: after 118 of 361 jobs, two at a time,
Snakemake's own process took 45 % of a core.

When a new Snakemake is pinned, look upstream at
`snakemake.scheduling.job_scheduler.JobScheduler._schedule_reevalutation` (their spelling).  This
file may go once that method is gone or lets pending timers replace each other;
`test_snakemake_looks_once_for_each_timer` fails then.  It has not been reported upstream yet.
"""

import math
import time


def look_twice_a_second() -> None:
    """Let the scheduler look for jobs at most twice a second, and whenever a job has ended.

    A timer runs until the next half of a second, and one that would end together with another is
    left out.  A Snakemake that has no such timers stays as it is.
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
