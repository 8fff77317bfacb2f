"""The options of the diffusers engine, and what a model does not take."""

from __future__ import annotations

import inspect
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import diffusers
import numpy as np
import pyarrow as pa
import pytest
import torch
from helpers import ROOT
from helpers.configs import composed
from helpers.tiny_pipelines import (
    FLUX,
    PIXART,
    PROMPTS,
    QWEN,
    SD,
    SDXL,
    SIZE,
    complaint,
    drawn,
    painter,
    small,
)
from torch.nn.modules.module import register_module_forward_pre_hook

from imagepipe.compat.diffusers import SchedulerUse
from imagepipe.config import Lora, Model, Quantization
from imagepipe.diffusion import (
    checks,
    limits,
    make,
    options,
    quantization,
    random_weights,
    repository,
    schedulers,
)
from imagepipe.diffusion.diffusers import arguments, load
from imagepipe.diffusion.repository import ARCHITECTURES
from imagepipe.diffusion.rows import RowSettings
from imagepipe.diffusion.stage import BLACK, stage
from imagepipe.errors import UserError
from imagepipe.stages.stage import LEDGER, BatchSizeBackoff, apply

KLEIN = "black-forest-labs/FLUX.2-klein-4B"
SD3 = "stabilityai/stable-diffusion-3.5-large-turbo"
SANA = "Efficient-Large-Model/Sana_Sprint_1.6B_1024px_diffusers"


