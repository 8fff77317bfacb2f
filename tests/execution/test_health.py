"""What hinders a run, planted one fault at a time, and what is told of it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from helpers.configs import composed

from imagepipe import resources
from imagepipe.cli import doctor
from imagepipe.execution import calibration, health
from imagepipe.reports.summary import speed_digest
from imagepipe.resources.machine import Machine, Node

BARE = ["model=noop", "llm=none", "scorer=none"]  # a run that loads nothing
MACHINE = Machine((Node(2, 0, 8 << 30),))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Makes a file system of a size, in memory."""
    made: list[Path] = []

    def make(size: str) -> Path:
        folder = tmp_path / f"disk{len(made)}"
        folder.mkdir()
        if os.system(f"mount -t tmpfs -o size={size} tmpfs {folder} 2>/dev/null"):
            pytest.skip("needs the right to mount a file system")
        made.append(folder)
        return folder

    yield make
    for folder in made:
        os.system(f"umount -l {folder}")


def files(root: Path, **texts: str) -> Path:
    """A folder with files, `__` in a name being a slash and `_` at an end a dot before `max`."""
    for name, text in texts.items():
        file = root / name.replace("__", "/").replace("_max", ".max")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def told(found: health.Finding) -> tuple[str, str, bool]:
    return str(found.trouble), str(found.remedy), found.hinders


def test_a_full_disk(disk):
    trouble, remedy, hinders = told(health.disk(composed(*BARE, f"outputs={disk('2m')}/out")))
    assert hinders and "too little" in trouble and "outputs=FOLDER" in remedy


def test_64_mb_of_shared_memory(disk):
    found = health.shared_memory(disk("64m"))
    assert found.found.startswith("0.06 GiB") and not found.hinders
    assert "on the disk" in str(found.trouble) and "--shm-size" in str(found.remedy)
    assert health.shared_memory(disk("2g")).trouble is None


@pytest.mark.parametrize("version", ["2.40.0", "3.0.0", None])
def test_a_wrong_ray(tmp_path: Path, version: str | None):
    names = {"hydra-core": "1.3.2", **({"ray": version} if version else {})}
    for name, has in names.items():
        folder = tmp_path / f"{name.replace('-', '_')}-{has}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {has}\n")
    needed = ["ray[data]<2.61,>=2.56", "hydra-core<1.4,>=1.3.2", "vllm; extra == 'vllm'"]
    wrong, rest = health.packages(needed, health.installed([str(tmp_path)]), {})
    assert (wrong.name, wrong.found) == ("package ray", version or "not installed")
    assert wrong.hinders and str(wrong.remedy) == "pip install 'ray<2.61,>=2.56'"
    assert (rest.found, rest.trouble) == ("1 of 2 that imagepipe needs", None)


def test_other_versions_than_the_lock_are_a_note():
    (found,) = health.packages(["ray"], {"ray": "2.58", "mlflow": "3.1"}, {"ray": "2.60"})
    assert (
        "1 have other versions" in str(found.trouble) and "ray 2.58 (lock: 2.60)" in found.trouble
    )
    assert not found.hinders


def test_a_gpu_without_a_driver(tmp_path: Path):
    bus = "sys__bus__pci__devices__0000:01:00.0__"
    root = files(tmp_path, **{f"{bus}vendor": "0x10de\n", f"{bus}class": "0x030200\n"})
    trouble, remedy, hinders = told(health.gpus(MACHINE, root))
    assert trouble.startswith("1 NVIDIA GPU(s) without a driver here") and "driver" in remedy
    assert not hinders  # it draws on the CPU
    (root / "proc/driver/nvidia/gpus").mkdir(parents=True)
    assert "does not use" in told(health.gpus(MACHINE, root))[0]


@pytest.mark.parametrize(
    ("vendor", "kind"), [("0x8086", "0x030000"), ("0x10de", "0x0c0330"), ("0x10de", "0x040300")]
)
def test_no_gpu_is_no_trouble(tmp_path: Path, vendor: str, kind: str):
    bus = "sys__bus__pci__devices__0000:01:00.0__"
    root = files(tmp_path, **{f"{bus}vendor": vendor, f"{bus}class": kind})
    assert health.gpus(MACHINE, root) == health.Finding("gpus", "none: runs use the CPU")


@pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is installed")
def test_a_missing_extra(capsys):
    assert (
        doctor.main(["llm=tiny_vllm", "model=noop", "scorer=none", "--no-presets", "--json"]) == 1
    )
    said = {one["name"]: one for one in json.loads(capsys.readouterr().out)["findings"]}
    assert said["engines"]["hinders"] and "vllm" in said["engines"]["remedy"].lower()


def test_no_permission_to_write(capsys):
    """Of the system's own folders, which root may not write to either."""
    assert doctor.main([*BARE, "outputs=/proc/self/outputs", "--no-presets"]) == 1
    said = capsys.readouterr().out
    assert "WRONG  outputs" in said and "cannot be written to" in said


def test_a_calibration_that_no_longer_holds(tmp_path: Path):
    kept = {"points": [], "missing": {}, "seconds": 1.0}
    for name, more in {
        "now": {"versions": calibration.versions()},
        "old": {"versions": {**calibration.versions(), "torch": "1.0"}},
        "elsewhere": {"versions": {"torch": "1.0"}, "host": "another machine"},
        "before": {},
    }.items():
        (tmp_path / f"{name}.json").write_text(json.dumps({**kept, **more}))
    (tmp_path / "torn.json").write_text("{")
    assert {path.stem for path in calibration.stale(tmp_path)} == {"old", "before", "torn"}
    found = health.calibrations(tmp_path)
    assert "3 of them no longer hold" in str(found.trouble) and not found.hinders
    (tmp_path / "torn.json").unlink()
    (tmp_path / "before.json").unlink()
    assert "torch 1.0 -> " in str(health.calibrations(tmp_path).trouble)
    shutil.rmtree(tmp_path)
    assert health.calibrations(tmp_path).trouble is None


def test_a_calibration_that_no_longer_holds_is_not_used(tmp_path: Path):
    config = composed(*BARE, "resources=tuned", f"outputs={tmp_path}")
    path = calibration.kept_at(config, MACHINE)
    path.parent.mkdir()
    kept = {"points": [], "missing": {}, "seconds": 1.0}
    for versions, used in ((calibration.versions(), True), ({"torch": "1.0"}, False)):
        path.write_text(json.dumps({**kept, "versions": versions}))
        assert (calibration.known(config, MACHINE) is not None) == used


@pytest.mark.parametrize(
    "other",
    ["{_target_: b.C, after: model}", "{_target_: a.B, after: llm}"],
    ids=["class", "place"],
)
def test_what_is_measured_with_other_stages_of_ones_own_is_another_thing(other: str):
    def speeds(entry: str) -> tuple[object, str]:
        config = composed(*BARE, f"stages=[{entry}]")
        shares, _ = resources.resolve(config, MACHINE, 4)
        return calibration.kept_at(config, MACHINE), speed_digest(config, shares, "m")

    one = speeds("{_target_: a.B, after: model}")
    assert speeds("{_target_: a.B, after: model}") == one
    assert not set(speeds(other)) & set(one)


def test_a_cpu_quota(tmp_path: Path):
    whole = os.cpu_count() or 1
    root = files(tmp_path, proc__self__cgroup="0::/box\n")
    files(root, sys__fs__cgroup__box__cpu_max=f"{50_000 * whole} 100000\n")
    trouble, remedy, hinders = told(health.cpus(MACHINE, root))
    assert f"the time of {whole / 2:g} of {whole} CPUs" in trouble and "--cpus" in remedy
    assert not hinders
    files(root, sys__fs__cgroup__box__cpu_max="max 100000\n")
    assert health.cpus(MACHINE, root).trouble is None


def test_nothing_hinders_a_run_here(capsys, tmp_path: Path):
    assert doctor.main([*BARE, f"outputs={tmp_path}", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["well"] and not any(one["hinders"] for one in said["findings"])
    presets = {one["name"]: one for one in said["presets"]}
    assert presets["model=tiny"]["fits"] and presets["model=tiny"]["cached"]
    qwen = presets["model=qwen_image"]
    assert qwen["weights_gb"] == 57.7  # in bfloat16, as it is drawn with
    assert qwen["picture_gb"] == pytest.approx(3.6, abs=0.1)
    assert not any(name.startswith("model=gpt") for name in presets)  # a server's
