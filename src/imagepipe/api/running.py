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
    """Draw pictures, as the command `imagepipe` does, and wait until the run has ended.

    `typed` are settings as on the command line ("model=tiny", "model.steps=4"), `keys` the same by
    name (`limit=8`, `**{"model.steps": 4}`); later settings override earlier ones. `config_dir` is
    a folder with your own presets. If Ray already runs in this process, the run uses it and leaves
    it running; otherwise it starts Ray and stops it again.

    Raises UserError if a setting cannot work, RunFailed if the run broke, and Interrupted (a
    KeyboardInterrupt) after Ctrl-C. What was written stays, and `run(resume=FOLDER)` resumes it.
    """
    with shell.coming_back():
        arguments, sweep = to_resume(overrides(typed, keys))
        if sweep is not None:
            raise UserError(
                field="resume",
                value=sweep,
                problem="is a sweep, which only the command can resume",
                remedy=f"Type: {shell.resume_command(sweep)}",
            )
        with checked(arguments, config_dir) as cfg:
            folder = Path(HydraConfig.get().run.dir).absolute()
            with leaving_nothing("hydra.run.dir", folder):
                return Result(run_job(cfg, folder).folder)
