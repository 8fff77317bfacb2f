"""What control groups and CUDA_VISIBLE_DEVICES leave of a machine: planted files and values."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagepipe.resources import limits

NONE = "9223372036854771712"  # version 1's word for no limit


def planted(root: Path, groups: str, **files: str) -> Path:
    """A machine whose process is in `groups`; files of /sys/fs/cgroup by their path there."""
    (root / "proc" / "self").mkdir(parents=True)
    (root / "proc" / "self" / "cgroup").write_text(groups)
    for name, text in files.items():
        path = root / "sys" / "fs" / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return root


VERSION_2 = "0::/\n"
SLURM = "0::/system.slice/job_7/step_0\n"
VERSION_1 = "5:pids:/a\n4:memory:/a/b\n2:cpu,cpuacct:/docker/x\n1:name=systemd:/\n"


@pytest.mark.parametrize(
    ("groups", "files", "cpus"),
    [
        (VERSION_2, {}, None),
        (VERSION_2, {"cpu.max": "max 100000"}, None),
        (VERSION_2, {"cpu.max": "150000 100000"}, 1.5),
        (SLURM, {"system.slice/job_7/cpu.max": "400000 100000", "cpu.max": "max 100000"}, 4),
        (VERSION_1, {"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"}, 2),
        (VERSION_1, {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        (
            VERSION_1,
            {
                "cpu/docker/x/cpu.cfs_quota_us": "50000",
                "cpu/docker/x/cpu.cfs_period_us": "100000",
                "cpu/cpu.cfs_quota_us": "-1",
            },
            0.5,
        ),
        ("", {"cpu.max": "100000 100000"}, None),
        (
            VERSION_1,
            {
                "cpu,cpuacct/docker/x/cpu.cfs_quota_us": "150000",
                "cpu,cpuacct/docker/x/cpu.cfs_period_us": "50000",
            },
            3,
        ),
        (VERSION_1 + VERSION_2, {"unified/cpu.max": "250000 100000"}, 2.5),
        ("0::/../above\n", {"cpu.max": "100000 100000"}, 1),
        ("no group\n\n" + VERSION_2, {"cpu.max": "max"}, None),
        (VERSION_1, {"cpu/cpu.cfs_quota_us": "5", "cpu/cpu.cfs_period_us": "0"}, None),
    ],
    ids="none max v2 nested v1 v1-none v1-nested no-group v1-together both above odd zero".split(),
)
def test_the_cpus_that_groups_leave(tmp_path, groups, files, cpus):
    assert limits.cpu_quota(planted(tmp_path, groups, **files)) == cpus


@pytest.mark.parametrize(
    ("groups", "files", "memory"),
    [
        (VERSION_2, {"memory.max": "max"}, None),
        (VERSION_2, {"memory.max": "4294967296"}, 4 << 30),
        (SLURM, {"system.slice/job_7/memory.max": "8589934592", "memory.max": "max"}, 8 << 30),
        (VERSION_1, {"memory/memory.limit_in_bytes": NONE}, None),
        (VERSION_1, {"memory/memory.limit_in_bytes": "2147483648"}, 2 << 30),
        (
            VERSION_1,
            {
                "memory/a/memory.limit_in_bytes": "1073741824",
                "memory/a/b/memory.limit_in_bytes": NONE,
            },
            1 << 30,
        ),
    ],
    ids=["max", "v2", "nested", "v1-none", "v1", "v1-nested"],
)
def test_the_memory_that_groups_leave(tmp_path, groups, files, memory):
    assert limits.memory_limit(planted(tmp_path, groups, **files)) == memory


def test_the_processes_that_groups_leave(tmp_path):
    files = {"pids/a/pids.max": "100", "pids/a/pids.current": "30", "pids/pids.max": "max"}
    assert limits.process_room(planted(tmp_path / "v1", VERSION_1, **files)) == 70
    files = {"pids.max": "max", "pids.current": "30"}
    assert limits.process_room(planted(tmp_path / "v2", VERSION_2, **files)) is None


def test_a_machine_without_control_groups_has_no_limits(tmp_path):
    found = [limits.cpu_quota, limits.memory_limit, limits.process_room]
    assert [limit(tmp_path) for limit in found] == [None, None, None]


@pytest.mark.parametrize(
    ("devices", "visible", "gpus"),
    [
        (0, None, 0),
        (0, "0", 0),
        (0, "NoDevFiles", 0),
        (4, None, 4),
        (4, "NoDevFiles", 0),
        (4, "", 0),
        (4, "-1", 0),
        (4, "0,3", 2),
        (4, "0, 2", 2),
        (4, "0,9,1", 1),
        (4, "1,1", 1),
        (2, "GPU-8932f937,GPU-46ef2321", 2),
        (1, "MIG-a,MIG-b,MIG-c", 3),
    ],
)
def test_a_list_makes_no_gpus(devices, visible, gpus):
    assert limits.visible_gpus(devices, visible) == gpus


@pytest.mark.parametrize(
    ("said", "built"),
    [
        ("cuda: Optional[str] = None\nhip: Optional[str] = None\n", False),
        ("cuda: Optional[str] = '13.0'\nhip: Optional[str] = None\n", True),
        ("cuda: Optional[str] = None\nhip: Optional[str] = '7.1'\n", True),
        ("cuda = '12.8'\n", True),
    ],
    ids=["cpu", "cuda", "rocm", "plain"],
)
def test_whether_torch_was_built_for_a_gpu(tmp_path, said, built):
    (tmp_path / "version.py").write_text(f"__version__ = '2.13.0'\n{said}")
    assert limits.is_gpu_build(tmp_path / "version.py") is built


def test_it_says_of_this_torch_what_torch_says():
    import torch

    assert torch.__file__
    of_its_file = limits.is_gpu_build(Path(torch.__file__).with_name("version.py"))
    assert of_its_file is bool(torch.version.cuda or torch.version.hip)
