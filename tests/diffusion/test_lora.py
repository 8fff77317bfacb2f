"""LoRA files as several trainers write them: added whole, or refused with what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.checkpoints import unet
from helpers.tiny_pipelines import FLUX, SD, SDXL, complaint, painter, small
from safetensors.torch import load_file, save_file

from imagepipe.config import Lora
from imagepipe.diffusion import checks
from imagepipe.diffusion.diffusers import load
from imagepipe.errors import UserError

Sizes = dict[str, tuple[int, int]]
Folder = Callable[[str], Path]
ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")


def layers(part: Path, ends: tuple[str, ...]) -> Sizes:
    """The (outputs, inputs) of the linear layers in a part's file whose names end so."""
    held = load_file(next(part.glob("*.safetensors")))
    named = {name.removesuffix(".weight"): value for name, value in held.items()}
    return {n: tuple(v.shape) for n, v in named.items() if n.endswith(ends) and v.ndim == 2}


def kohya(prefix: str, sizes: Sizes) -> dict[str, torch.Tensor]:
    state = {}
    for name, (outputs, inputs) in sizes.items():
        flat = prefix + name.replace(".", "_")
        state[f"{flat}.lora_down.weight"] = torch.randn(2, inputs)
        state[f"{flat}.lora_up.weight"] = torch.randn(outputs, 2)
        state[f"{flat}.alpha"] = torch.tensor(1.0)
    return state


def of_text(sizes: Sizes) -> Sizes:
    return {f"text_model.{name.removeprefix('text_model.')}": size for name, size in sizes.items()}


def deeper(sizes: Sizes) -> Sizes:
    """Of a model that has more blocks."""
    return {n.replace("down_blocks.1", "down_blocks.2"): size for n, size in sizes.items()}


@pytest.fixture
def said(trained: Folder, tmp_path: Path) -> Callable[[dict[str, torch.Tensor]], str]:
    """What is said of a LoRA for the tiny Stable Diffusion, by a check and where it is loaded."""

    def of(state: dict[str, torch.Tensor]) -> str:
        save_file(state, tmp_path / "one.safetensors")
        model = small(trained(SD), loras=[Lora(str(tmp_path / "one.safetensors"))])
        with pytest.raises(UserError) as caught:
            load(model, "cpu")
        assert str(caught.value) == complaint(model)
        return str(caught.value)

    return of


def test_files_that_fit_whole_are_added(trained: Folder, tmp_path: Path):
    folder = trained(SD)
    unet = kohya("lora_unet_", layers(folder / "unet", ATTENTION))
    names = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")
    text = kohya("lora_te_", of_text(layers(folder / "text_encoder", names)))
    for number, state in enumerate((unet, text, unet | text)):
        save_file(state, tmp_path / f"{number}.safetensors")
        checks.check(small(folder, loras=[Lora(str(tmp_path / f"{number}.safetensors"))]))


def sgm(sizes: Sizes) -> Sizes:
    """As kohya's scripts name the layers of an SDXL: by the names that its makers gave them."""
    named = unet({f"{name}.weight": torch.zeros(size) for name, size in sizes.items()})
    names = (n.removeprefix("model.diffusion_model.").removesuffix(".weight") for n in named)
    return dict(zip(names, sizes.values(), strict=True))


@pytest.mark.parametrize("hub_id", [pytest.param(SD, marks=pytest.mark.faults), SDXL])
def test_kohyas_names_draw_as_diffusers_own(hub_id: str, trained: Folder, tmp_path: Path):
    """Also of text encoders; there `alpha` / rank is a factor of its own."""
    folder, rename = trained(hub_id), sgm if hub_id == SDXL else dict
    names = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")
    parts = {"unet": "lora_unet_", "text_encoder": "lora_te1_", "text_encoder_2": "lora_te2_"}
    if hub_id == SD:
        parts = {"unet": "lora_unet_", "text_encoder": "lora_te_"}
    torch.manual_seed(0)
    as_kohya, as_diffusers = {}, {}
    for part, prefix in parts.items():
        sizes = layers(folder / part, ATTENTION if part == "unet" else names)
        others = rename(sizes) if part == "unet" else of_text(sizes)
        own = sizes if part == "unet" else others
        state = kohya(prefix, others)
        as_kohya |= state
        for other, name in zip(others, own, strict=True):
            flat = f"{prefix}{other.replace('.', '_')}"
            as_diffusers[f"{part}.{name}.lora_A.weight"] = state[f"{flat}.lora_down.weight"]
            as_diffusers[f"{part}.{name}.lora_B.weight"] = state[f"{flat}.lora_up.weight"] / 2
    drawn = [small(folder)]
    for name, state in (("kohya", as_kohya), ("diffusers", as_diffusers)):
        save_file(state, tmp_path / f"{name}.safetensors")
        drawn.append(small(folder, loras=[Lora(str(tmp_path / f"{name}.safetensors"))]))
    none, one, other = (painter(model).paint(["a cat"], [1]).astype(int) for model in drawn)
    assert np.abs(one - other).max() <= 1
    assert np.abs(one - none).max() > 2


