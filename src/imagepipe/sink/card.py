"""The data set card: `README.md`, as Hugging Face's hub shows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from imagepipe import __version__, diffusion
from imagepipe.config import Config
from imagepipe.errors import shown
from imagepipe.sink.encoding import MADE_BY_A_MODEL
from imagepipe.stages import engines, weights

NAME = "README.md"
# The person whose pictures they are chooses it: https://huggingface.co/docs/hub/repositories-licenses
LICENCE = "# license: NAME (write the name of your licence, and remove the # before it)"
# What the hub calls sizes: https://huggingface.co/docs/hub/datasets-cards
SIZES = {1_000: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K", 1_000_000: "100K<n<1M"}
LARGER = "1M<n<10M"
MADE = (
    "All pictures of this data set were made by a model. Each picture file says so in its metadata "
    f"(IPTC's digital source type `{MADE_BY_A_MODEL}`), together with the settings that drew it."
)
# Columns that a run adds, beside scores.
SAID = {
    "base_prompt": "the prompt that the template made from the row",
    "prompt": "the prompt that was drawn",
    "season": "the season that the language model was asked to add",
    "seed": "the seed of the picture",
    "image": "the picture",
    "image_path": "the picture's file",
    "image_index": "number of the picture among those of its row, from 0",
    "llm_answer": "the answer of the language model, if it was changed or not drawn",
    "llm_fallback": "why the answer of the language model was not drawn",
    "unknown_words": "words of the prompt that the model does not know",
}


def card(config: Config, summary: Mapping[str, Any], schema: pa.Schema, own: Iterable[str]) -> str:
    """The card of a finished run's data set. `schema` is its table's, `own` the columns of the
    input.
    """
    pictures = summary["pictures"] + summary["pictures_before"]
    head = {
        "pretty_name": config.dataset.name,
        "task_categories": ["text-to-image"],
        "tags": ["synthetic", "imagepipe"],
        "size_categories": [next((s for n, s in SIZES.items() if pictures < n), LARGER)],
        "configs": [{"config_name": "default", "data_files": "table/*.parquet"}],
    }
    counts = {"pictures": pictures, "rows read": summary["rows_read"]}
    ends = ("written", "failed", "unmatched", "filtered", "already_done")
    counts |= {f"rows {name.replace('_', ' ')}": summary[name] for name in ends if summary[name]}
    lines = [
        *("---", LICENCE, yaml.safe_dump(head, sort_keys=False, allow_unicode=True) + "---", ""),
        *(f"# {_cell(config.dataset.name)}", "", MADE, ""),
        *("## Counts", "", *_table(("what", "number"), counts.items()), ""),
        *("## Models", "", *_table(("stage", "model", "licence"), _models(config)), ""),
        *("## Columns", "", *_table(("column", "type", "what"), _columns(config, schema, own)), ""),
        f"Made with imagepipe {__version__}.",
    ]
    return "\n".join([*lines, ""])


def _models(config: Config) -> Iterable[tuple[str, str, str]]:
    """The models of the run's stages."""
    for stage, section in config.sections.items():
        if engines.of(section.section, section).works:
            revision = getattr(section, "revision", None)
            path = getattr(section, "path", None)
            name = _called(path) if path else getattr(section, "name", "")
            licence = getattr(section, "licence", None) or ""
            yield stage, f"{name}{f' at {revision}' if revision else ''}", licence
    if note := diffusion.seed_note(config.model):
        yield "", note, ""


def _called(path: str) -> str:
    """A model's name for others: for one on this machine only its own name."""
    local = Path(path).expanduser()
    is_here = local.is_absolute() or (isinstance(weights.locate(path), Path) and local.exists())
    return local.name if is_here else path


def _columns(
    config: Config, schema: pa.Schema, own: Iterable[str]
) -> Iterable[tuple[str, str, str]]:
    own = set(own)
    judged = {one.column: one.name for one in config.judged}
    for field in schema:
        what = "from the input table" if field.name in own else SAID.get(field.name, "")
        if field.name in judged:
            what = f"result of {judged[field.name]} for the picture"
        yield field.name, "image" if field.name == "image" else str(field.type), what


def _table(head: tuple[str, ...], rows: Iterable[Iterable[object]]) -> list[str]:
    return [_line(head), _line(["---"] * len(head)), *map(_line, rows)]


def _line(cells: Iterable[object]) -> str:
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: object) -> str:
    """On one line, with the characters of Markdown and HTML escaped."""
    plain = " ".join(shown(text).split()).replace("&", "&amp;").replace("<", "&lt;")
    return plain.replace("|", "\\|")