def test_a_tiny_decoder_takes_the_place_of_the_own_one(trained, tmp_path):
    from diffusers import AutoencoderTiny

    widths = {"encoder_block_out_channels": (8, 8), "decoder_block_out_channels": (8, 8)}
    blocks = {"num_encoder_blocks": (1, 1), "num_decoder_blocks": (1, 1)}
    AutoencoderTiny(**widths, **blocks, upsampling_scaling_factor=2).save_pretrained(tmp_path)
    model = small(trained(SD), vae=str(tmp_path))
    one = painter(model)
    assert isinstance(one.pipe.vae, AutoencoderTiny)
    assert one.paint(PROMPTS, [1, 2]).std() > 0
    refused = small(trained(SD), vae=str(ARCHITECTURES.parent / "tiny" / "vae"))
    assert "has 16 latent channels, and this model's vae 4" in complaint(refused)
    (tmp_path / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(UserError, match=r"holds no weights\. Fetch or save"):
        make(model).load()


def test_the_size_is_one_that_the_decoder_in_use_can_draw(trained, tmp_path):
    widths, blocks = (8, 8, 8), ("DownEncoderBlock2D",) * 3
    ups = ("UpDecoderBlock2D",) * 3
    settings = {"block_out_channels": widths, "down_block_types": blocks, "up_block_types": ups}
    diffusers.AutoencoderKL(**settings, norm_num_groups=4).save_pretrained(tmp_path)
    model = small(trained(SD), width=34, height=34)
    checks.check(model)
    said = complaint(replace(model, vae=str(tmp_path)))
    assert said.startswith("model.width=34: cannot be divided by 4")


def test_checking_the_embedded_model_loads_no_library_of_models():
    code = (
        "import sys; from imagepipe.config import Model; from imagepipe.diffusion import checks\n"
        "tiny = Model('tiny', 'diffusers', 'asset:tiny', width=128, height=128)\n"
        "tiny.channels_last = True\n"
        "checks.check(tiny)\n"
        "assert not {'torch', 'diffusers', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_slices_and_tiles_and_memory_formats_leave_the_picture(trained):
    plain = small(trained(SD))
    one = painter(replace(plain, vae_slicing=True, vae_tiling=True, channels_last=True))
    assert one.pipe.vae.use_slicing and one.pipe.vae.use_tiling
    weight = one.pipe.unet.conv_in.weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    difference = one.paint(PROMPTS, [1, 2]).astype(int) - drawn(plain)
    assert np.abs(difference).max() <= 2


def _lora(pipe, folder: Path, seed: int) -> Path:
    """A LoRA of rank 2 for `pipe`'s denoiser, as peft trains and diffusers saves it."""
    from diffusers.utils import convert_state_dict_to_diffusers
    from peft import LoraConfig, get_peft_model_state_dict

    name = "unet" if hasattr(pipe, "unet") else "transformer"
    part = getattr(pipe, name)
    part.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_v"], init_lora_weights=False))
    state = convert_state_dict_to_diffusers(get_peft_model_state_dict(part))
    rng = torch.Generator().manual_seed(seed)
    state = {key: torch.randn(value.shape, generator=rng) for key, value in state.items()}
    type(pipe).save_lora_weights(folder, **{f"{name}_lora_layers": state})
    return folder


@pytest.fixture(scope="module")
def loras(untrained, tmp_path_factory) -> Callable[[str], Path]:
    """A LoRA for a hub id's tiny architecture."""
    root = tmp_path_factory.mktemp("loras")

    def folder(hub_id: str, seed: int = 0) -> Path:
        where = root / f"{hub_id.replace('/', '--')}-{seed}"
        if where.exists():
            return where
        model = small(untrained(hub_id), weights="random")
        return _lora(random_weights.pipeline(model, "cpu", torch.float32), where, seed)

    return folder


def test_loras_add_up_with_their_weights(trained, loras):
    """What they change is a sum, so twice the half of one is the whole of it."""

    def kernel(*added: Lora) -> torch.Tensor:
        model = small(trained(SDXL), loras=list(added))
        unet = painter(model).pipe.unet
        return unet.state_dict()["mid_block.attentions.0.transformer_blocks.0.attn1.to_q.weight"]

    one, two = (str(loras(SDXL, seed)) for seed in (0, 1))
    file = str(next(Path(one).glob("*.safetensors")))
    plain = kernel()
    of_one, of_two = (kernel(Lora(path)) - plain for path in (file, two))
    both = kernel(Lora(one, weight=0.5), Lora(two, weight=2.0)) - plain
    assert of_one.abs().max() > 0.01
    assert torch.allclose(both, 0.5 * of_one + 2 * of_two, atol=1e-5)


def test_a_lora_changes_the_text_encoder_too(trained, tmp_path):
    """As diffusers applies it, beside the weights and not fused into them."""
    from peft import LoraConfig, get_peft_model_state_dict

    pipe = diffusers.DiffusionPipeline.from_pretrained(trained(FLUX))
    layers = LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    pipe.text_encoder.add_adapter(layers)
    rng = torch.Generator().manual_seed(0)
    state = get_peft_model_state_dict(pipe.text_encoder)
    state = {key: 3 * torch.randn(value.shape, generator=rng) for key, value in state.items()}
    type(pipe).save_lora_weights(tmp_path, text_encoder_lora_layers=state)
    plain = painter(small(trained(FLUX)))
    before = plain.paint(PROMPTS, [1, 2]).astype(int)
    plain.pipe.load_lora_weights(tmp_path)
    theirs = plain.paint(PROMPTS, [1, 2]).astype(int)
    assert np.abs(theirs - before).mean() > 5
    ours = drawn(small(trained(FLUX), loras=[Lora(str(tmp_path))]))
    assert np.abs(ours - theirs).max() <= 2


def test_a_lora_of_another_architecture_is_refused(trained, loras, tmp_path, monkeypatch):
    def said(hub_id: str, path: object) -> str:
        return complaint(small(trained(hub_id), loras=[Lora(str(path))]))

    trouble = "was trained for another architecture than"
    assert f"{trouble} StableDiffusionPipeline" in said(SD, loras(SDXL))
    assert f"{trouble} FluxPipeline" in said(FLUX, loras(SDXL))
    assert f"{trouble} StableDiffusionXLPipeline" in said(SDXL, loras(FLUX))
    assert "there is no such file" in said(SDXL, tmp_path / "none.safetensors")
    pickled = tmp_path / "lora.bin"
    torch.save({"unet.lora": torch.zeros(1)}, pickled)
    assert "is a pickle" in said(SDXL, pickled)
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"no weights")
    assert "is broken (Error while deserializing header" in said(SDXL, broken)
    (tmp_path / "empty").mkdir()
    assert "cannot be used (Error no file named pytorch_lora" in said(SDXL, tmp_path / "empty")
    monkeypatch.setattr("diffusers.loaders.lora_base.HF_HUB_OFFLINE", True)
    offline = said(SDXL, "tiny/lora")
    assert "you must specify a `weight_name`" in offline and trouble not in offline
    assert "PixArtSigmaPipeline takes no LoRA" in said(PIXART, loras(SDXL))


def test_another_scheduler_and_its_settings(trained):
    settings = {"timestep_spacing": "trailing"}
    model = small(trained(SDXL), scheduler="DPMSolverMultistepScheduler", scheduler_config=settings)
    scheduler = painter(model).pipe.scheduler
    assert type(scheduler).__name__ == "DPMSolverMultistepScheduler"
    assert scheduler.config.timestep_spacing == "trailing"
    assert scheduler.config.beta_end == 0.012  # the model's own
    wrong = replace(model, scheduler_config={"timestep_spacin": "trailing"})
    assert 'Did you mean "timestep_spacing"?' in complaint(wrong)


FLOWING = {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}


@pytest.mark.parametrize(
    ("hub_id", "name", "settings"),
    [
        (FLUX, "FlowMatchLCMScheduler", {}),
        (FLUX, None, {"stochastic_sampling": True}),
        (FLUX, "UniPCMultistepScheduler", FLOWING),
        (SD3, "LTXEulerAncestralRFScheduler", {}),
        (PIXART, "LCMScheduler", {}),
    ],
)
def test_another_scheduler_that_adds_noise_as_the_models_own_draws(hub_id, name, settings, trained):
    """And each row from its own seed, whatever noise is added between the steps."""
    one = painter(small(trained(hub_id), steps=2, scheduler=name, scheduler_config=settings))
    pictures = one.paint(PROMPTS, [1, 2]).astype(int)
    assert all(picture.std() > 5 for picture in pictures)
    alone = one.paint(PROMPTS[1:], [2])
    assert np.abs(alone[0] - pictures[1]).max() <= 2


@pytest.mark.parametrize(
    ("hub_id", "name", "settings", "said"),
    [
        (FLUX, "DDIMScheduler", {}, "with a model made for FlowMatchEulerDiscreteScheduler"),
        (SD, "FlowMatchLCMScheduler", {}, "with a model made for EulerDiscreteScheduler"),
        (SANA, "FlowMatchLCMScheduler", {}, "cannot be used with a model made for SCMScheduler"),
        (FLUX, "UniPCMultistepScheduler", {"use_flow_sigmas": True}, "use_flow_sigmas=true and pr"),
        (SD, "UniPCMultistepScheduler", {"use_flow_sigmas": True}, "with a model made for EulerDi"),
        (SD, "UniPCMultistepScheduler", FLOWING, "with a model made for EulerDiscreteScheduler"),
        (PIXART, None, FLOWING, "model.scheduler_config={'use_flow_sigmas': True, 'prediction_ty"),
        (FLUX, "FlowMatchHeunDiscreteScheduler", {}, "got an unexpected keyword argument"),
        (FLUX, "FlowMapEulerDiscreteScheduler", {}, "got an unexpected keyword argument 'mu'"),
        (PIXART, "SASolverScheduler", {}, "cannot draw with this model (dpmsolver++ is not"),
        (SD, "DPMSolverSDEScheduler", {"use_karras_sigmas": True}, "cannot draw with this model"),
        (SD, "DDPMWuerstchenScheduler", {}, "object has no attribute 'order'"),
        (SD, None, {"timestep_spacing": "nope"}, "model.scheduler_config={'timestep_spacing': 'no"),
        (SD, None, {"beta_schedule": "nope"}, "cannot draw with this model (nope is not"),
    ],
    ids=(
        "flow-ddim noise-flow consistency-flow flow-half noise-half noise-flowing v-flowing heun "
        "map sa sde wuerstchen spacing schedule"
    ).split(),
)
def test_a_scheduler_that_cannot_draw_with_the_model_is_refused(
    hub_id, name, settings, said, trained
):
    asked = small(trained(hub_id), steps=4, scheduler=name, scheduler_config=settings)
    assert said in complaint(asked)


def test_a_scheduler_whose_noise_has_no_seed_is_known():
    class Careless(diffusers.EulerDiscreteScheduler):
        def step(self, guess, time, rows, return_dict=True):
            del guess, time, return_dict
            return (rows + torch.randn(rows.shape),)

    called = {"told": {"num_inference_steps": 2}, "use": SchedulerUse()}
    assert "seed alone" in schedulers.try_out(Careless, {}, {}, **called)
    assert schedulers.try_out(diffusers.EulerDiscreteScheduler, {}, {}, **called) is None


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("Flux2KleinKVPipeline", "takes no argument guidance_scale"),
        ("WanPipeline", "draws videos"),
        ("KandinskyPipeline", "needs image_embeds too"),
    ],
)
def test_a_pipeline_that_cannot_be_called_as_others_is_refused(kind, said, trained, tmp_path):
    other = shutil.copytree(trained(KLEIN), tmp_path / "other")
    index = json.loads((other / "model_index.json").read_text())
    (other / "model_index.json").write_text(json.dumps(index | {"_class_name": kind}))
    assert f"{kind} {said}" in complaint(small(other))


