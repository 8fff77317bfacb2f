"""The notes at the end of a run, and what to do about them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from imagepipe import diffusion, shell
from imagepipe.config import Model
from imagepipe.prompts.signs import WEIGHED, held, way
from imagepipe.reports.job import Job
from imagepipe.sink.ledger import Ledger
from imagepipe.stages import engines

CORRECT = "correct the table and run it"  # where rows fail because of their own cells


def how_to_go_on(job: Job) -> str:
    """What to type or do next after a failed run."""
    ledger, sweep = job.ledger, job.sweep_job.folder if job.sweep_job else None
    again = f"resume with: {shell.resume_command(sweep or job.folder)}"
    if sweep or not (ledger.adds_up and ledger.failed):
        return again
    if ledger.failed > ledger.failed_for_good:
        return f"{again} retry_failed=true"
    return f"nothing else is left to do: {CORRECT}"


def before(job: Job, environment: Mapping[str, str]) -> Iterator[str]:
    """What of the settings does not do what it seems to, before the run."""
    if note := diffusion.seed_note(job.config.model):
        yield note
    address = environment.get("RAY_ADDRESS")
    if address and job.neighbours:  # the run has a Ray of its own
        yield f"RAY_ADDRESS is not read. To join that cluster: ray.address={address}"
    if columns := job.unread_columns:
        settings = ", ".join(dict.fromkeys(columns.values()))
        yield (
            f"columns of the table set nothing: {', '.join(columns)}. All rows use {settings}. "
            "To take a setting from a column, see model.columns"
        )


def warnings(job: Job) -> list[str]:
    ledger, said = job.ledger, []
    if note := diffusion.seed_note(job.config.model):
        said.append(note)
    if ledger.unknown_words:
        words = ", ".join(word for word, _ in ledger.unknown_words.most_common(8))
        said.append(f"words that the model does not know: {words}")
    if ledger.prompt_signs and engines.of("model", job.config.model).literal_prompts:
        said += _signs(job.config.model, ledger)
    if job.config.resume is None and (unused := _unused(job.config.model, ledger)):
        said.append(
            "no prompt contains the words of these textual inversions, which then change nothing: "
            f"{', '.join(unused)}. Write them into dataset.prompt or the cells"
        )
    if ledger.prompts_cut:
        share = 100 * ledger.prompts_cut / max(1, ledger.written)
        said.append(
            f"{ledger.prompts_cut} prompts ({share:.0f} %) were too long for the model and were cut"
        )
    if ledger.llm_trimmed:
        said.append(f"{ledger.llm_trimmed} answers of the LLM were shortened (column llm_answer)")
    for reason, number in ledger.llm_fallbacks.most_common():
        said.append(f"{number} answers of the LLM were not used ({reason}): {_advice(reason)}")
    what = "a value" if job.config.stages else "a score"  # of a custom stage, or not
    for reason, number in ledger.unscored.most_common(3):
        said.append(f"{number} pictures are kept without {what}: {reason}")
    for reason, number in ledger.reasons.most_common(3):
        said.append(f"{number} failed: {reason}")
    return [*said, *_rejected(job)]


def _rejected(job: Job) -> list[str]:
    """Where the rows without a picture are, and what can be done about them."""
    ledger, said = job.ledger, []
    if ledger.failed:
        said.append(f"failed rows: {job.store.place('failed.parquet')}")
    if ledger.failed > ledger.failed_for_good:
        said.append(f"to retry them: {shell.resume_command(job.folder)} retry_failed=true")
    elif ledger.failed:  # they would fail again
        said.append(f"they would fail again: {CORRECT}")
    for reason, _ in ledger.unmatched_reasons.most_common(1):
        said.append(f"{ledger.unmatched} without a match, for example: {reason}")
    if ledger.unmatched:
        said.append(f"rows without a match: {job.store.place('unmatched.parquet')}")
    if ledger.pictures_filtered:
        said.append(f"{ledger.pictures_filtered} pictures were drawn but not kept")
    for reason, number in ledger.filtered_reasons.most_common(1):
        said.append(f"{ledger.filtered} rows filtered out, for example {number}: {reason}")
    if ledger.filtered:
        said.append(f"rows filtered out: {job.store.place('filtered.parquet')}")
    return said


def _unused(model: Model, ledger: Ledger) -> list[str]:
    """The words of textual inversions that stood in no prompt. Those for what is to be kept out of
    a picture stand in the negative prompt; of rows with their own it is not known.
    """
    if not ledger.written or "negative_prompt" in model.columns:
        return []
    elsewhere = " ".join([model.negative_prompt or "", *map(str, model.call_kwargs.values())])
    return [
        word
        for word, prompts in ledger.inversion_words.items()
        if not prompts and not held(elsewhere, [word])
    ]


def _signs(model: Model, ledger: Ledger) -> list[str]:
    """One note on prompt syntax of other tools, which this model does not read."""
    read = WEIGHED if model.prompt_syntax else ()
    every = [one for one in ledger.prompt_signs.most_common() if one[0] not in read]
    if not every:
        return []
    found = ", ".join(f"{sign} in {number}" for sign, number in every)
    ways = dict.fromkeys(way(sign) for sign, _ in every)
    said = (
        f"prompts contain signs of other tools, which this model reads as plain text: {found}. "
        f"Instead: {'; '.join(ways)}"
    )
    return [said]


def _advice(reason: str) -> str:
    """What happens with answers that are not used for `reason`, and what would change it."""
    drawn = "the base prompt was drawn"
    if reason == "cut":
        return f"{drawn}; raise llm.max_tokens"
    if reason == "thinking":
        return f"{drawn}; raise llm.max_tokens, or switch reasoning off (llm.chat_template_kwargs)"
    return drawn
