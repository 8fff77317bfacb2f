"""What to tell the user of a run that broke."""

from __future__ import annotations

import os
import re

from imagepipe import errors, sources
from imagepipe.compat import ray_data
from imagepipe.errors import RunFailed
from imagepipe.reports.job import Job
from imagepipe.sink.ledger import Ledger

READER = "/datasource/"  # where the readers of Ray Data are
LOW_MEMORY = re.compile(  # what Ray says of a process that it ended, before a page of advice
    r"running low on memory(?:.*? was ([\d.]+) ?GB(?: used)? / ([\d.]+) ?GB)?", re.DOTALL
)

KILLED = re.compile("killed by the OOM killer|worker died unexpectedly")  # or by whatever else


def user_message(job: Job, error: Exception) -> str:
    """The error itself, without what Ray prints around it: one of imagepipe's, or else in one
    line.
    """
    from ray.data.exceptions import SystemException
    from ray.exceptions import UserCodeException

    if isinstance(error, RunFailed):
        return str(error)
    if ray_data.is_stall(error):
        return stall_message(job)
    cause = getattr(error, "cause", None) or error.__cause__ or error
    is_mark = isinstance(cause, SystemException | UserCodeException)  # Ray's, not the error
    whole = f"{error}\n{cause}"
    if low := LOW_MEMORY.search(whole):
        return _low_memory(*low.groups())
    if KILLED.search(whole):
        return _killed(whole)
    every = whole.splitlines()
    ours = (line.partition(f"{errors.__name__}.")[2].partition(": ")[2] for line in every[::-1])
    began = error if is_mark else _innermost(cause)
    return (
        next(filter(None, ours), None)
        or _broken_file(job, str(error))
        or f"{errors.with_class(began)}{_stage(str(error))}"
    )


def _low_memory(used: str | None, whole: str | None) -> str:
    figures = f" ({used} of {whole} GB)" if used and whole else ""
    return (
        f"the machine's memory was used up{figures}, and Ray ended a process. End other programs, "
        "start fewer processes (resources.model.pool, ray.num_cpus), take a smaller model or "
        "smaller batches, or give a container more"
    )


def _killed(said: str) -> str:
    at_work = re.findall(r"MapBatches\((\w+)\)", said)
    stage = f" of stage {at_work[-1]}" if at_work else ""
    logs = f"{os.environ.get('RAY_TMPDIR', '/tmp')}/ray/session_latest/logs"
    return (
        f"a process{stage} died without a word: the system may have ended it because memory ran "
        f"out (dmesg says so), or a library crashed. Ray's own logs are in {logs}"
    )


def _innermost(error: BaseException) -> BaseException:
    """The first exception of a chain."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _broken_file(job: Job, said: str) -> str | None:
    """The file of a table that a reader of Ray Data failed at, which Ray names without the file."""
    return sources.broken_file(job.tables) if READER in said else None


def _stage(said: str) -> str:
    """The stage that Ray names with an error."""
    if READER in said:
        return " (in reading the table)"
    at_work = re.findall(r"MapBatches\((\w+)\)", said.partition("\n")[0])
    return f" (in stage {at_work[-1]})" if at_work else ""


def stall_message(job: Job) -> str:
    at_work = [name for name, state in job.watch.stages.items() if state.running]
    return (
        f"nothing has moved for ray.progress_timeout_s={job.config.ray.progress_timeout_s:g} s; "
        f"at work were {', '.join(at_work) or 'no stage'}. Where that is how long it takes, raise "
        "the limit"
    )


def too_many_failed(job: Job) -> str:
    ledger = job.ledger
    [(reason, rows)] = ledger.reasons.most_common(1)
    return (
        f"{ledger.failed} of {ledger.rows_read} rows failed, more than "
        f"max_failures={job.config.max_failures}; {rows} of them: {reason}"
    )


def all_failed(ledger: Ledger) -> str | None:
    """The message for a run with failed or filtered rows and not one picture."""
    if ledger.written or ledger.already_done:
        return None
    if ledger.filtered:
        [(reason, rows)] = ledger.filtered_reasons.most_common(1) or [("", 0)]
        return f"the filter keeps no picture: {ledger.filtered} rows are filtered, as {reason}"
    if not ledger.failed:
        return None
    [(reason, rows)] = ledger.reasons.most_common(1)
    return f"no row has a picture: {ledger.failed} failed; {rows} of them: {reason}"