def test_the_pipelines_of_the_presets_take_what_every_one_is_called_with():
    presets = (
        composed(f"model={file.stem}").model for file in (ROOT / "conf/model").glob("*.yaml")
    )
    kinds = set()
    for model in (one for one in presets if one.engine == "diffusers"):
        described = repository.describe(replace(model, weights="random"))
        kind = random_weights.pipeline_class(described.index, model)
        checks.check_call(model, kind)
        kinds.add(kind)
    assert len(kinds) > 5


def test_the_newest_qwen_image_is_guided_too():
    from diffusers import QwenImage21Pipeline

    takes = inspect.signature(QwenImage21Pipeline.__call__).parameters
    told = arguments([Model("mine", guidance=4.0)] * 2, takes)
    assert told.keys() <= takes.keys()
    assert (told["true_cfg_scale"], told["negative_prompt"]) == (4.0, [" "] * 2)


def test_the_attention_backend_reaches_every_layer(trained):
    from diffusers.models.attention_dispatch import _AttentionBackendRegistry

    before = _AttentionBackendRegistry.get_active_backend()[0]
    try:
        one = painter(small(trained(FLUX), attention_backend="_native_math"))
        chosen = {
            module.processor._attention_backend
            for module in one.pipe.transformer.modules()
            if hasattr(module, "processor")
        }
        assert chosen == {"_native_math"}
        difference = one.paint(PROMPTS, [1, 2]).astype(int) - drawn(small(trained(FLUX)))
        assert np.abs(difference).max() <= 2
    finally:
        _AttentionBackendRegistry.set_active_backend(before)


