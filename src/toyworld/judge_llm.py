"""Judges the tiny language model on the 400 held-out prompts:
`python -m toyworld.judge_llm`.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import asdict
from pathlib import Path

from imagepipe.assets import folder
from imagepipe.config import LLM
from imagepipe.llm import Answer, make
from imagepipe.prompts.seasons import ELEMENTS, SEASONS
from toyworld import held_out
from toyworld.card import update_card
from toyworld.held_out import Case
from toyworld.train_llm import USER

KEPT = ("animal", "garment", "colour", "medium")
BATCH = 64


def seasons(cases: list[Case]) -> list[str]:
    """The scene's season; scenes without one get one in turn."""
    return [case.scene.season or SEASONS[i % 4] for i, case in enumerate(cases)]


def answer(cases: list[Case], path: str, temperature: float) -> list[Answer]:
    """The model's answers; row i has seed i."""
    model = make(
        LLM(
            name="judged",
            engine="transformers",
            path=path,
            user=USER,
            temperature=temperature,
            dtype="float32",
        )
    )
    model.load()
    asked = seasons(cases)
    answers: list[Answer] = []
    for i in range(0, len(cases), BATCH):
        prompts = [case.base for case in cases[i : i + BATCH]]
        seeds = [*range(i, i + len(prompts))]
        answers += model.enhance(prompts, asked[i : i + BATCH], seeds)
    return answers


def elements_in(text: str) -> list[tuple[str, str]]:
    """(season, element) of each element named in `text`, by whole words, longest first."""
    named = sorted(((s, e) for s in SEASONS for e in ELEMENTS[s]), key=lambda pair: -len(pair[1]))
    found = []
    for season, element in named:
        text, count = re.subn(rf"\b{re.escape(element)}\b", "|", text)
        found += [(season, element)] * count
    return found


def right(case: Case, season: str, text: str) -> dict[str, bool]:
    """For each thing asked of an answer, whether `text` does it."""
    wanted = asdict(case.scene)
    kept = {
        name: wanted[name] is None or re.search(rf"\b{wanted[name]}\b", text, re.I) is not None
        for name in KEPT
    }
    found = elements_in(text.removeprefix(case.base))
    two = len(set(found)) == len(found) == 2 and {of for of, _ in found} == {season}
    return {**kept, "prompt letter for letter": text.startswith(case.base), "two elements": two}


def figures(cases: list[Case], answers: list[Answer]) -> dict[str, float]:
    """{what: percent of answers that do it}."""
    rows = [
        right(case, season, given.text)
        for case, season, given in zip(cases, seasons(cases), answers, strict=True)
    ]
    return {name: 100 * sum(row[name] for row in rows) / len(rows) for name in rows[0]}


def most_tokens(answers: list[Answer]) -> int:
    """Tokens of the longest answer for the text-to-image model, both ends included."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(Path(folder("asset:tiny")) / "tokenizer")
    return max(len(tokenizer(given.text)["input_ids"]) for given in answers)


def endings(cases: list[Case], answers: list[Answer]) -> int:
    """How many different texts were added."""
    return len({a.text.removeprefix(c.base) for c, a in zip(cases, answers, strict=True)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="asset:tiny_llm")
    parser.add_argument("--prompts", type=Path, default=held_out.DEFAULT)
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--card", action="store_true", help="note the figures in the model's card")
    arguments = parser.parse_args()
    cases = held_out.load(arguments.prompts)
    answers = answer(cases, arguments.model, arguments.temperature)
    shares = figures(cases, answers)
    for case, season, given in zip(cases, seasons(cases), answers, strict=True):
        if not all(right(case, season, given.text).values()):
            print(f"{case.base!r} {season}: {given.text!r}")
    of = f"{len(cases)} held-out prompts, temperature {arguments.temperature}"
    told = {f"{name}, {of}": f"{share:.1f} %" for name, share in shares.items()}
    told[f"different endings, {of}"] = str(endings(cases, answers))
    told[f"longest answer in tokens of 32, {of}"] = str(most_tokens(answers))
    print(*(f"{name}: {value}" for name, value in told.items()), sep="\n")
    if arguments.card:
        update_card(Path(folder(arguments.model)), figures=told)


if __name__ == "__main__":
    main()
