"""A denoiser as GGUF: nearly the pixels of the same weights in full, or refused by its header."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
from helpers import checkpoints
from helpers.tiny_pipelines import FLUX, SD, complaint, drawn, small

from imagepipe.config import Model, Part

Folder = Callable[[str], Path]


def write(state: dict[str, np.ndarray], file: Path, kind: str = "Q8_0") -> Path:
    """Matrices whose rows are whole blocks in fewer bits, all else in 32."""
    writer, quant = gguf.GGUFWriter(file, "flux"), gguf.GGMLQuantizationType[kind]
    for name, one in state.items():
        if one.ndim == 2 and one.shape[1] % 32 == 0:
            writer.add_tensor(name, gguf.quantize(one, quant), raw_dtype=quant)
        else:
            writer.add_tensor(name, one)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


@pytest.fixture(scope="module")
def state(trained: Folder) -> dict[str, np.ndarray]:
    return {n: one.numpy() for n, one in checkpoints.held(trained(FLUX) / "transformer").items()}


def with_file(folder: Path, file: Path, name: str = "transformer") -> Model:
    return small(folder, parts={name: Part(str(file))})


def test_a_denoiser_in_fewer_bits_draws_nearly_the_same(trained: Folder, state, tmp_path: Path):
    plain = drawn(small(trained(FLUX))).astype(int)
    model = with_file(trained(FLUX), write(state, tmp_path / "q8.gguf"))
    apart = np.abs(drawn(model).astype(int) - plain)
    assert apart.max() > 0 and apart.mean() < 2


def test_what_does_not_fit_is_named_before_the_run(trained: Folder, state, tmp_path: Path):
    name = "single_transformer_blocks.0.proj_out.weight"
    lacking = write({n: one for n, one in state.items() if n != name}, tmp_path / "a.gguf")
    assert f"such as {name}" in complaint(with_file(trained(FLUX), lacking))
    other = complaint(with_file(trained(SD), write(state, tmp_path / "b.gguf"), "unet"))
    assert "is of a FluxPipeline, and the model is a StableDiffusionPipeline" in other
    (tmp_path / "c.gguf").write_bytes(b"GGUF1234")
    assert "c.gguf is broken" in complaint(with_file(trained(FLUX), tmp_path / "c.gguf"))
    text = complaint(with_file(trained(FLUX), tmp_path / "b.gguf", "text_encoder_2"))
    assert (
        "is GGUF, which diffusers reads only for its own classes, not for a T5EncoderModel" in text
    )


def test_without_its_package_the_command_is_named(tmp_path: Path):
    """As a process sees it that finds none."""
    code = "import sys; sys.modules['gguf'] = None; from imagepipe.diffusion import single_files; "
    code += "single_files.check_gguf('parts.transformer.path', 'a.gguf')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'imagepipe[gguf]'" in done.stderr
