"""The commands of the how-to pages work where there is what they name.

Embedded models stand for large ones, servers on this machine for others, and few rows for many.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from helpers import one_session
from helpers.chat_server import serving
from helpers.command import imagepipe
from helpers.how_to import TYPED, preset
from helpers.mlflow_server import Server
from helpers.tracked import with_database

from imagepipe.cli.commands import split
from imagepipe.scoring.sets import LEAST

FIRST, SECOND = (f"outputs/2026-01-{day}/12-00-00" for day in (30, 31))
SWEEP = "outputs/multirun/2026-01-31/12-00-00"
SMALL = ["llm=none", "scorer=none", "tracking.system_metrics=false"]
ENOUGH = f"limit={LEAST}"  # for a distance
TABLES = {
    "prompts.csv": "id,text,kind\n1,a red cat,cat\n2,a blue dog,dog\n",
    "subjects.csv": "key,what\n1,a fox\n2,an owl\n",
    "clothes.csv": "key,wears\n1,red scarf\n2,blue hat\n",
    "pictures.csv": "id,file,caption\n1,photos/100.png,a cat\n2,photos/101.png,a dog\n",
}
# What other tests run, or no machine without the hub and a GPU can.
ELSEWHERE = re.compile(
    "dataset=(drawbench|partiprompts|geneval)"  # tests/sources/test_benchmarks.py
    "|model=sdxl|smolvlm"  # tests/diffusion, tests/scoring
    "|experiment="  # tests/project/test_experiments.py
    "|^ui$"  # tests/cli/test_ui.py
    "|sink.hub"  # tests/sink/test_hub.py
)
STANDS_FOR = {
    r"(scorer|distance)=(clip|pickscore)\b": r"\1=tiny_clip",
    r"\[clip,aesthetic\]": "[tiny_clip]",
    r"limit=\d+": "limit=4",
    r"n_trials=\d+": "n_trials=2",
    "REFERENCE": FIRST,
    r"~/Downloads/votes-\*\.json": "votes-me.json",
}
CASES = [one for one in TYPED if not ELSEWHERE.search(" ".join(one.values[0]))]
pytestmark = pytest.mark.faults

Stands = Callable[[str], str]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With two runs, pictures and tables."""
    home = tmp_path_factory.mktemp("home")
    with_database(home / "outputs")
    for seed, folder in enumerate((FIRST, SECOND)):
        one_session.run(home, folder, *SMALL, ENOUGH, f"seed={seed}")
    shutil.copytree(home / SECOND / "images", home / "photos")
    for name, text in TABLES.items():
        (home / name).write_text(text)
    return home


@pytest.fixture
def stands(home: Path, request: pytest.FixtureRequest) -> Iterator[Stands]:
    """A line of a page with what is here in the place of what is not; servers run until the end."""
    with ExitStack() as servers:

        def here(line: str) -> str:
            for part, other in STANDS_FOR.items():
                line = re.sub(part, other, line)
            if draws(line):
                line += f" {ENOUGH}" if "distance" in line else " limit=4"
            for part, start in SERVERS.items():
                if part in line:
                    line = line.replace(part, start(servers, request, home))
            return line

        yield here


def _chat(servers: ExitStack, request: pytest.FixtureRequest, _: Path) -> str:
    request.getfixturevalue("monkeypatch").setenv("OPENAI_API_KEY", "sk-ours")
    return servers.enter_context(serving(chances={"": {"Yes": 0.9}})).url


def _mlflow(servers: ExitStack, _: pytest.FixtureRequest, home: Path) -> str:
    server = Server(home)
    server.start()
    servers.callback(server.kill)
    return server.uri


SERVERS = {
    "http://host:8000/v1": _chat,
    "http://host:5000": _mlflow,
    "s3://bucket": lambda _, request, home: request.getfixturevalue("s3").bucket(),
    "/mnt/shared": lambda _, request, home: str(home / "shared"),
}
MINE = {"llm": "asset:tiny_llm", "model": "asset:tiny", "scorer": "asset:tiny_clip"}
BEFORE = {
    "votes": ["compare", FIRST, SECOND, "--out=compared"],
    f"resume={SWEEP}": ["-m", "model.steps=1,2", *SMALL, "limit=2", f"hydra.sweep.dir={SWEEP}"],
}


@pytest.mark.parametrize(("words", "page"), CASES)
def test_it_works(words: list[str], page: Path, home: Path, stands: Stands):
    if words[0] in BEFORE:
        assert imagepipe(home, *BEFORE[words[0]]).returncode == 0
    if words[0] == "votes":
        vote(home)
    if "--config-dir" in words and not (home / "my_conf" / page.stem).exists():
        preset(page, home / "my_conf", MINE[page.stem])
    done = imagepipe(home, *shlex.split(stands(shlex.join(words))))
    assert done.returncode == 0, done.stderr


def draws(line: str) -> bool:
    """Whether it is a new run of all rows."""
    name, _ = split(shlex.split(line))
    return name == "run" and not re.search("limit=|resume=", line)


def vote(home: Path) -> None:
    """As the page of the comparison exports it."""
    compared = home / "compared"
    known = json.loads((compared / "comparison.json").read_text())
    voted = {"row": "100", "left": "seed=0", "right": "seed=1", "better": "left"}
    file = {"imagepipe_votes": 1, "of": known["name"], "folder": str(compared), "voter": "me"}
    (home / "votes-me.json").write_text(json.dumps(file | {"votes": [voted]}))
