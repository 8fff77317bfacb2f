"""Prompt syntax of other tools that has no effect here."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

WEIGHT = "say in words what matters and put it first, or set model.prompt_syntax=compel"
VARY = (
    "in dataset.prompt it is a choice, with dataset.wildcards also __name__; in a cell it is text"
)
LORA = "add LoRAs with model.loras"
INVERSION = "name the files of textual inversions in model.textual_inversions"
PLAIN = "leave BREAK and AND out"
BARE = "write brackets without a backslash"
OPTION = "leave it out: model.width, model.height, model.negative_prompt and seed decide"
MISSING = "a cell without a value came as this text: save it as null, or leave it empty"
NEGATIVE = "put it into a column of its own: model.columns.negative_prompt=NAME"
BRACES = f"in dataset.prompt a column is {{name}}, and in a cell it is text; {WEIGHT}"
# By an example: how a sign looks, and what to do in its place. Sources: the prompt syntax of
# AUTOMATIC1111's web UI, ComfyUI, compel, dynamicprompts and Midjourney.
SIGNS: dict[str, tuple[str, str]] = {
    "(word:1.4)": (r"[(（][^()（）]*[^\d\s()（）]\s*[:：]\s*[+-]?\d*\.?\d+\s*[)）]", WEIGHT),
    "((word))": (r"\({2,}[^()]+\){2,}", WEIGHT),
    "(word)1.3": (r"\)(?:\d*\.\d+|[+]+|-{2,})", WEIGHT),
    "word++": (r"(?<!\w)[^\W\d_]{3,}\+{2,}(?!\w)", WEIGHT),
    "{{word}}": (r"\{{2,}[^{}]+\}{2,}", BRACES),
    "[word]": (r"\[[^\[\]]+\]", WEIGHT),
    "<lora:name:1>": (r"<(?:lora|lyco|hypernet):[^<>]*>", LORA),
    "<name:value>": (r"<(?!lora:|lyco:|hypernet:)[A-Za-z]\w*:[^<>]*>", "leave it out"),
    "<token>": (r"<(?!NA>)[A-Za-z][\w-]*>", INVERSION),
    "embedding:name": (r"\bembedding:\w", INVERSION),
    "__name__": (r"(?<!\w)__[\w/*-]+?__(?!\w)", VARY),
    "{a|b}": (r"\{[^{}]*\|[^{}]*\}", VARY),
    "BREAK": (r"(?<!\w)BREAK(?!\w)", PLAIN),
    "AND": (r"(?<!\w)AND(?!\w)", PLAIN),
    r"\(word\)": (r"\\[()\[\]]", BARE),
    "word::2": (r"\w::\s?-?\.?\d", WEIGHT),
    # Also with the dash that an editor makes of two hyphens.
    "--ar 16:9": (
        r"(?<!\S)(?:--(?:ar|aspect|no|seed|s|stylize|v|q|quality|niji|style|chaos|c|iw|tile|w|h|p|raw"
        r"|[sc]ref|weird|stop|hd)(?!\S)|—(?:ar|aspect|v|s|stylize|chaos|seed)\s+\d)",
        OPTION,
    ),
    "nan": (
        r"(?<!\w)(?:nan|NaN|NaT|NULL)(?!\w)|<NA>|#(?:N/A|REF!|VALUE!|NAME\?|DIV/0!|NUM!)",
        MISSING,
    ),
    "/imagine": (r"(?<!\S)/imagine(?!\S)", "leave it out"),
    "Negative prompt: word": (r"(?i:(?<!\w)negative prompt\s*[:：])", NEGATIVE),
    "Steps: 20, Sampler: word": (r"(?<!\w)Steps: ?\d+, ?[A-Z][\w ]*:", OPTION),
}
WEIGHED = ("(word:1.4)", "(word)1.3", "word++")  # which model.prompt_syntax=compel reads
# Columns that look as if they chose how their row is drawn, and what chooses it for all rows.
CHOOSES = {
    **dict.fromkeys(("seed", "random_seed", "noise_seed"), "seed"),
    **dict.fromkeys(
        ("steps", "num_inference_steps", "inference_steps", "num_steps", "sampling_steps"),
        "model.steps",
    ),
    **dict.fromkeys(("negative_prompt", "neg_prompt", "negative_text"), "model.negative_prompt"),
    "width": "model.width",
    "height": "model.height",
    **dict.fromkeys(("image_size", "aspect_ratio"), "model.width and model.height"),
    **dict.fromkeys(("guidance", "guidance_scale", "cfg_scale", "cfg"), "model.guidance"),
    **dict.fromkeys(("sampler", "sampler_name", "sampler_index", "scheduler"), "model.scheduler"),
    **dict.fromkeys(
        ("num_images", "num_images_per_prompt", "batch_count", "n_iter"), "model.images_per_prompt"
    ),
    **dict.fromkeys(("lora", "loras", "lora_weight"), "model.loras"),
    "clip_skip": "model.call_kwargs.clip_skip",
    "denoising_strength": "model.call_kwargs.strength",
}
_FOUND = {sign: re.compile(pattern) for sign, (pattern, _) in SIGNS.items()}
_WORDS = ("BREAK", "AND")  # signs only where the prompt is not in capitals throughout


def signs(prompt: str, known: Collection[str] = ()) -> list[str]:
    """The examples of SIGNS whose kind stands in `prompt`, each once. `known` are the words of
    textual inversions, which are words like others.
    """
    for word in known:
        prompt = re.sub(re.escape(word), "word", prompt, flags=re.IGNORECASE)
    loud = prompt.isupper()
    found = [sign for sign, pattern in _FOUND.items() if pattern.search(prompt)]
    return [sign for sign in found if not (loud and sign in _WORDS)]


def held(prompt: str, words: Iterable[str]) -> list[str]:
    """Those of `words` that stand in `prompt`, in whatever case, as text encoders take them."""
    return [word for word in words if word.casefold() in prompt.casefold()]


def way(sign: str) -> str:
    """What to do in place of a sign."""
    return SIGNS[sign][1]


def unread(columns: Iterable[str], used: Collection[str]) -> dict[str, str]:
    """Of `columns` those that look so and are not `used`, each with the key that holds instead."""
    words = {name: re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.strip()) for name in columns}
    plain = {name: re.sub(r"[\s_-]+", "_", text).lower() for name, text in words.items()}
    found = {name: CHOOSES.get(said) for name, said in plain.items() if name not in used}
    return {name: key for name, key in found.items() if key}