@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.faults)])
def test_a_compiled_model_draws_the_same_and_is_compiled_once(trained, whole: bool):
    """A smaller last batch is padded. This backend captures graphs and builds no C++ of them."""
    plain = small(trained(FLUX))
    one = painter(replace(plain, compile="aot_eager", compile_whole=whole))
    compiled = {name for name, part in one.pipe.components.items() if _is_compiled(part)}
    assert compiled == ({"transformer"} if whole else set())
    assert _is_compiled(one.pipe.vae.decoder) == whole
    assert any(map(_is_compiled, one.pipe.transformer.transformer_blocks)) != whole
    before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    both = one.paint(PROMPTS, [1, 2])
    made = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    assert made > before
    assert np.abs(both.astype(int) - drawn(plain)).max() <= 2
    last = one.paint(PROMPTS[:1], [1])
    assert last.shape == (1, SIZE, SIZE, 3)
    assert np.abs(last[0].astype(int) - both[0]).max() <= 2
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == made


@pytest.mark.faults
def test_a_compiled_model_that_does_not_fit_is_not_padded_to_that_again(trained):
    model = small(trained(SD), compile="aot_eager")
    reasons, given = _drawn_with_room_for_two(model, batches=[2, 8])
    assert reasons == [None] * 10
    assert given == [2, 8, 4, 2, 2, 2, 2]


def _is_compiled(part: object) -> bool:
    return getattr(part, "_compiled_call_impl", None) is not None


def test_quantised_weights_draw_nearly_the_same(trained):
    in_8_bits = Quantization("torchao", {"quant_type": "Int8WeightOnlyConfig"})
    plain = small(trained(FLUX), dtype="bfloat16")
    one = painter(replace(plain, quantization=in_8_bits))
    kinds = {type(weight).__name__ for weight in one.pipe.transformer.parameters()}
    assert "Int8Tensor" in kinds
    difference = one.paint(PROMPTS, [1, 2]).astype(int) - drawn(plain)
    assert 0 < np.abs(difference).mean() < 10


def test_a_quantisation_that_cannot_be_used_here_is_refused_by_name(trained):
    kind = "Float8StaticActivationFloat8WeightConfig"  # needs a scale, which has no name
    unusable = Quantization("torchao", {"quant_type": kind})
    with pytest.raises(UserError, match=rf"quant_type=\"?{kind}\"?: cannot be used here .*scale"):
        painter(small(trained(SD), quantization=unusable))