def test_a_file_of_fewer_layers_than_diffusers_makes_of_them_is_added(trained: Folder, tmp_path):
    """Three matrices of FLUX's attention are one layer in the names of its makers."""
    sizes = {"double_blocks.0.img_attn.qkv": (96, 32), "double_blocks.0.img_attn.proj": (32, 32)}
    save_file(kohya("lora_unet_", sizes), tmp_path / "one.safetensors")
    checks.check(small(trained(FLUX), loras=[Lora(str(tmp_path / "one.safetensors"))]))


def test_a_file_that_fits_in_part_is_refused(trained: Folder, said):
    sizes = layers(trained(SD) / "unet", ATTENTION)
    of_others = sum("down_blocks" in name for name in sizes)
    found = said(kohya("lora_unet_", deeper(sizes)))
    assert f"changes {len(sizes)} layers of the unet, of which {of_others} are not in" in found
    text = of_text(layers(trained(SD) / "text_encoder", ("q_proj", "v_proj", "fc1")))
    found = said(kohya("lora_te_", text))  # of which diffusers takes fc1 alone
    assert "changes 6 layers of the text_encoder, of which 4 are not in" in found


def test_what_diffusers_would_leave_out_is_refused(trained: Folder, said):
    state = kohya("lora_unet_", layers(trained(SD) / "unet", ("to_q",)))
    flat = sorted({name.partition(".")[0] for name in state})
    scales = {f"{name}.dora_scale": torch.ones(1) for name in flat}
    assert f"is a DoRA, and diffusers leaves its {len(flat)} dora_scale out" in said(state | scales)


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["lora_unet_{}.hada_w1_a", "lora_unet_{}.hada_w1_b"], "is a LoHa of LyCORIS"),
        (["lora_unet_{}.lokr_w1", "lora_unet_{}.lokr_w2"], "is a LoKr of LyCORIS"),
        (["base_model.model.{}.lora_A.weight", "base_model.model.{}.lora_B.weight"], "has the nam"),
        (["model.diffusion_model.{}.weight"], "is a whole model"),
        (["<my-cat>"], "it looks like a textual inversion"),
        (["clip_l", "clip_g"], "it looks like a textual inversion"),
    ],
    ids=["loha", "lokr", "peft", "model", "inversion", "inversions"],
)
def test_other_kinds_of_files_are_named(names: list[str], kind: str, trained: Folder, said):
    sizes = layers(trained(SD) / "unet", ("to_q",))
    every = dict.fromkeys(
        name.format(layer if "{}." in name and "_{}" not in name else layer.replace(".", "_"))
        for layer in sizes
        for name in names
    )
    assert kind in said({name: torch.zeros(2, 2) for name in every})


def test_a_row_has_its_own_weight(trained: Folder, tmp_path: Path):
    """As the same LoRA draws that has the weight for all rows, and 0 as none does."""
    folder = trained(SD)
    save_file(kohya("lora_unet_", layers(folder / "unet", ATTENTION)), tmp_path / "one.safetensors")
    lora = Lora(str(tmp_path / "one.safetensors"))
    by_row = small(folder, loras=[lora], columns={"lora_0": "w"})
    one = painter(by_row)
    own = [replace(by_row, loras=[replace(lora, weight=weight)]) for weight in (0.0, 1.0, 0.0)]
    nothing, whole, again = (one.paint(["a cat"], [1], [model]) for model in own)
    assert np.array_equal(nothing, again)
    for drawn, loras in ((nothing, []), (whole, [lora])):
        other = painter(small(folder, loras=loras)).paint(["a cat"], [1])
        assert np.abs(drawn.astype(int) - other.astype(int)).max() <= 2
    assert np.abs(whole.astype(int) - nothing.astype(int)).max() > 2
