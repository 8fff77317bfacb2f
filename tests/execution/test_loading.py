"""What a run's processes load, and when: beside the checks, and no more than it draws with."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from helpers.configs import composed

from imagepipe.errors import UserError
from imagepipe.execution.loading import libraries, loading

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: forks")


@linux
def test_what_a_refused_run_began_to_load_goes_with_it():
    begun, loaded = {}, libraries(composed())

    def refused() -> None:
        before = set(psutil.Process().children())
        with loading(composed()) as script:
            begun["folder"] = Path(str(script)).parent
            (begun["process"],) = set(psutil.Process().children()) - before
            assert begun["process"].cmdline()[-len(loaded) :] == loaded
            assert begun["folder"].is_dir()
            blocked = Path(f"/proc/{begun['process'].pid}/status").read_text()
            hangup = int(blocked.partition("SigBlk:")[2].split()[0], 16) >> (signal.SIGHUP - 1) & 1
            assert hangup  # the run ends on it, and its processes with the run
            raise UserError(field="key", value=1, problem="is refused", remedy="Name another.")

    with pytest.raises(UserError, match="is refused"):
        refused()
    assert not begun["folder"].exists()
    assert not begun["process"].is_running()


@linux
def test_where_ray_may_have_no_folder_nothing_is_loaded(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / ("long" * 30)))
    before = set(psutil.Process().children())
    with pytest.raises(UserError, match="RAY_TMPDIR"), loading(composed()):
        pass
    assert set(psutil.Process().children()) == before


@pytest.mark.parametrize(
    "override", ["ray.address=node:6379", "ray.num_gpus=1"], ids=["cluster", "gpu"]
)
def test_processes_that_cannot_be_forked_load_by_themselves(override):
    with loading(composed(override)) as script:
        assert script is None


def test_a_model_without_pictures_loads_no_other_pipeline_of_diffusers():
    code = (
        "import sys; from helpers.configs import composed\n"
        "from imagepipe.diffusion import tasks\n"
        "assert tasks.of_pictures(int, composed().model) is int\n"
        "assert 'diffusers' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
