"""What the jobs of a sweep did, or any finished runs, side by side: a page, a picture, and who was
best.

All of it is read from the folders that they left, so it can be made again at any time.
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
