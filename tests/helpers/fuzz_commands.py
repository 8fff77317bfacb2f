"""Whatever may be typed behind `imagepipe`: each in a process of its own, forked of this one, up to
the checks before a run. The table that all of them name is not there.
"""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

from helpers.fuzz import is_plain
from hydra.conf import HydraConf
from hypothesis import strategies as st
from omegaconf import OmegaConf

from imagepipe import config as configuration
from imagepipe.cli import commands as cli
from imagepipe.cli.checks import config_dir

KEYS = sorted(configuration.keys(OmegaConf.structured(configuration.Config)))
GROUPS = sorted(path.name for path in config_dir().iterdir() if path.is_dir())
CHOICES = sorted({path.stem for path in config_dir().rglob("*.yaml")})
TEXT = st.text(max_size=12).map(lambda text: text.replace("\0", ""))
VALUES = st.one_of(
    st.sampled_from(["", "null", "true", "0", "-1", "1e400", "nan", "inf", "[]", "{}", "[1,2]"]),
    st.sampled_from(["{a: 1}", "{a: {b: c}}", "${seed}", "${oc.env:HOME}", "${nowhere}", "${"]),
    st.sampled_from(["a,b", "choice(1,2)", "range(3)", "glob(*)", "'a b'", '"{x}"', "{x", "???"]),
    st.sampled_from(["s3://u:p@h/x", "file:///", "http://", "asset:tiny", "/proc/1", "~", "../.."]),
    st.sampled_from(["x" * 9000, "\x1b[31m", "\u202e", "提示", "a\nb", "9" * 400, "interval(0,1)"]),
    st.sampled_from(["choice(a,[b])", "range(3,1)", "range(1,2,0)", "shuffle(range(2))", "[[x]]"]),
    st.sampled_from(["glob([t*,n*],exclude=x)", "sort(2,1)", "tag(log,interval(1,2))", "int(1.5)"]),
    st.sampled_from(["${..seed}", "${oc.env:NOPE,null}", "${now:%}", "${hydra:job.num}", "a\\,b"]),
    *(st.sampled_from(CHOICES), TEXT, st.integers().map(str), st.floats().map(str)),
)
_OWN = set(configuration.keys(OmegaConf.structured(HydraConf)))
HYDRAS = sorted(f"hydra.{name}" for key in _OWN for name in (key, key.rpartition(".")[0]) if name)
HYDRAS += [f"hydra/{group}" for group in ("launcher", "sweeper", "job_logging", "output", "help")]
NAMES = st.one_of(
    *(st.sampled_from(KEYS), st.sampled_from(GROUPS), TEXT),
    st.sampled_from(KEYS).map(lambda key: f"{key[:-1]}x"),
    *(st.sampled_from(HYDRAS), st.sampled_from(["hydra.sweeper.params.seed", "resume", "hydra"])),
    st.builds("{}@{}".format, st.sampled_from(GROUPS), st.sampled_from([*GROUPS, "_global_", "x"])),
)
ARGUMENTS = st.one_of(
    st.builds("{}{}={}".format, st.sampled_from(["", "", "", "+", "++", "~"]), NAMES, VALUES),
    st.builds("{}{}".format, st.sampled_from(["", "~", "-", "--"]), NAMES),
    st.sampled_from(
        ["-m", "-m", "-m", "--cfg", "job", "--info", "--config-name", "--resolve", "=", "-sc"]
    ),
    st.sampled_from(
        ["--config-dir", "--config-dir=/nowhere", "--config-name=x", "--package=a", "@", "--exp=."]
    ),
    TEXT,
)
LAST = ["dataset.path=/nowhere.csv", "tracking=none", "model.path=null"]
PLACES = st.one_of(
    st.sampled_from(
        ["/nowhere", ".", "said", "", "~", "a/../..", "x" * 9000, "\x1b[31m", "/dev/null"]
    ),
    TEXT,
)
FLAGS = st.sampled_from(
    [
        *("--by", "--by=id", "--level", "--level=x", "--level=2", "--out", "--out=/proc/x"),
        *("--image=", "--trust", "--levels=-1", "--uri=nowhere://x", "--uri", "--json"),
        *("--score=x", "--baseline=9", "--objective", "--objective=x", "--picture=x", "--of=said"),
        *("--config-dir=x", "--prompt"),
    ]
)
TAKERS = ("compare", "votes", "distance", "score", "reproduce", "track")  # of places


def commands() -> st.SearchStrategy[list[str]]:
    """Half of them runs and sweeps."""
    settings = st.lists(ARGUMENTS, min_size=1, max_size=3)
    of_runs = st.builds(
        lambda name, typed: [name, *typed, *LAST], st.sampled_from(["plan", "fetch"]), settings
    )
    others = st.builds(
        lambda name, typed: [name, *typed],
        st.sampled_from(TAKERS),
        st.lists(st.one_of(PLACES, FLAGS, ARGUMENTS), max_size=4),
    )
    return st.one_of(settings.map(lambda typed: [*typed, *LAST]), of_runs, others)


def check(typed: list[str]) -> None:
    """It is refused in plain words by its exit code, and leaves nothing, but of a sweep that keeps
    its jobs' failures.
    """
    with tempfile.TemporaryDirectory() as folder:
        inside = Path(folder, "a", "b")  # where ../.. is no folder of others
        inside.mkdir(parents=True)
        code, said = typed_in(typed, inside)
        left = {*inside.parent.rglob("*")} - {inside, inside / "said"}
    assert code in (0, 1, 2), (code, said)
    assert code == 0 or is_plain(said)
    assert "Traceback" not in said
    assert not left or any(path.name == "sweep.json" for path in left), (said, left)


def typed_in(arguments: list[str], folder: Path) -> tuple[int, str]:
    """The exit code of a command, and what it said."""
    said = folder / "said"
    child = os.fork()
    if child == 0:  # whatever happens, it never comes back from here
        try:
            os._exit(_command(arguments, folder, said))
        finally:
            os._exit(99)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), said.read_text(errors="replace")


def _command(arguments: list[str], folder: Path, said: Path) -> Any:
    os.chdir(folder)
    os.environ["HOME"] = str(folder.parents[1])
    file = os.open(said, os.O_WRONLY | os.O_CREAT)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
    sys.argv = ["imagepipe", *arguments]
    code: Any = 0
    try:
        cli.main()
    except SystemExit as ended:
        code = ended.code or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code
