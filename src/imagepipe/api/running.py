"""`imagepipe.run`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig

from imagepipe import shell
from imagepipe.api.overrides import checked, overrides
from imagepipe.api.result import Result
from imagepipe.cli.run import run_job, to_resume
from imagepipe.errors import UserError
from imagepipe.sink.lock import leaving_nothing


def run(*typed: str, config_dir: str | Path | None = None, **keys: Any) -> Result:
    """Draw, as `imagepipe TYPED...` does, and wait for the end.

    `typed` are settings as at the command line ("model=tiny", "model.steps=4"), `keys` the same by
    name (`limit=8`, `**{"model.steps": 4}`); later ones hold. `config_dir` is a folder with presets
    of your own. Where Ray already runs in this process, it is used and left as it is; else one is
    started, and ended with the run.

    Raises UserError where something cannot work, RunFailed where the run broke, and Interrupted,
    which is a KeyboardInterrupt, on Ctrl-C; what is written by then stays, and
    `run(resume=FOLDER)` resumes it.
    """
    with shell.coming_back():
        arguments, sweep = to_resume(overrides(typed, keys))
        if sweep is not None:
            raise UserError(
                field="resume",
                value=sweep,
                problem="is a sweep's, which the command resumes",
                remedy=f"Type: {shell.resume_command(sweep)}",
            )
        with checked(arguments, config_dir) as cfg:
            folder = Path(HydraConfig.get().run.dir).absolute()
            with leaving_nothing("hydra.run.dir", folder):
                return Result(run_job(cfg, folder).folder)
