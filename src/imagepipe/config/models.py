"""The section `model`: what draws, from which files, and how it samples."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from imagepipe.config.fields import DTYPES, bounded, choice, engine
from imagepipe.config.servers import Server

# Keys of `Model.columns` whose columns name pictures, or hold them; image_2 is a further reference.
PICTURE_KEY = re.compile(r"(mask_|control_|ip_adapter_)?image|image_[2-9]")

SEED = "seed"  # the key of the column that holds each row's own


def is_template(key: str, text: str) -> bool:
    """Whether what `Model.columns` has for `key` is filled for each row, and no column's name."""
    return "{" in text and key != SEED and not PICTURE_KEY.fullmatch(key)


def text_column(key: str) -> str:
    """The column of the texts that a template makes for a key of `Model.columns`."""
    return f"model_{key}"


@dataclass
class Lora:
    """Trained changes to a diffusion model, added with strength `weight`."""

    path: str = MISSING  # a .safetensors file, a folder, or a hub id
    weight_name: str | None = None  # the file, where a folder or a hub id holds several
    revision: str | None = None
    weight: float = 1.0


@dataclass
class TextualInversion:
    """A word that stands for what was learned of a few pictures."""

    path: str = MISSING  # a .safetensors file, a folder, or a hub id
    token: str | None = None  # the word, as prompts have it: <my-cat>; null: as the file says
    weight_name: str | None = None  # the file, where a folder or a hub id holds several
    revision: str | None = None


@dataclass
class Part:
    """A part of the pipeline from elsewhere: a text encoder, or the denoiser, also as GGUF."""

    path: str = MISSING  # a .safetensors or .gguf file, a folder, or a hub id
    revision: str | None = None
    subfolder: str | None = None  # where a folder or a hub id holds a whole pipeline


@dataclass
class IPAdapter:
    """What draws after a picture too: diffusers' `load_ip_adapter`, for models with a UNet."""

    path: str | None = None  # a folder or a hub id, such as h94/IP-Adapter; null: none
    subfolder: str = ""  # where in it the file is, such as models
    weight_name: str | None = None  # the file, such as ip-adapter_sd15.safetensors
    # what looks at the picture, beside the file; with a / in it, from the top
    image_encoder_folder: str = "image_encoder"
    revision: str | None = None
    scale: float = bounded(1.0, least=0)  # how much the picture says beside the prompt


@dataclass
class Quantization:
    """Weights in fewer bits: the arguments of diffusers' `PipelineQuantizationConfig`."""

    quant_backend: str | None = (
        None  # bitsandbytes_4bit, bitsandbytes_8bit, torchao, ...; null: none
    )
    quant_kwargs: dict[str, Any] = field(default_factory=dict)
    components_to_quantize: list[str] = field(default_factory=list)  # empty: all


@dataclass
class Model(Server):
    """The diffusion model and how it samples. Options are called as in diffusers."""

    name: str = MISSING
    engine: str = engine("model")
    # "asset:NAME", a local folder, a hub id, one .safetensors file, or a server's model
    path: str | None = None
    # a folder or a hub id with the configuration of one file; null: what diffusers takes it for
    config: str | None = None
    revision: str | None = None  # of the hub id, be it path or config
    variant: str | None = None  # weight file variant on the hub, such as fp16
    # random: the same architecture, measured without a download
    weights: str = choice("trained", ("trained", "random"))
    licence: str | None = None
    non_commercial: bool = False  # shown before every run
    weights_gb: float | None = None  # GB (1e9 bytes) in 16 bits, until its files are here
    steps: int = bounded(4, least=0)
    guidance: float = bounded(0.0, least=0)
    negative_prompt: str | None = None
    # compel: weights as (word:1.3), and prompts of any length; null: prompts are text
    prompt_syntax: str | None = choice(None, ("compel",))
    # tokens of the prompt; null: the pipeline's own
    max_sequence_length: int | None = bounded(None, least=1)
    width: int = bounded(512, least=8)
    height: int = bounded(512, least=8)
    dtype: str = choice("auto", DTYPES)  # auto: float32 on CPU, float16 on a GPU
    scheduler: str | None = None  # a diffusers scheduler class; null: the model's own
    scheduler_config: dict[str, Any] = field(default_factory=dict)  # changes to its settings
    # further arguments of the pipeline's call, as diffusers has them: {clip_skip: 1}
    call_kwargs: dict[str, Any] = field(default_factory=dict)
    # which column gives what of its row's own; with braces it is a template, as dataset.prompt:
    # {seed: s, steps: n, negative_prompt: no, prompt_2: "{style} on paper"}
    columns: dict[str, str] = field(default_factory=dict)
    # how a picture of such a column gets its row's width and height: it fills them, and what is
    # over is cut off; it is whole in them, on black; it is drawn out to them
    fit: str = choice("crop", ("crop", "pad", "stretch"))
    private_urls: bool = False  # true: a picture's URL may lead into a private network
    controlnet: str | None = None  # what columns.control_image is for: a folder or a hub id
    controlnet_revision: str | None = None
    # what columns.ip_adapter_image is for
    ip_adapter: IPAdapter = field(default_factory=IPAdapter)
    images_per_prompt: int = bounded(1, least=1)
    loras: list[Lora] = field(default_factory=list)
    textual_inversions: list[TextualInversion] = field(default_factory=list)
    # another decoder, such as an AutoencoderTiny: a folder, a hub id, or one .safetensors file
    vae: str | None = None
    vae_revision: str | None = None
    # other parts in place of the pipeline's own: {transformer: {path: flux1-schnell-Q4_0.gguf}}
    parts: dict[str, Part] = field(default_factory=dict)
    vae_slicing: bool = False  # decodes picture by picture: less memory
    vae_tiling: bool = False  # decodes tile by tile: less memory for large pictures
    channels_last: bool = False
    compile: str | None = None  # a backend of torch.compile, such as inductor; null: not compiled
    compile_whole: bool = False  # denoiser and decoder, not only the blocks that repeat: minutes
    attention_backend: str | None = None  # native, flash, sage, ...; null: diffusers' own
    # skips work at some steps, so pictures are near what they were: TaylorSeerCacheConfig, ...
    cache: str | None = None
    cache_config: dict[str, Any] = field(default_factory=dict)  # its settings
    # what is not at work waits in CPU memory: model, sequential
    offload: str = choice("none", ("none", "model", "sequential"))
    quantization: Quantization = field(default_factory=Quantization)
    use_safetensors: bool = True  # false: pickled weights too, which can run any code
    trust_remote_code: bool = False  # true: runs code that comes with the model
    _target_: str | None = None  # engine=custom: a class of your own, package.module.Class
    options: dict[str, Any] = field(default_factory=dict)  # for it to read

    @property
    def section(self) -> str:
        """The key of this section, for errors."""
        return "model"

    @property
    def pictures(self) -> dict[str, str]:
        """Those of `columns` that are pictures, which go into the model."""
        return {key: name for key, name in self.columns.items() if PICTURE_KEY.fullmatch(key)}
