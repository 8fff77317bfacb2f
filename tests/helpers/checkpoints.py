"""A pipeline of diffusers in one file, under the names that Stable Diffusion's makers gave.

The inverse of what diffusers' `from_single_file` does, for tiny models.
"""

from __future__ import annotations

import re
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

State = dict[str, torch.Tensor]
RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}
UNET = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
VAE_ATTENTION = {
    "group_norm": "norm",
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
    "to_out.0": "proj_out",
}
OPEN_CLIP = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "self_attn.out_proj": "attn.out_proj",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}


def held(part: Path) -> State:
    return {
        name: one for file in part.glob("*.safetensors") for name, one in load_file(file).items()
    }


def unet(state: State, layers: int = 1) -> State:
    """Of a UNet with `layers` a block; its attention needs no other names."""
    attended = {
        re.match(r"up_blocks\.\d+", name)[0]
        for name in state
        if ".attentions." in name and name[0] == "u"
    }

    def renamed(name: str) -> str:
        for new, old in UNET.items():
            if name.startswith(f"{new}."):
                return name.replace(new, old, 1)
        found = re.match(r"(down|up|mid)_block(?:s\.(\d+))?\.(\w+)\.(\d+)\.(.*)", name)
        where, block, what, number, rest = found.groups()
        block, number = int(block or 0), int(number)
        if what == "resnets":
            own, _, leaf = rest.partition(".")
            rest = f"{RESNET[own]}.{leaf}"
        if where == "mid":
            return f"middle_block.{1 if what == 'attentions' else 2 * number}.{rest}"
        if what == "downsamplers":
            return f"input_blocks.{(layers + 1) * (block + 1)}.0.op.{rest.removeprefix('conv.')}"
        if what == "upsamplers":
            place = 2 if f"up_blocks.{block}" in attended else 1
            return f"output_blocks.{(layers + 1) * (block + 1) - 1}.{place}.{rest}"
        place = 1 if what == "attentions" else 0
        if where == "down":
            return f"input_blocks.{(layers + 1) * block + number + 1}.{place}.{rest}"
        return f"output_blocks.{(layers + 1) * block + number}.{place}.{rest}"

    return {f"model.diffusion_model.{renamed(name)}": one for name, one in state.items()}


def vae(state: State, blocks: int = 2) -> State:
    def renamed(name: str) -> str:
        name = name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
        name = re.sub(r"samplers\.0\.conv", "sample.conv", name)
        name = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", name)
        name = re.sub(r"down_blocks\.(\d)\.resnets", r"down.\1.block", name)
        name = re.sub(r"down_blocks\.(\d)", r"down.\1", name)
        name = re.sub(
            r"up_blocks\.(\d)\.resnets", lambda m: f"up.{blocks - 1 - int(m[1])}.block", name
        )
        name = re.sub(r"up_blocks\.(\d)", lambda m: f"up.{blocks - 1 - int(m[1])}", name)
        if ".attentions.0." in name:
            name = name.replace("mid_block.attentions.0", "mid.attn_1")
            for new, old in VAE_ATTENTION.items():
                name = name.replace(f"attn_1.{new}.", f"attn_1.{old}.")
        return name

    made = {renamed(name): one for name, one in state.items()}
    for name, one in made.items():
        if "attn_1" in name and one.ndim == 2:  # which its makers have as a convolution
            made[name] = one[:, :, None, None]
    return made


def open_clip(state: State) -> State:
    state = {name.removeprefix("text_model."): one for name, one in state.items()}
    made = {
        "positional_embedding": state["embeddings.position_embedding.weight"],
        "token_embedding.weight": state["embeddings.token_embedding.weight"],
        "ln_final.weight": state["final_layer_norm.weight"],
        "ln_final.bias": state["final_layer_norm.bias"],
        "text_projection": state["text_projection.weight"].T.contiguous(),
    }
    for name, one in state.items():
        found = re.match(r"encoder\.layers\.(\d+)\.(.*)\.(weight|bias)", name)
        if not found:
            continue
        layer, what, end = found.groups()
        begin = f"transformer.resblocks.{layer}"
        if what in OPEN_CLIP:
            made[f"{begin}.{OPEN_CLIP[what]}.{end}"] = one
        elif what == "self_attn.q_proj":
            three = [state[name.replace("q_proj", f"{x}_proj")] for x in "qkv"]
            made[f"{begin}.attn.in_proj_{end}"] = torch.cat(three)
    return made


def clip(state: State) -> State:
    return {f"text_model.{name.removeprefix('text_model.')}": one for name, one in state.items()}


def begun(prefix: str, state: State) -> State:
    return {f"{prefix}{name}": one.contiguous() for name, one in state.items()}


def single(folder: Path, file: Path) -> Path:
    """The pipeline in `folder`, a Stable Diffusion or one of XL, as one file."""
    state = {
        **begun("", unet(held(folder / "unet"))),
        **begun("first_stage_model.", vae(held(folder / "vae"))),
    }
    text = clip(held(folder / "text_encoder"))
    if (folder / "text_encoder_2").is_dir():
        state |= begun("conditioner.embedders.0.transformer.", text)
        second = open_clip(held(folder / "text_encoder_2"))
        state |= begun("conditioner.embedders.1.model.", second)
    else:
        state |= begun("cond_stage_model.transformer.", text)
    save_file(state, file)
    return file