@pytest.mark.parametrize("bits", [4, 8])
def test_bitsandbytes_takes_as_many_bits_as_its_name_says(bits, trained, tmp_path, monkeypatch):
    """An empty package in its place: it needs a GPU, and the configuration reads its version."""
    (tmp_path / "bitsandbytes.py").touch()
    (tmp_path / "bitsandbytes-0.49.0.dist-info").mkdir()
    about = "Metadata-Version: 2.1\nName: bitsandbytes\nVersion: 0.49.0\n"
    (tmp_path / "bitsandbytes-0.49.0.dist-info" / "METADATA").write_text(about)
    monkeypatch.syspath_prepend(tmp_path)
    model = small(trained(SD), quantization=Quantization(f"bitsandbytes_{bits}bit"))
    made = quantization.config(model, repository.describe(model)).quant_mapping
    assert sorted(made) == ["text_encoder", "unet"]  # one of transformers, one of diffusers
    for one in made.values():
        assert (one.load_in_4bit, one.load_in_8bit) == (bits == 4, bits == 8)


def test_sdxl_in_float16_decodes_in_float32(trained):
    """SDXL's own decoder leaves float16's range: here one that does by its size."""
    one = painter(small(trained(SDXL), dtype="float16"))
    with torch.no_grad():
        one.pipe.vae.decoder.conv_in.weight.mul_(3e4)
    assert one.pipe.vae.config.force_upcast
    pictures = one.paint(PROMPTS, [1, 2])
    assert all(picture.any() for picture in pictures)
    one.pipe.vae.register_to_config(force_upcast=False)
    assert not one.paint(PROMPTS, [1, 2]).any()  # NaN, returned black: the row fails


def _drawn_with_room_for_two(
    model: Model, batches: list[int]
) -> tuple[list[str | None], list[int]]:
    """Why rows failed, where no more than two pictures can be decoded at once, and what was."""
    given = []

    def decode(module: torch.nn.Module, arguments: tuple) -> None:
        if isinstance(module, diffusers.models.autoencoders.vae.Decoder):
            given.append(len(arguments[0]))
            if given[-1] > 2:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    drawing = stage(RowSettings(model), run_seed=0, id_column="id")
    work, reasons = BatchSizeBackoff(drawing.recipe()), []
    with register_module_forward_pre_hook(decode):
        for rows in batches:
            done = apply(drawing, work, _table(PROMPTS[:1] * rows))
            reasons += done["failed_reason"].to_pylist()
    return reasons, given


def test_a_decoder_that_ran_out_of_memory_decodes_in_float16_again(trained):
    """diffusers leaves SDXL's in float32 then, which no later picture fits."""
    model = small(trained(SDXL), dtype="float16")
    reasons, given = _drawn_with_room_for_two(model, batches=[4, 4])
    assert reasons == [None] * 8
    assert given == [4, 2, 2, 2, 2]


@pytest.mark.gpu
def test_offloaded_parts_wait_in_the_machines_memory_again_after_a_failure(trained):
    if not torch.cuda.is_available():
        pytest.skip("needs an NVIDIA GPU")
    one = painter(small(trained(SDXL), offload="model"))

    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    with (
        one.pipe.vae.decoder.register_forward_pre_hook(fail),
        pytest.raises(torch.OutOfMemoryError),
    ):
        one.paint(PROMPTS, [1, 2])
    where = []
    one.pipe.text_encoder.register_forward_pre_hook(
        lambda *_: where.extend(one.pipe.components[name].device.type for name in ("unet", "vae"))
    )
    one.paint(PROMPTS, [1, 2])
    assert set(where) == {"cpu"}


