"""Judges pictures of the 400 held-out prompts: `python -m toyworld.judge`.

The scorer `tiny_clip` answers for each picture what it shows; the share of right answers is
printed. With `--real`, renderings of the same scenes are judged, which is a test of the scorer.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from imagepipe.assets import folder
from imagepipe.config import Model, Scorer
from imagepipe.diffusion import make
from imagepipe.reports.contact_sheet import contact_sheet
from imagepipe.scoring.clip import ClipScorer
from imagepipe.sink.results import Picture
from toyworld import held_out
from toyworld.card import update_card
from toyworld.held_out import Case
from toyworld.render import render
from toyworld.train_clip import NONE

SIDE = 128
BATCH = 16
SHOWN = 48
LISTED = 10  # wrong answers of an attribute
REAL_SEED = 9001  # apart from every seed that a model was trained with


def drawn(cases: list[Case], path: str, steps: int, guidance: float) -> np.ndarray:
    """A picture a case, uint8 (n, 128, 128, 3), by the pipeline's own painter; row i has seed i."""
    model = Model("judged", "diffusers", path, steps=steps, guidance=guidance)
    painter = make(replace(model, width=SIDE, height=SIDE))
    painter.load()
    rows = [(case.prompt, seed) for seed, case in enumerate(cases)]
    batches = [rows[i : i + BATCH] for i in range(0, len(rows), BATCH)]
    return np.concatenate(
        [painter.paint([prompt for prompt, _ in b], [seed for _, seed in b]) for b in batches]
    )


def rendered(cases: list[Case], seed: int = REAL_SEED) -> np.ndarray:
    """Real renderings of the cases' scenes, uint8 (n, 128, 128, 3)."""
    rngs = (np.random.default_rng((seed, i)) for i in range(len(cases)))
    return np.stack([render(c.scene, rng, SIDE) for c, rng in zip(cases, rngs, strict=True)])


def misses(cases: list[Case], answers: dict[str, list[str]]) -> dict[str, list[tuple[int, str]]]:
    """{attribute: [(number of a case, the wrong answer)]}."""
    wanted = [asdict(case.scene) for case in cases]
    return {
        name: [(i, a) for i, a in enumerate(given) if a != (wanted[i][name] or NONE)]
        for name, given in answers.items()
    }


def report(cases: list[Case], wrong: dict[str, list[tuple[int, str]]]) -> Iterator[str]:
    """The percentages, and below them the first wrong answers with their prompts."""
    for name, share in percentages(cases, wrong).items():
        yield f"{name:8} {share:5.1f} % right"
    for name, missed in wrong.items():
        for i, answer in missed[:LISTED]:
            yield f"{i:3} {name}: {answer}, not {asdict(cases[i].scene)[name]}: {cases[i].prompt}"


def percentages(cases: list[Case], wrong: dict[str, list[tuple[int, str]]]) -> dict[str, float]:
    """{attribute: right answers in percent}."""
    return {name: 100 * (1 - len(missed) / len(cases)) for name, missed in wrong.items()}


def sheet(cases: list[Case], images: np.ndarray, shown: int = SHOWN) -> bytes:
    """A PNG of `shown` pictures taken evenly over the list, prompts below them."""
    chosen = np.linspace(0, len(cases) - 1, min(shown, len(cases))).astype(int)
    pictures = [
        Picture(str(i), cases[i].base, cases[i].prompt, int(i), _png(images[i])) for i in chosen
    ]
    return contact_sheet(pictures, columns=8)


def _png(image: np.ndarray) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pipeline", default="asset:tiny")
    parser.add_argument("--scorer", default="asset:tiny_clip")
    parser.add_argument("--prompts", type=Path, default=held_out.DEFAULT)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--guidance", type=float, default=2.0)
    parser.add_argument("--limit", type=int, help="only so many, taken evenly")
    parser.add_argument("--real", action="store_true", help="judge renderings, not the pipeline")
    parser.add_argument("--sheet", type=Path, help="write a contact sheet of 48 to this PNG")
    parser.add_argument("--card", action="store_true", help="note the figures in the model's card")
    return parser.parse_args()


def main() -> None:
    arguments = _arguments()
    cases = held_out.load(arguments.prompts)
    if arguments.limit:
        cases = [cases[i] for i in np.linspace(0, len(cases) - 1, arguments.limit).astype(int)]
    if arguments.real:
        images = rendered(cases)
    else:
        images = drawn(cases, arguments.pipeline, arguments.steps, arguments.guidance)
    scorer = ClipScorer(Scorer("clip", "clip", path=arguments.scorer))
    scorer.load()
    wrong = misses(cases, scorer.answers(images))
    print(f"{len(cases)} pictures")
    print(
        *report(cases, wrong),
        f"score    {scorer.score(images, [c.prompt for c in cases]).mean():.1f}",
        sep="\n",
    )
    if arguments.sheet:
        arguments.sheet.write_bytes(sheet(cases, images))
    if arguments.card:
        _note(arguments, cases, wrong)


def _note(
    arguments: argparse.Namespace, cases: list[Case], wrong: dict[str, list[tuple[int, str]]]
) -> None:
    judged = arguments.scorer if arguments.real else arguments.pipeline
    kind = (
        "real renderings"
        if arguments.real
        else f"{arguments.steps} steps, guidance {arguments.guidance}"
    )
    shares = percentages(cases, wrong)
    figures = {
        f"{name} right, {len(cases)} held-out prompts, {kind}": f"{share:.1f} %"
        for name, share in shares.items()
    }
    update_card(Path(folder(judged)), figures=figures)


if __name__ == "__main__":
    main()
