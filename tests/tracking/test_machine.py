"""How busy the machine is, under MLflow's names."""

from __future__ import annotations

import threading

import pynvml
import pytest

from imagepipe.tracking import machine


class Nvml:
    """NVIDIA's library as it answers where a GPU tells of its power, or does not."""

    NVMLError = pynvml.NVMLError

    def __init__(self, *, tells_power: bool) -> None:
        self.tells_power = tells_power

    def nvmlDeviceGetMemoryInfo(self, gpu):
        return pynvml.c_nvmlMemory_t(total=80_000_000_000, free=60_000_000_000, used=20_000_000_000)

    def nvmlDeviceGetUtilizationRates(self, gpu):
        return pynvml.c_nvmlUtilization_t(gpu=75, memory=10)

    def nvmlDeviceGetPowerUsage(self, gpu):
        if not self.tells_power:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return 350_000  # mW

    def nvmlDeviceGetEnforcedPowerLimit(self, gpu):
        return 700_000


@pytest.mark.parametrize("tells_power", [True, False], ids=["power", "no-power"])
def test_a_gpu_is_told_of_as_far_as_it_tells(tells_power):
    power = {"power_usage_watts": 350.0, "power_usage_percentage": 50.0} if tells_power else {}
    assert dict(machine.gpu_figures(Nvml(tells_power=tells_power), object())) == {
        "memory_usage_megabytes": 20_000.0,
        "memory_usage_percentage": 25.0,
        "utilization_percentage": 75,
        **power,
    }


def test_figures_come_until_they_are_closed():
    closing = threading.Event()
    found = machine.figures(closing, 0.01)
    first = next(found)
    assert 0 <= first["cpu_utilization_percentage"] <= 100
    assert 0 < first["system_memory_usage_percentage"] < 100
    assert 0 < first["disk_usage_percentage"] < 100
    assert first["disk_usage_megabytes"] > 100
    assert first["network_receive_megabytes"] >= 0
    closing.set()
    assert list(found) == []
