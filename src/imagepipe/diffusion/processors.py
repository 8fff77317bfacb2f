"""The processor of an editing model: prepares text and pictures together for its language model."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imagepipe.diffusion.repository import Description

QWEN = "Qwen2VLProcessor"
PART = "processor"
# Tokens of Qwen's vision models: what the pipeline's template says, and the processor looks for.
SIGNS = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")


def given(described: Description) -> dict[str, Any]:
    """The part `processor` of a pipeline in a folder, where it is that of Qwen's vision models.

    transformers' own class takes videos too, for which it needs torchvision. Pictures are made
    ready by Pillow whether or not that is installed, so that they are the same.
    """
    if described.folder is None or described.parts.get(PART, ("", ""))[1] != QWEN:
        return {}
    from transformers import AutoTokenizer, Qwen2VLImageProcessorPil

    folder = described.folder / PART
    words = AutoTokenizer.from_pretrained(folder)
    return {PART: _kind()(Qwen2VLImageProcessorPil.from_pretrained(folder), words)}


def stand_in(tokenizer: Any, text_encoder: Any) -> Any:
    """Where nothing was downloaded: in the sizes that transformers has as defaults, with the words
    of `tokenizer`, which the language model is told.
    """
    from transformers import Qwen2VLImageProcessorPil

    tokenizer.add_special_tokens({"additional_special_tokens": list(SIGNS)})
    start, _, image, video = tokenizer.convert_tokens_to_ids(list(SIGNS))
    told = text_encoder.config
    told.vision_start_token_id, told.image_token_id, told.video_token_id = start, image, video
    return _kind()(Qwen2VLImageProcessorPil(), tokenizer)


@cache
def _kind() -> Any:
    """transformers' class without its part for videos, under its own name, which a saved pipeline
    says.
    """
    from transformers import Qwen2VLProcessor

    def init(self: Any, image_processor: Any, tokenizer: Any, chat_template: Any = None) -> None:
        Qwen2VLProcessor.__init__(self, image_processor, tokenizer, None, chat_template)

    inside = {"__init__": init, "__module__": Qwen2VLProcessor.__module__}
    return type(QWEN, (Qwen2VLProcessor,), inside)
