"""The processes of a Ray that imagepipe has started on a machine without a GPU."""

from __future__ import annotations

import os
import sys

import psutil
import pytest


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: forks")
def test_a_session_has_no_idle_process_and_forks_its_own(ray_session: None) -> None:
    """With variables of their own too."""
    import ray

    def begun() -> tuple[bool, str | None]:
        parent = psutil.Process(os.getppid())
        return any("forkserver.py" in word for word in parent.cmdline()), os.environ.get("MINE")

    started = psutil.Process().children()
    idle = ("monitor.py", "dashboard.py")  # log_monitor.py too
    assert not [word for one in started for word in one.cmdline() if word.endswith(idle)]
    [raylet] = [one for one in started if one.name() == "raylet"]
    assert any("/imagepipe-" in word and "setup_worker.py" in word for word in raylet.cmdline())
    mine = {"env_vars": {"MINE": "1"}}
    assert ray.get(ray.remote(begun).remote()) == (True, None)
    assert ray.get(ray.remote(begun).options(runtime_env=mine).remote()) == (True, "1")
