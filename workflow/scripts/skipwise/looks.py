"""A fault of Snakemake 9.27 that takes a core away from a large run."""

import threading

from snakemake.scheduling.job_scheduler import JobScheduler


def look_once_at_a_time() -> None:
    """Let a scheduler that waits to look for jobs again not wait a second time for the same.

    It looks for jobs to start whenever one has ended.  For the sake of `--max-jobs-per-timespan` each look also starts a timer
    for another one a second later.  So every job that ended adds one look a second for the rest of the run: of a run of 361
    jobs, two at a time, Snakemake's own process took 45 % of a core after 118.  Only the timers that are started while the same
    one runs are left out; its look starts the next.
    """

    def schedule_reevaluation(self, delay: float) -> None:
        due = self.__dict__.setdefault("_reevaluations_due", set())
        if delay in due:
            return
        due.add(delay)

        def look() -> None:
            due.discard(delay)  # before the look, which may want the next
            self._open_jobs.release()

        timer = threading.Timer(delay, look)
        timer.daemon = True  # nothing is left to look for at the end
        timer.start()

    if hasattr(JobScheduler, "_schedule_reevalutation"):  # (their spelling)
        JobScheduler._schedule_reevalutation = schedule_reevaluation
