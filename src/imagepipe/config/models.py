"""The section `model`: the diffusion model, its files and its sampling."""

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
    """A LoRA, added to the model with strength `weight`."""

    path: str = MISSING  # a .safetensors file, a folder, or a hub id
    weight_name: str | None = None  # the file, if a folder or a hub id holds several
    revision: str | None = None  # commit, tag or branch on the hub
    weight: float = 1.0  # its strength; 0: no effect


@dataclass
class TextualInversion:
    """A textual inversion: a new word for prompts, learned from a few pictures."""

    path: str = MISSING  # a .safetensors file, a folder, or a hub id
    token: str | None = None  # the word for prompts: <my-cat>; null: the one in the file
    weight_name: str | None = None  # the file, if a folder or a hub id holds several
    revision: str | None = None  # commit, tag or branch on the hub


@dataclass
class Part:
    """A part of the pipeline from another model: a text encoder, or the denoiser, also as GGUF."""

    path: str = MISSING  # a .safetensors or .gguf file, a folder, or a hub id
    revision: str | None = None  # commit, tag or branch on the hub
    subfolder: str | None = None  # folder of the part, if a folder or a hub id is a whole pipeline


@dataclass
class IPAdapter:
    """An IP-Adapter, as in diffusers' `load_ip_adapter`; for models with a UNet."""

    path: str | None = None  # a folder or a hub id, such as h94/IP-Adapter; null: none
    subfolder: str = ""  # folder of the file in it, such as models
    weight_name: str | None = None  # the file, such as ip-adapter_sd15.safetensors
    # folder of the image encoder, beside the file; with a / in it, from the top
    image_encoder_folder: str = "image_encoder"
    revision: str | None = None  # commit, tag or branch on the hub
    scale: float = bounded(1.0, least=0)  # how much the picture counts; 0: not at all


@dataclass
class Quantization:
    """Weights in fewer bits: the arguments of diffusers' `PipelineQuantizationConfig`."""

    # bitsandbytes_4bit, bitsandbytes_8bit, torchao, ...; null: none
    quant_backend: str | None = None
    # arguments of the backend: {bnb_4bit_quant_type: nf4}
    quant_kwargs: dict[str, Any] = field(default_factory=dict)
    # parts of the pipeline; empty: the denoiser and the text encoders
    components_to_quantize: list[str] = field(default_factory=list)


@dataclass
class Model(Server):
    """The diffusion model and its sampling. Options have their names in diffusers."""

    name: str = MISSING  # name in reports
    # what draws; openai_images: a server; noop: one flat colour per picture; custom: your class
    engine: str = engine("model")
    # "asset:NAME", a local folder, a hub id, one .safetensors file, or the name of a server's model
    path: str | None = None
    # for one file: a folder or hub id with its configuration; null: diffusers guesses it
    config: str | None = None
    revision: str | None = None  # commit, tag or branch on the hub, of path or config
    variant: str | None = None  # weight file variant on the hub, such as fp16
    # random: the same architecture with random weights, to measure without a download
    weights: str = choice("trained", ("trained", "random"))
    licence: str | None = None  # name of the model's licence, recorded with each run
    non_commercial: bool = False  # true: a note before every run says so
    # size of the weights in GB (1e9 bytes) at 16 bits, for checks before they are downloaded
    weights_gb: float | None = None
    steps: int = 4  # num_inference_steps
    guidance: float = bounded(0.0, least=0)  # guidance_scale
    negative_prompt: str | None = None  # what the picture should not show
    # compel: weights such as (word:1.3), and prompts of any length; null: plain text
    prompt_syntax: str | None = choice(None, ("compel",))
    # most tokens of a prompt; null: the pipeline's default
    max_sequence_length: int | None = bounded(None, least=1)
    width: int = bounded(512, least=8)  # pixels
    height: int = bounded(512, least=8)  # pixels
    dtype: str = choice("auto", DTYPES)  # auto: float32 on CPU, float16 on a GPU
    scheduler: str | None = None  # a diffusers scheduler class; null: the model's own
    # changes to the scheduler's settings
    scheduler_config: dict[str, Any] = field(default_factory=dict)
    # more arguments for the pipeline's call in diffusers: {clip_skip: 1}
    call_kwargs: dict[str, Any] = field(default_factory=dict)
    # settings taken from columns: {seed: s, steps: n, negative_prompt: no}; a text with braces is a
    # template, as in dataset.prompt: {prompt_2: "{style} on paper"}
    columns: dict[str, str] = field(default_factory=dict)
    # server: its names of settings, if they differ: {steps: step, seed: extra.seed}
    request_names: dict[str, str] = field(default_factory=dict)
    # server: the field that is added to the end of the prompt, as <NAME>{"seed": 1}</NAME>
    request_in_prompt: str | None = None
    # how an input picture gets its row's width and height. crop: fill and cut off; pad: fit inside,
    # with black borders; stretch: change the proportions
    fit: str = choice("crop", ("crop", "pad", "stretch"))
    private_urls: bool = False  # true: URLs of pictures may lead into a private network
    controlnet: str | None = None  # for model.columns.control_image: a folder or a hub id
    controlnet_revision: str | None = None  # commit, tag or branch on the hub
    # for model.columns.ip_adapter_image
    ip_adapter: IPAdapter = field(default_factory=IPAdapter)
    images_per_prompt: int = bounded(1, least=1)  # pictures per row
    loras: list[Lora] = field(default_factory=list)
    textual_inversions: list[TextualInversion] = field(default_factory=list)
    # another VAE, such as an AutoencoderTiny: a folder, a hub id, or one .safetensors file
    vae: str | None = None
    vae_revision: str | None = None  # commit, tag or branch on the hub
    # replace parts of the pipeline: {transformer: {path: flux1-schnell-Q4_0.gguf}}
    parts: dict[str, Part] = field(default_factory=dict)
    vae_slicing: bool = False  # decode picture by picture: less memory
    vae_tiling: bool = False  # decode tile by tile: less memory for large pictures
    # memory layout of the weights; faster or slower, depending on the GPU
    channels_last: bool = False
    compile: str | None = None  # a backend of torch.compile, such as inductor; null: not compiled
    compile_whole: bool = False  # compile the whole denoiser and decoder: takes minutes
    attention_backend: str | None = None  # native, flash, sage, ...; null: diffusers' default
    # reuse results of earlier steps; faster, pictures differ a little: TaylorSeerCacheConfig, ...
    cache: str | None = None
    cache_config: dict[str, Any] = field(default_factory=dict)  # settings of the cache
    # keep idle parts in CPU memory: whole parts (model), or layer by layer (sequential)
    offload: str = choice("none", ("none", "model", "sequential"))
    quantization: Quantization = field(default_factory=Quantization)
    use_safetensors: bool = True  # false: also read pickled weights, which can run any code
    trust_remote_code: bool = False  # true: run code that comes with the model
    _target_: str | None = None  # engine=custom: your class, package.module.Class
    options: dict[str, Any] = field(default_factory=dict)  # settings for your class

    @property
    def section(self) -> str:
        """The key of this section, for errors."""
        return "model"

    @property
    def pictures(self) -> dict[str, str]:
        """Those of `columns` that are pictures, which go into the model."""
        return {key: name for key, name in self.columns.items() if PICTURE_KEY.fullmatch(key)}
