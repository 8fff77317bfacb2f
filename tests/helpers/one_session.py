"""Several runs in one process and one Ray session: `python -m helpers.one_session JOBS`.

JOBS is a JSON list of jobs, each a list of overrides. They run in the folder it is called in, into
job0, job1, ...; what is printed is a JSON object with what each found there and left.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def run_jobs(folder: Path, jobs: list[list[str]]) -> dict[str, Any]:
    """Run `jobs` in `folder`, in a process of their own; what `main` prints of them."""
    done = subprocess.run(
        [sys.executable, "-m", "helpers.one_session", json.dumps(jobs)],
        cwd=folder,
        capture_output=True,
        text=True,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def main() -> None:
    """`jobs`: of each the session's address, and, before it, the callbacks set, the actors alive
    and the free CPUs; then the rows written and the actors known. `alive`: whether Ray runs before
    the session is closed, and after.
    """
    import ray
    from helpers.configs import composed

    from imagepipe.execution import pipeline, run
    from imagepipe.execution.prepare import prepared
    from imagepipe.execution.session import SharedSession

    shared, seen = SharedSession(), []
    configs = [composed("tracking=none", *overrides) for overrides in json.loads(sys.argv[1])]
    libraries = dict.fromkeys(name for config in configs for name in pipeline.libraries(config))
    for number, config in enumerate(configs):
        folder = Path(f"job{number}").absolute()
        with (
            prepared(config, folder, []) as ready,
            shared.session(config.ray, ready.machine, [*libraries], verbose=False),
        ):
            context = ray.data.DataContext.get_current()
            before = getattr(context, "custom_execution_callback_classes", [])
            session = ray.get_runtime_context().gcs_address
            actors = [a for a in ray._private.state.actors().values() if a["State"] == "ALIVE"]
            classes = [a["ActorClassName"] for a in actors]
            free = ray.available_resources()["CPU"]
            outcome = run.perform(ready, time.time())
            held = [a["ActorClassName"] for a in ray._private.state.actors().values()]
        seen.append([session, len(before), classes, free, outcome.summary["written"], held])
    alive = ray.is_initialized()
    shared.close()
    print(json.dumps({"jobs": seen, "alive": [alive, ray.is_initialized()]}))


if __name__ == "__main__":
    main()
