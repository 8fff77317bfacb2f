"""What several test files share."""

from __future__ import annotations

import gc
import io
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from helpers import TESTS, asking, collected, libraries, logged, one_session, own_ray, warm
from helpers.command import imagepipe
from helpers.s3_server import S3
from helpers.sweeps import Swept
from helpers.tracked import with_database
from PIL import Image

from imagepipe import shell

# What tests start finds `helpers` as they do.
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
)
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["OMP_NUM_THREADS"] = "1"  # several test processes share the cores
os.environ.update(RAY_worker_niceness="0")  # and Ray's own 15 would starve beside pytest
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a shell's background: commands
    signal.signal(signal.SIGINT, signal.default_int_handler)  # that tests start inherit it
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # as under nohup, which is tested apart
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
ID_CHARS = 20  # of a text that is a test's parameter
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", help="folder to keep what browser tests see in")
    parser.addoption("--faults-results", type=Path, help="file to add what tests/faults found to")
    parser.addoption("--kills", type=int, default=3, help="how many processes tests/faults kills")
    parser.addoption("--fuzz-inputs", type=int, default=300, help="how many are made for each door")
    parser.addoption("--fuzz-seed", type=int, default=1, help="another makes other inputs")


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Texts as short words and bytes by their argument's name: a test's name has to be the same in
    every process, and to be typed. pytest numbers those that come out alike.
    """
    if isinstance(val, bytes):
        return argname
    if isinstance(val, str):
        return re.sub(r"[^\w.=+-]+", "-", val, flags=re.ASCII)[:ID_CHARS].strip("-") or argname
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that use this process's Ray come first: it is started once."""
    items.sort(key=lambda one: not own_ray.uses(one.path))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    """Ray ends with the last test that uses it: what is left would be in the way of others."""
    if nextitem is None or not own_ray.uses(nextitem.path):
        own_ray.end()
    libraries.leave_out()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    if config.getoption("dist") != "loadfile":
        return None
    from helpers.together import Together

    return Together(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    with collected.elsewhere():
        return (yield)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Before any test runs: an exception that is raised may say more of itself afterwards."""
    session.config.stash[collected.COLLECTED] = found = collected.found(session)
    collected.leave(found)
    libraries.leave_out()
    gc.set_threshold(20_000, 20, 20)  # a tenth of the time went into collections even so


def pytest_configure(config: pytest.Config) -> None:
    if asking.SHARED not in os.environ:  # else this is one of several processes of pytest
        os.environ[asking.SHARED] = tempfile.mkdtemp(prefix="imagepipe-tests-")
        one_session.SERVER.keep()
        config.add_cleanup(_end_what_is_shared)
    asking.ENVIRONMENT.update(os.environ)


def _end_what_is_shared() -> None:
    one_session.SERVER.close()
    shutil.rmtree(os.environ.pop(asking.SHARED))


def pytest_unconfigure() -> None:
    own_ray.end()
    warm.SERVER.close()


@pytest.fixture(autouse=True)
def _comes_back() -> Iterator[None]:
    """A test that resumes as a command does goes to the folder where the run was begun."""
    with shell.coming_back():
        yield


@pytest.fixture(name="logged")
def _logged() -> Iterator[logged.Logged]:
    with logged.kept() as records:
        yield records


@pytest.fixture
def screenshot(request: pytest.FixtureRequest) -> Callable[[Any, str], None]:
    """Keeps what a page shows as `<name>.png` where --screenshots asks for it."""
    folder: str | None = request.config.getoption("--screenshots")

    def take(page: Any, name: str) -> None:
        if folder is None:
            return
        page.mouse.move(0, 0)
        where = page.get_by_text("Path: file:")  # a folder of the machine that it was taken on
        taken = page.screenshot(animations="disabled", mask=[where], mask_color="white")
        shot = Image.open(io.BytesIO(taken))
        small = shot.convert("RGB").quantize(256, dither=Image.Dither.NONE)
        small.save(Path(folder, f"{name}.png"), optimize=True)

    return take


@pytest.fixture
def ray_session() -> Iterator[None]:
    """Ray on two CPUs, quiet, for all tests of this process that ask for it."""
    own_ray.start()
    import ray

    context = ray.data.DataContext()
    context.enable_progress_bars = context.print_on_execution_start = False
    with ray.data.DataContext.current(context):
        yield


@pytest.fixture(scope="session")
def untrained() -> Callable[[str], Path]:
    """The folder of a hub id's tiny architecture, without weights, for all that read it."""
    from helpers import tiny_pipelines

    return partial(asking.shared, "architectures", tiny_pipelines.write)


@pytest.fixture(scope="session")
def trained(untrained) -> Callable[[str], Path]:
    """The same with weights, as diffusers saves them."""

    def write(hub_id: str, where: Path) -> None:
        import torch
        from helpers.tiny_pipelines import small

        from imagepipe.diffusion import random_weights

        model = small(untrained(hub_id), weights="random")
        random_weights.pipeline(model, "cpu", torch.float32).save_pretrained(where)

    return partial(asking.shared, "weights", write)


class Patient:
    """A browser whose pages wait as long as it takes: how long says how busy the machine is."""

    def __init__(self, browser: Any) -> None:
        self.browser = browser

    def new_page(self, **options: Any) -> Any:
        return self._patient(self.browser.new_page(**options))

    def new_context(self, **options: Any) -> Any:
        return self._patient(self.browser.new_context(**options))

    def _patient(self, opened: Any) -> Any:
        opened.set_default_timeout(0)
        return opened


@pytest.fixture(scope="session")
def browser() -> Iterator[Patient]:
    """A real Chromium."""
    if CHROMIUM is None:
        pytest.skip("needs a Chromium: apt-get install chromium, or its path in CHROMIUM")
    from playwright.sync_api import sync_playwright

    quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
    # Fewer processes for each page: what opens is ours, and there is nothing to draw in 3D.
    quiet += ["--disable-software-rasterizer", "--renderer-process-limit=1"]
    quiet += ["--disable-site-isolation-trials"]
    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=CHROMIUM, args=quiet)
        yield Patient(started)
        started.close()


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    """An S3 server, which this process and those that it starts reach by the AWS_* variables."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        there = S3(f"http://127.0.0.1:{server.get_host_and_port()[1]}")
        with pytest.MonkeyPatch.context() as patch:
            for name, value in there.environment.items():
                patch.setenv(name, value)
            yield there
    finally:
        server.stop()


SWEPT = ["llm=none", "limit=6", "resources.rows_per_block=2", "resources.model.batch_size=2"]
SWEPT += ["resources.model.pool=1", "scorer=none"]


@pytest.fixture(scope="session")
def swept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Swept:
    """Three jobs that draw, and between them one that cannot work: with the embedded model where
    somebody will look at the pictures.

    Made once for all of pytest's processes: whoever comes second waits.
    """
    seen = request.config.getoption("--screenshots") is not None
    asked = [*SWEPT, *([] if seen else ["model=noop"])]
    base = tmp_path_factory.getbasetemp()
    home = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "swept"
    said = home / "said.txt"
    with FileLock(f"{home}.lock"):
        if not said.exists():
            with_database(home / "outputs")
            said.write_text(_sweep(home, asked))
    return Swept(home, home / "sweep", said.read_text(), asked)


def _sweep(home: Path, asked: list[str]) -> str:
    typed = ["-m", "model.steps=1,-1,2,4", "hydra.sweep.dir=sweep", *asked]
    done = imagepipe(home, *typed, "tracking.system_metrics=false")
    assert done.returncode == 2, done.stderr
    return done.stderr
