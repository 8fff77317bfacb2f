"""A vision-language model of a real class with random weights, in the layout of the hub."""

from __future__ import annotations

from pathlib import Path

SIDE, PATCH = 32, 8
WORDS = ("yes", "Yes", "no", "No", "does", "this", "picture", "show", "a", "cat", "dog", "red", "?")
TEMPLATE = (  # SmolVLM's, but for what it says of a system message
    "<|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}:"
    "{% for part in message['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}"
    "{% else %}<image>{% endif %}{% endfor %}<end_of_utterance>\n{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)


def save(folder: Path, words: tuple[str, ...] = WORDS, seed: int = 0) -> Path:
    """An Idefics3 (as SmolVLM is) of some 50,000 parameters that knows only `words`."""
    import torch
    from transformers import (
        Idefics3Config,
        Idefics3ForConditionalGeneration,
        Idefics3ImageProcessor,
        Idefics3Processor,
    )

    tokenizer = _tokenizer(words)
    looks = Idefics3ImageProcessor(
        size={"longest_edge": SIDE}, max_image_size={"longest_edge": SIDE}, do_image_splitting=False
    )
    length = (SIDE // PATCH) ** 2 // 4
    processor = Idefics3Processor(looks, tokenizer, length, chat_template=TEMPLATE)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1}
    config = Idefics3Config(
        vision_config={**sizes, "num_attention_heads": 2, "image_size": SIDE, "patch_size": PATCH},
        text_config={
            **sizes,
            "model_type": "llama",
            "vocab_size": len(tokenizer),
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": 32,  # vLLM's attention on a CPU takes no less
            "max_position_embeddings": 256,
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    torch.manual_seed(seed)
    model = Idefics3ForConditionalGeneration(config)
    for weight in model.parameters():  # else its answers hardly depend on what it sees
        weight.data *= 8 if weight.dim() > 1 else 1
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def _tokenizer(words: tuple[str, ...]):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = ["<pad>", "<unk>", "<|im_start|>", "<end_of_utterance>", "<image>", "<global-img>"]
    vocabulary = {word: i for i, word in enumerate([*special, "<fake_token_around_image>", *words])}
    whole = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    whole.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=whole,
        pad_token="<pad>",
        unk_token="<unk>",
        eos_token="<end_of_utterance>",
        additional_special_tokens=["<global-img>"],
        padding_side="left",
    )
