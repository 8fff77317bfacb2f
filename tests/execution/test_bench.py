"""What a calibration measures is the stages' own workers, of any engine."""

from __future__ import annotations

import subprocess
import sys

import pyarrow as pa
import pytest
from helpers.configs import composed

from imagepipe.execution.bench import Probe
from imagepipe.execution.calibration import unmeasured, with_stand_ins
from imagepipe.stages.stage import FAILED_REASON, Stage

TEXT = pa.schema([("said", pa.string())])


def working() -> object:
    return lambda rows: {"said": rows["id"].to_pylist(), FAILED_REASON: [None] * rows.num_rows}


def greedy() -> object:
    def work(rows: pa.Table) -> object:
        if rows.num_rows > 4:
            raise MemoryError
        return {"said": rows["id"].to_pylist()}

    return work


def broken() -> object:
    def work(rows: pa.Table) -> object:
        raise ValueError("no such thing")

    return work


def probe_of(recipe: object) -> Probe:
    probe = Probe()
    probe.load(Stage("llm", ("id",), TEXT, recipe), 1)
    return probe


def test_a_rate_is_measured_in_any_batch_size():
    rate, memory = probe_of(working).measure(pa.table({"id": ["a", "b", "c"]}), 8, 1)
    assert rate > 0
    assert memory == 0


def test_a_batch_beyond_the_memory_is_none_and_other_errors_come_out():
    rows = pa.table({"id": ["a", "b"]})
    assert probe_of(greedy).measure(rows, 8, 1) is None
    with pytest.raises(ValueError, match="no such thing"):
        probe_of(broken).measure(rows, 8, 1)


def test_a_probe_of_engines_without_torch_loads_none():
    code = (
        "import sys; from imagepipe.execution.bench import Probe; probe = Probe(); "
        "probe.forget(); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("llm", "reason"),
    [
        pytest.param("tiny_vllm", "vLLM makes its batches itself", id="vllm"),
        pytest.param("openai", "a server answers it", id="server"),
        pytest.param("tiny", None, id="transformers"),
    ],
)
def test_what_cannot_be_measured_is_told_and_stood_in_for(llm: str, reason: str | None):
    config = composed(f"llm={llm}")
    missing = unmeasured(config)
    assert missing == ({"llm": reason} if reason else {})
    stood_in = with_stand_ins(config, missing)
    assert stood_in.llm.engine == ("none" if reason else config.llm.engine)
    assert (stood_in.model, stood_in.scorer) == (config.model, config.scorer)


def test_every_kind_has_a_stand_in():
    config = with_stand_ins(composed(), ["llm", "model", "scorer"])
    engines = {stage: section.engine for stage, section in config.sections.items()}
    assert engines == {"llm": "none", "model": "noop", "scorer": "none"}