@pytest.mark.parametrize(
    ("hub_id", "changes", "said"),
    [
        (SD, {"width": 33}, "model.width=33: cannot be divided by 2"),
        (FLUX, {"height": 34}, "model.height=34: cannot be divided by 4"),
        (SD, {"scheduler": "EulerDiscreteSchedule"}, 'Did you mean "EulerDiscreteScheduler"?'),
        (SD, {"compile": "inductr"}, 'Did you mean "inductor"?'),
        (SD, {"attention_backend": "flsh"}, 'Did you mean "flash"?'),
        (SD, {"attention_backend": "native"}, "UNet2DConditionModel does not offer the choice"),
        (FLUX, {"attention_backend": "flash_hub"}, "Set model.trust_remote_code=true"),
        (FLUX, {"attention_backend": "sage"}, "cannot be used here"),
        (QWEN, {"channels_last": True}, "AutoencoderKLQwenImage works on frames of a video"),
        (FLUX, {"negative_prompt": "blurred"}, "FluxPipeline takes no negative prompt"),
        (SD, {"max_sequence_length": 60}, "StableDiffusionPipeline reads as many tokens as"),
        (SD, {"quantization": Quantization("torchoa")}, 'Did you mean "torchao"?'),
        (SD, {"quantization": Quantization("quanto")}, "pip install optimum-quanto"),
        (
            SD,
            {
                "quantization": Quantization(
                    "torchao", {"quant_type": "Int8WeightOnlyConfig"}, ["x"]
                )
            },
            "the pipeline has no such part",
        ),
        (SD, {"quantization": Quantization("torchao", {"bits": 8})}, "does not take that"),
        (
            SD,
            {"quantization": Quantization("torchao", {"quant_type": "Int8WeightOnly"})},
            'torchao has no such configuration. Did you mean "Int8WeightOnlyConfig"?',
        ),
        (SD, {"vae": "./nowhere"}, "model.vae=./nowhere: there is no such file or folder"),
    ],
)
def test_what_a_model_does_not_take_is_refused_before_anything_starts(
    hub_id, changes, said, trained
):
    assert said in complaint(small(trained(hub_id), **changes))


def test_without_a_decoder_only_blocks_are_compiled():
    pipe = SimpleNamespace(vae=None, unet=torch.nn.Identity(), scheduler=None)
    model = Model("mine", compile="aot_eager", compile_whole=True)
    with pytest.raises(UserError, match="compile_whole=True: SimpleNamespace has no decoder by"):
        options.configure(pipe, model)


def test_offload_needs_a_gpu(trained):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(UserError, match="no GPU to keep free"):
        make(small(trained(SD), offload="model")).load()


def test_random_weights_that_are_offloaded_are_not_made_on_the_gpu(untrained):
    """So without one, what fails is only what comes after."""
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    model = small(untrained(SD), weights="random", offload="model")
    with pytest.raises(RuntimeError, match="`enable_model_cpu_offload` requires accelerator"):
        load(model, "cuda")


@pytest.mark.gpu
@pytest.mark.parametrize("offload", ["model", "sequential"])
def test_offloaded_parts_draw_the_same(offload, trained):
    if not torch.cuda.is_available():
        pytest.skip("needs an NVIDIA GPU")
    plain = small(trained(SDXL))
    difference = drawn(replace(plain, offload=offload)).astype(int) - drawn(plain)
    assert np.abs(difference).max() <= 2


def test_missing_and_pickled_weights_are_refused(trained, untrained, tmp_path):
    assert "its part 'text_encoder' has no weights" in complaint(small(untrained(SD)))
    pickled = shutil.copytree(trained(SD), tmp_path / "pickled")
    safe = pickled / "unet" / "diffusion_pytorch_model.safetensors"
    from safetensors.torch import load_file

    torch.save(load_file(safe), safe.with_suffix(".bin"))
    safe.unlink()
    assert "can run any code" in complaint(small(pickled))
    allowed = small(pickled, use_safetensors=False)
    assert np.array_equal(drawn(allowed), drawn(small(trained(SD))))


def test_a_folder_that_is_not_whole_says_what_is_wrong(trained, tmp_path):
    broken = shutil.copytree(trained(SD), tmp_path / "broken")
    shutil.rmtree(broken / "tokenizer")
    said = complaint(small(broken))
    assert "its part 'tokenizer' is missing" in said and "weights" not in said
    shutil.copytree(Path(trained(SD)) / "tokenizer", broken / "tokenizer")
    for file, text in (
        ("unet/config.json", "{"),
        ("model_index.json", "{}"),
        ("model_index.json", "{"),
    ):
        (broken / file).write_text(text)
        assert f"{Path(file).name} is broken" in complaint(small(broken))


