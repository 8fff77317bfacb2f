"""What is shipped: the wheel, the command it installs, and the lock."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections import Counter
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path

import pytest
from helpers import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCK = ROOT / "requirements.lock"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
HEAVY = {"torch", "ray", "mlflow", "diffusers", "transformers", "vllm", "pandas", "pyarrow"}
# What is installed is looked at, not what this process finds beside it.
BARE = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
MOST = 500  # modules of Python's, Hydra's and imagepipe's own: some 360 today


def sh(*command: str | Path, cwd: Path) -> str:
    """What `command` prints to stdout; fails the test with its stderr where it fails."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=BARE)
    assert done.returncode == 0, done.stderr
    return done.stdout


def build_wheel(source: Path, into: Path) -> Path:
    """Without build isolation, so that nothing is downloaded."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "-q", "--no-deps"]
    sh(*pip, "--no-build-isolation", "-w", into, source, cwd=into)
    return next(into.glob("imagepipe-*.whl"))


def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def files(folder: Path) -> list[Path]:
    """All below `folder`, relative to it, but for caches; links to folders are not followed."""
    below = [file.relative_to(folder) for file in folder.rglob("*") if file.is_file()]
    return [file for file in below if not re.search(r"(^|/)(\.|__pycache__)", str(file))]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`bin/` of an environment that holds the wheel and borrows the dependencies of this one."""
    venv = tmp_path_factory.mktemp("venv")
    sh(sys.executable, "-m", "venv", "--without-pip", venv, cwd=venv)
    python = venv / "bin" / "python"
    site = Path(sh(python, "-c", "import site; print(site.getsitepackages()[0])", cwd=venv).strip())
    # A .pth file inside a folder that a .pth file adds is not read, so our checkout stays out.
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", python]
    sh(*pip, "install", "-q", "--no-deps", "--no-index", wheel, cwd=venv)
    return venv / "bin"


def test_wheel_holds_configuration_and_data_once(wheel: Path) -> None:
    shipped = Counter(names(wheel))
    package = ROOT / "src" / "imagepipe"
    expected = {f"imagepipe/{file}" for file in files(package)}
    expected |= {f"imagepipe/conf/{file}" for file in files(ROOT / "conf")}
    expected |= {f"imagepipe/conf/experiment/{file}" for file in files(ROOT / "experiments")}
    assert len(expected) > len(list(package.rglob("*.py")))
    assert {name: shipped[name] for name in expected} == dict.fromkeys(expected, 1)
    assert set(shipped.values()) == {1}
    strangers = {name.split("/")[0] for name in shipped} - {"imagepipe"}
    assert all(name.endswith(".dist-info") for name in strangers)


@pytest.mark.faults
def test_wheel_from_source_archive_is_the_same(wheel: Path, tmp_path: Path) -> None:
    sh(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path, cwd=ROOT)
    archive = next(tmp_path.glob("imagepipe-*.tar.gz"))
    assert sorted(names(build_wheel(archive, tmp_path))) == sorted(names(wheel))


def test_installed_command_works_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    where = sh(
        installed / "python", "-c", "import imagepipe; print(imagepipe.__file__)", cwd=tmp_path
    )
    assert Path(where.strip()).is_relative_to(installed.parent)
    assert "imagepipe" in sh(installed / "imagepipe", "--help", cwd=tmp_path)
    composed = sh(installed / "imagepipe", "experiment=lab_3_llm", "--cfg", "job", cwd=tmp_path)
    assert "pool: 2" in composed
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code"), [(["--help"], 0), (["--cfg", "job"], 0), (["model.stepz=4"], 2)]
)
def test_answers_at_once_and_imports_nothing_heavy(
    installed: Path, tmp_path: Path, arguments: list[str], code: int
) -> None:
    done = subprocess.run(
        [installed / "python", "-X", "importtime", "-m", "imagepipe", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=BARE,
    )
    assert done.returncode == code, done.stderr
    imported = re.findall(r"^import time:.*\| +([\w.]+)$", done.stderr, flags=re.MULTILINE)
    assert "hydra" in imported
    assert HEAVY.isdisjoint(name.split(".")[0] for name in imported)
    assert len(imported) < MOST  # what an answer takes, on whatever machine


def pins(python: str, system: str) -> dict[str, str]:
    """Name to version, as the lock has it for one Python and operating system."""
    machine = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": system,
        "platform_system": system.title(),
        "platform_machine": "x86_64" if system == "linux" else "arm64",
    }
    lines = [line for line in LOCK.read_text().splitlines() if not line.startswith("#")]
    wanted = [
        pin for pin in map(Requirement, lines) if not pin.marker or pin.marker.evaluate(machine)
    ]
    found = {pin.name: str(pin.specifier).removeprefix("==") for pin in wanted}
    assert len(found) == len(wanted), "a package is pinned twice"
    return found


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
@pytest.mark.parametrize("system", ["linux", "darwin"])
def test_lock_satisfies_the_project(python: str, system: str) -> None:
    pinned = pins(python, system)
    direct = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]
    if system == "linux":
        direct += PROJECT["optional-dependencies"]["vllm"]
        assert pinned["torch"] == "2.13.0", "vllm 0.32.0 is built against it"
    for requirement in map(Requirement, direct):
        version = pinned[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), requirement


def test_lock_names_versions_alone() -> None:
    for line in LOCK.read_text().splitlines():
        assert line.startswith("#") or re.match(r"[\w.-]+==[\w.]+( ; |$)", line), line
        assert "/" not in line


def test_torchvision_is_left_to_vllm() -> None:
    """The registry's build of it beside a CPU build of torch breaks `import transformers`."""
    assert find_spec("vllm") or not find_spec("torchvision")


def test_what_is_imported_is_declared() -> None:
    extras = [texts for name, texts in PROJECT["optional-dependencies"].items() if name != "dev"]
    every = [*PROJECT["dependencies"], *(text for texts in extras for text in texts)]
    declared = {canonicalize_name(Requirement(text).name) for text in every}
    # These are there where they are asked for: with a notebook, and by who has it.
    optional = {"IPython", "pandas"}
    owners = packages_distributions()
    for file in (ROOT / "src" / "imagepipe").rglob("*.py"):
        for module in imported_by(file) - set(sys.stdlib_module_names) - {"imagepipe"} - optional:
            # An extra that is not installed here has a module of its own name.
            owned = {canonicalize_name(name) for name in owners.get(module, [module])}
            assert owned & declared, f"{file.relative_to(ROOT)} imports {module}"


def imported_by(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def test_ci_script_runs() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_contributing_lists_every_room() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    table = re.findall(r"^\| (`.*?) \|", text[text.index("| package in") :], flags=re.MULTILINE)
    listed = {name.strip("/") for row in table for name in re.findall(r"`(.*?)`", row)}
    package = ROOT / "src" / "imagepipe"
    rooms = {path.name for path in package.glob("*.py")} - {"__init__.py"}
    rooms |= {path.parent.name for path in package.glob("*/__init__.py")}
    assert listed == rooms
