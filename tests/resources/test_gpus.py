"""How many GPUs there are: by NVIDIA's library, else by its driver's folders."""

from __future__ import annotations

from pathlib import Path

import pynvml
import pytest

from imagepipe.resources.limits import visible_gpus
from imagepipe.resources.machine import gpu_devices


class Nvml:
    """NVIDIA's library as it answers with `count` GPUs, or with an error when it is begun."""

    NVMLError = pynvml.NVMLError

    def __init__(self, count: int = 0, error: int | None = None) -> None:
        self.count, self.error, self.begun = count, error, False

    def nvmlInit(self) -> None:
        if self.error is not None:
            raise pynvml.NVMLError(self.error)
        self.begun = True

    def nvmlDeviceGetCount(self) -> int:
        if not self.begun:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_UNINITIALIZED)
        return self.count


@pytest.mark.parametrize("of_host", [0, 1, 8])
@pytest.mark.parametrize("given", [0, 1, 2])
def test_a_container_has_the_gpus_that_it_was_given(tmp_path: Path, of_host: int, given: int):
    for number in range(of_host):
        (tmp_path / f"0000:0{number}:00.0").mkdir()
    assert gpu_devices(Nvml(given), tmp_path) == given
    assert visible_gpus(gpu_devices(Nvml(given), tmp_path), "0") == min(given, 1)


@pytest.mark.parametrize("error", ["LIBRARY_NOT_FOUND", "DRIVER_NOT_LOADED", "NO_PERMISSION"])
def test_without_the_library_the_drivers_folders_count(tmp_path: Path, error: str):
    missing = Nvml(error=getattr(pynvml, f"NVML_ERROR_{error}"))
    assert gpu_devices(missing, tmp_path / "none") == 0
    for number in range(3):
        (tmp_path / f"0000:0{number}:00.0").mkdir()
    assert gpu_devices(missing, tmp_path) == 3