def test_weights_of_a_variant_are_told_from_plain_ones(trained, tmp_path):
    from diffusers import DiffusionPipeline

    plain, half = small(trained(SD)), tmp_path / "half"
    assert "has no weights of that variant. Set it to null." in complaint(
        replace(plain, variant="fp16")
    )
    pipe = DiffusionPipeline.from_pretrained(plain.path)
    pipe.save_pretrained(half, variant="fp16", max_shard_size="40KB")
    shards = sorted((half / "unet").glob("*.fp16-*-of-*.safetensors"))
    assert len(shards) > 1
    of_half = small(half, variant="fp16")
    assert np.array_equal(drawn(of_half), drawn(plain))
    said = complaint(replace(of_half, variant=None))
    assert "model.variant=None" in said and "Try model.variant=fp16." in said
    shutil.copytree(Path(plain.path) / "vae", half / "vae", dirs_exist_ok=True)
    for file in (half / "vae").glob("*.fp16*"):
        file.unlink()  # where a part has no variant, diffusers takes its plain weights
    assert np.array_equal(drawn(of_half), drawn(plain))
    shards[0].unlink()
    assert "its part 'unet' has no weights" in complaint(of_half)
    pipe.save_pretrained(tmp_path / "dotted", variant="bf16.v2")  # which diffusers does not load
    dotted = small(tmp_path / "dotted", variant="bf16.v2")
    assert "has no weights of that variant" in complaint(dotted)
    assert "its part 'text_encoder' has no weights" in complaint(replace(dotted, variant=None))


def test_pickled_weights_of_a_variant_are_not_taken_for_the_plain_ones(trained, tmp_path):
    mixed = shutil.copytree(trained(SD), tmp_path / "mixed")
    torch.save({}, mixed / "unet" / "diffusion_pytorch_model.fp16.bin")
    said = complaint(small(mixed, variant="fp16"))
    assert said.startswith("model.use_safetensors=True: unet/diffusion_pytorch_model.fp16.bin has")
    checks.check(small(mixed))


def test_code_that_comes_with_a_model_runs_only_if_asked(trained, tmp_path):
    own = shutil.copytree(trained(SD), tmp_path / "own")
    index = json.loads((own / "model_index.json").read_text())
    index["_class_name"] = ["mine", "MyPipeline"]
    (own / "model_index.json").write_text(json.dumps(index))
    ran = tmp_path / "ran"
    (own / "mine.py").write_text(
        "from diffusers import StableDiffusionPipeline\n"
        f"open({str(ran)!r}, 'w')\n"
        "class MyPipeline(StableDiffusionPipeline):\n    pass\n"
    )
    assert "model.trust_remote_code=False" in complaint(small(own))
    assert not ran.exists()
    one = painter(small(own, trust_remote_code=True))
    assert type(one.pipe).__name__ == "MyPipeline" and ran.exists()
    assert limits.load(one.model).cuts("x " * 80)
    assert np.array_equal(one.paint(PROMPTS, [1, 2]), drawn(small(trained(SD))))
    settings = {"timestep_spacing": "trailing"}
    one = painter(replace(one.model, vae_slicing=True, scheduler_config=settings))
    assert one.pipe.vae.use_slicing and one.pipe.scheduler.config.timestep_spacing == "trailing"
    assert "is not a text-to-image pipeline" in complaint(replace(one.model, weights="random"))


def test_a_picture_of_nan_fails_its_row_and_is_not_kept(trained, tmp_path):
    from safetensors.torch import load_file, save_file

    broken = shutil.copytree(trained(SD), tmp_path / "broken")
    file = broken / "vae" / "diffusion_pytorch_model.safetensors"
    save_file({k: v * float("nan") for k, v in load_file(file).items()}, file)
    drawing = stage(RowSettings(small(broken)), run_seed=0, id_column="id")
    done = apply(drawing, drawing.recipe(), _table(PROMPTS))
    assert done["failed_stage"].to_pylist() == ["model"] * 2
    assert done["failed_reason"].to_pylist() == [BLACK] * 2


def _table(prompts: list[str]) -> pa.Table:
    ids = [str(row) for row in range(len(prompts))]
    none = pa.nulls(len(prompts), pa.string())
    seeds = pa.array(range(len(prompts)), pa.int64())
    return pa.table(
        [ids, prompts, seeds, none, none], names=["id", "prompt", "seed", *LEDGER.names]
    )


def test_a_picture_is_black_where_all_of_it_is():
    from imagepipe.diffusion.stage import is_black

    pictures = np.zeros((4, 3, 2, 3), np.uint8)
    pictures[1, 0, 1, 2] = 1  # on its first line
    pictures[2, 2, 1, 2] = 1  # on its last
    assert is_black(pictures).tolist() == [True, False, False, True]
