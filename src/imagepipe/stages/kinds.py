"""What a file or a folder is that is no model in the layout that is needed, and what to do."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

POINTER = b"version https://git-lfs"
POINTED = "Fetch the files themselves: git lfs pull in that folder, or hf download."
SAFE = ".safetensors"
PICKLED = (".bin", ".ckpt", ".pt", ".pth")
CONVERT = (
    "If you trust who made it, convert it once, in Python: from diffusers import "
    "StableDiffusionPipeline; StableDiffusionPipeline.from_single_file(FILE)"
    ".save_pretrained(FOLDER). Then name that folder."
)
SERVED = (
    "Name the model's own folder, with .safetensors. A language model can be served by llama.cpp "
    "(llama-server -m FILE) or Ollama: llm=openai llm.base_url=http://localhost:8080/v1. The "
    "denoiser of a pipeline is named as a part of it: model.parts={transformer: {path: FILE}}."
)
ALONE = "Name the file itself: model.path=FILE."
OWN = "Name the model in the layout of diffusers or transformers."
UNKNOWN = ("is one file, and a model is a folder", OWN)
# The pipeline that a checkpoint is of, by what only that one has in the names of its weights. Some
# are found in the file of a denoiser alone.
CHECKPOINTS = {
    "conditioner.embedders.1.": "StableDiffusionXLPipeline",
    "label_emb.": "StableDiffusionXLPipeline",
    "add_embedding.": "StableDiffusionXLPipeline",
    "joint_blocks.": "StableDiffusion3Pipeline",
    "double_stream_modulation": "Flux2Pipeline",
    "double_blocks.": "FluxPipeline",
    "single_transformer_blocks.": "FluxPipeline",
    "model.diffusion_model.": "StableDiffusionPipeline",
    "input_blocks.": "StableDiffusionPipeline",
}
# Files that tell a folder's kind, in the order in which they are looked for.
TELLING = {
    "open_clip_config.json": ("is in the layout of open_clip", OWN),
    "model_index.json": ("is a diffusers pipeline", "Name it as model.path."),
    "config.json": ("is one model of a kind of its own, and no pipeline of diffusers", OWN),
    "*.gguf": ("is GGUF, the format of llama.cpp", SERVED),
    "*.onnx": ("is ONNX", OWN),
    "params.json": ("is in its maker's own format", OWN),
    "*.msgpack": ("is in the format of Flax", OWN),
    "*.h5": ("is in the format of TensorFlow", OWN),
    "*.engine": ("is made for TensorRT", OWN),
    "*.mlpackage": ("is in the format of Core ML", OWN),
    "openvino*.xml": ("is in the format of OpenVINO", OWN),
}
ARCHIVE = ("is an archive", "Unpack it, and name the folder that comes of it.")
PACKED = (b"PK\x03\x04", b"\x1f\x8b", b"7z\xbc\xaf", b"Rar!", b"\xfd7zX", b"\x28\xb5\x2f\xfd")


def is_pointer(file: Path) -> bool:
    """Whether Git LFS left its note there in place of the file."""
    if not file.is_file():
        return False
    with file.open("rb") as opened:
        return opened.read(len(POINTER)) == POINTER


def told(where: Path) -> tuple[str, str] | None:
    """The kind of what lies there, and what to do; null where nothing tells it."""
    if where.is_file():
        return _file(where)
    if not where.is_dir():
        return None
    if (where / "adapter_config.json").is_file():
        return _adapter(where)
    for pattern, found in TELLING.items():
        if any(where.glob(pattern)):
            return found
    held = (file for file in where.iterdir() if file.suffix in (SAFE, *PICKLED))
    files = [file for file in held if file.is_file()]
    return _file(files[0]) if len(files) == 1 else None


def other_weights(folder: Path) -> tuple[str, str] | None:
    """As `told`, of a folder whose weights are neither safetensors nor pickled."""
    return next((TELLING[name] for name in TELLING if "*" in name and any(folder.glob(name))), None)


def _file(file: Path) -> tuple[str, str]:
    if is_pointer(file):
        return "is a pointer of Git LFS, and not the weights", POINTED
    with file.open("rb") as opened:
        begin = opened.read(4)
    if begin == b"GGUF":
        return TELLING["*.gguf"]
    if file.suffix in PICKLED:
        return (
            "is a pickled checkpoint in one file, which can run any code when it is read",
            CONVERT,
        )
    if is_lora(file):
        return "is a LoRA", f"Add it to its model: model.loras=[{{path: {file}}}]."
    if checkpoint(_names(file)):
        return "is a checkpoint in one file", ALONE
    named = (found for name, found in TELLING.items() if "*" in name and file.match(name))
    return ARCHIVE if begin in PACKED or file.suffix == ".tar" else next(named, UNKNOWN)


def is_lora(file: Path) -> bool:
    """Whether a file of safetensors holds the layers of a LoRA."""
    return any("lora_" in name or ".lora." in name for name in _names(file))


def checkpoint(names: Iterable[str]) -> str | None:
    """The class of the pipeline that weights of such names are of; null where they do not tell."""
    names = list(names)
    kinds = (kind for part, kind in CHECKPOINTS.items() if any(part in name for name in names))
    return next(kinds, None)


def family(pipeline: str) -> str | None:
    """That of CHECKPOINTS which a class is of the family of: FluxPipeline for FluxFillPipeline."""
    begins = {one.removesuffix("Pipeline"): one for one in CHECKPOINTS.values()}
    found = [begin for begin in begins if pipeline.startswith(begin)]
    return begins[max(found, key=len)] if found else None


def _adapter(folder: Path) -> tuple[str, str]:
    try:
        said = json.loads((folder / "adapter_config.json").read_text("utf-8"))
        base = said.get("base_model_name_or_path")
    except (OSError, ValueError, AttributeError):
        base = None
    return f"is an adapter of peft for {base or 'another model'}", (
        "Merge it into that model with peft (merge_and_unload, save_pretrained), and name the "
        "result. A LoRA for a diffusion model is named in model.loras."
    )


def _names(file: Path) -> list[str]:
    """Of the weights in a file; none where it is not of safetensors."""
    if file.suffix != SAFE:
        return []
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "np") as held:
            return list(held.keys())
    except SafetensorError:
        return []
