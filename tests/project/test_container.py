"""The image that the Dockerfile makes, built and run where platforms are the strictest.

It needs no registry of images: Debian's debootstrap makes the base, and buildah builds in a chroot.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers import ROOT
from helpers.waiting import until

NEEDED = ("buildah", "debootstrap", "unshare")
MISSING = [name for name in NEEDED if shutil.which(name) is None]
pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(bool(MISSING) or os.geteuid() != 0, reason=f"needs root and {NEEDED}"),
]
SUITE = "bookworm"  # with Python 3.11
PACKAGES = "python3,python3-venv,ca-certificates"
ANYBODY = 54321
# A root folder as a container has it: the kernel's own file systems, 64 MB of shared memory, and a
# home that nobody may write to.
INSIDE = """
set -e
for name in proc sys dev; do mount --rbind /$name $1/$name; done
mount -t tmpfs -o size=64m shm $1/dev/shm
mkdir -p $1/home/nobody
mount -t tmpfs -o ro home $1/home/nobody
root=$1; shift
exec chroot --userspec={user}:0 $root env -i {env} sh -c 'cd /work && exec "$@"' - "$@"
"""


def done(*command: object, **more) -> str:
    ended = subprocess.run(
        list(map(str, command)), stdout=subprocess.PIPE, text=True, check=False, **more
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout.strip()


class Buildah:
    """Images and containers in a folder of their own."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def __call__(self, *command: object) -> str:
        return done(
            "buildah", "--root", self.home / "store", "--runroot", self.home / "run", *command
        )


@pytest.fixture(scope="module")
def buildah(tmp_path_factory) -> Iterator[Buildah]:
    tool = Buildah(tmp_path_factory.mktemp("images"))
    yield tool
    tool("rm", "--all")
    tool("rmi", "--all", "--force")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory) -> Path:
    """What the image installs, fetched as pip is set up on this machine."""
    folder = tmp_path_factory.mktemp("wheels")
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-input", "-d", folder]
    done(*pip, "-c", ROOT / "requirements.lock", ROOT, "hatchling", "pip")
    return folder


@pytest.fixture(scope="module")
def image(buildah, wheels, tmp_path_factory) -> dict:
    """What is known of the image, `mounted` is where its files are."""
    base = tmp_path_factory.mktemp("base")
    done("debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, base)
    scratch = buildah("from", "scratch")
    buildah("add", "-q", scratch, base, "/")
    buildah("commit", "-q", "--rm", scratch, "base")
    shutil.rmtree(base)
    options = ["--isolation", "chroot", "--format", "docker", "--pull-never", "--layers=false"]
    options += ["--volume", f"{wheels}:/wheels:ro", "--build-arg", "BASE=localhost/base"]
    options += ["--build-arg", "PIP_OPTIONS=--no-index --find-links /wheels"]
    buildah("build", "-q", *options, "-t", "imagepipe", ROOT)
    said = json.loads(buildah("inspect", "--type", "image", "imagepipe"))["Docker"]["config"]
    return {**said, "mounted": buildah("mount", buildah("from", "imagepipe"))}


@contextmanager
def one_cpu() -> Iterator[Path | None]:
    """A control group with the time of one CPU, where the kernel lets one be made; else null."""
    group = Path("/sys/fs/cgroup/cpu/imagepipe-test")
    try:
        group.mkdir()
        (group / "cpu.cfs_quota_us").write_text("100000")
    except OSError:
        yield None
        return
    yield group
    until(
        lambda: not (group / "cgroup.procs").read_text()
    )  # the last of Ray's go after the command
    group.rmdir()


def run(image: dict, *command: str, group: Path | None = None, home: str = "/home/nobody") -> str:
    """The command in the image, by a user whom nobody knows."""
    env = [*image["Env"], f"HOME={home}"]
    script = INSIDE.format(user=ANYBODY, env=" ".join(map(_quoted, env)))
    join = [] if group is None else ["sh", "-c", f'echo $$ > {group}/cgroup.procs; exec "$@"', "-"]
    return done(*join, "unshare", "--mount", "sh", "-c", script, "-", image["mounted"], *command)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def test_the_image_is_nobodys_and_says_whether_it_is_well(image: dict):
    assert image["User"] == "1000:0"
    assert image["Healthcheck"]["Test"] == ["CMD", "imagepipe", "doctor", "--no-presets"]
    assert run(image, "imagepipe", "--version").startswith("imagepipe ")


def test_it_draws_where_little_is_allowed(image: dict):
    with one_cpu() as group:
        found = json.loads(run(image, "imagepipe", "doctor", "--no-presets", "--json", group=group))
        assert found["well"]
        said = {one["name"]: one["found"] for one in found["findings"]}
        assert said["shared memory"].startswith("0.06 GiB")
        run(image, *"imagepipe llm=none limit=8 hydra.run.dir=out".split(), group=group)
    summary = json.loads(Path(image["mounted"], "work", "out", "summary.json").read_text())
    assert (summary["status"], summary["written"]) == ("FINISHED", 8)
    if group is not None:
        assert said["cpus"].startswith("1 of ")
