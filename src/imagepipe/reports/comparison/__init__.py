"""The comparison of a sweep's jobs, or of any finished runs: a page, a picture, and the best job.

It is read from the folders of the runs, so it can be written again at any time.
"""

from imagepipe.reports.comparison.job import Job
from imagepipe.reports.comparison.jobs import Comparison, collect, objective
from imagepipe.reports.comparison.write import PAGE, SHEET, write, write_again, write_runs

__all__ = [
    "PAGE",
    "SHEET",
    "Comparison",
    "Job",
    "collect",
    "objective",
    "write",
    "write_again",
    "write_runs",
]
