"""The stages of a run in order, and whether their columns fit together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pyarrow as pa

from imagepipe import prompts, sources
from imagepipe.config import PICTURES, PROMPT, Config, most_pixels, scorer_stages
from imagepipe.config.models import text_column
from imagepipe.diffusion import inputs, limits, rows
from imagepipe.diffusion.stage import stage as model_stage
from imagepipe.errors import UserError, listed
from imagepipe.llm.stage import stage as llm_stage
from imagepipe.scoring.stage import stage as scorer_stage
from imagepipe.sink import duplicates
from imagepipe.sink.filter import Filter
from imagepipe.sources.tables import RESERVED, RESERVED_PREFIXES
from imagepipe.stages import engines
from imagepipe.stages.own import Pictures
from imagepipe.stages.own import stage as own_stage
from imagepipe.stages.stage import Stage

# What a stage uses for good, so that none behind it changes that: the picture would not show it.
USED_BY = {"base_prompt": "llm", "prompt": "model"}


def stages(config: Config, tables: sources.Tables) -> list[Stage]:
    """The stages between reading and writing, in order; their columns are checked.

    Raises UserError if a stage reads a column that nothing before it gives.
    """
    made = _made(config, tables)
    chain = [made[name] for name in config.order if name in made]
    _check_columns(config, tables, chain)
    return chain


def _made(config: Config, tables: sources.Tables) -> dict[str, Stage]:
    """The stages that have work to do, by name; `config.order` gives their order."""
    own = rows.settings(config.model, tables.renamed, most_pixels(config.sink))
    each = config.model.images_per_prompt
    return {
        PROMPT: prompts.stage(
            *(tables.template, tables.renamed, config.seed, tables.id, own.seed),
            numbers=tables.numbers(),
            texts={text_column(key): text for key, text in tables.texts.items()},
        ),
        "llm": llm_stage(config.llm, limit=limits.recipe(config.model)),
        PICTURES: inputs.stage(own, tables.homes(config.model.pictures)),
        "model": model_stage(own, run_seed=config.seed, id_column=tables.id),
        **{
            name: scorer_stage(config.scorer[scorer], each, name)
            for name, scorer in scorer_stages(config.scorer).items()
            if engines.of("scorer", config.scorer[scorer]).works
        },
        **own_stages(config),
    }


def own_stages(config: Config) -> dict[str, Stage]:
    """The custom stages, by their names. Raises UserError if a class cannot be one."""
    pictures = Pictures(config.model.images_per_prompt, most_pixels(config.sink))
    keys = {one.name: config.resources.key(one.name) for one in config.stages}
    behind = config.order[config.order.index("model") :]
    return {
        one.name: own_stage(one, keys[one.name], pictures, behind_model=one.name in behind)
        for one in config.stages
    }


def errors(every: Iterable[Stage]) -> dict[str, str]:
    """{column: stage} of the stages in `every` that keep the pictures of rows on which they
    fail, by the column that says why.
    """
    return {one.error: one.name for one in every if one.error}


def _check_columns(config: Config, tables: sources.Tables, chain: Sequence[Stage]) -> None:
    """Raise UserError if a stage reads or changes a column that nothing before it gives, or if a
    custom stage adds a column that exists, or changes one too late.
    """
    columns = {tables.renamed.get(name, name) for name in tables.columns}
    own = {one.name for one in config.stages}
    passed: set[str] = set()
    for stage in chain:
        _check_there(config, stage, columns, chain)
        if stage.name in own:
            others = (one for one in chain if one is not stage)
            _check_new(config.resources.key(stage.name), stage, columns, others)
            _check_in_time(config.resources.key(stage.name), stage, passed)
        passed.add(stage.name)
        columns = (columns | set(stage.adds.names)) - set(stage.drops)


def _check_there(config: Config, stage: Stage, columns: set[str], chain: Sequence[Stage]) -> None:
    missing = sorted({*stage.reads, *stage.changes.names} - columns)
    if not missing:
        return
    giver = next((one.name for one in chain if missing[0] in one.adds.names), None)
    later = f"It comes from the stage {giver}: put this stage after it. " if giver else ""
    raise UserError(
        field=_asked(config, stage.name),
        value=", ".join(missing),
        problem="this stage reads columns that no earlier stage provides",
        remedy=f"{later}Columns so far: {listed(sorted(columns), missing[0])}.",
    )


def _check_new(key: str, stage: Stage, columns: set[str], others: Iterable[Stage]) -> None:
    """Raise UserError if a custom stage's own column has the name of another column."""
    every = [*others]
    taken = {*columns, *RESERVED, *(f"{one.name}_s" for one in (stage, *every))}
    taken |= {name for one in every for name in one.adds.names}
    low = {name.lower() for name in taken}
    for name in stage.adds.names:
        if name.lower() in low or name.lower().startswith(RESERVED_PREFIXES):
            raise UserError(
                field=key,
                value=name,
                problem="this stage adds a column that the table or imagepipe already has",
                remedy="Give it another name in the class's adds.",
            )
    if f"{stage.name}_s" in columns:
        raise UserError(
            field=f"{key}.name",
            value=stage.name,
            problem=f"its times need the column {stage.name}_s, which the table already has",
            remedy="Give the stage another name.",
        )


def _check_in_time(key: str, stage: Stage, passed: set[str]) -> None:
    for name in stage.changes.names:
        if USED_BY.get(name) in passed:
            raise UserError(
                field=f"{key}.after",
                value=name,
                problem=f"this stage changes what the stage {USED_BY[name]} has already used",
                remedy=f"Put it before the stage {USED_BY[name]}.",
            )


def _asked(config: Config, stage: str) -> str:
    """The key that decides which columns a stage reads."""
    if stage in {one.name for one in config.stages}:
        return config.resources.key(stage)
    scorer = scorer_stages(config.scorer).get(stage)
    return f"scorer.{scorer}.questions" if scorer else stage


def kept(config: Config, tables: sources.Tables) -> Filter:
    """The filter. A score may be given by its name or by its column."""
    section, columns = config.filter, config.score_columns
    by = section.by or next(iter(columns), None)
    own = {one.column for one in config.judged}  # which a name means, also where the table has it
    renamed = {name: new for name, new in tables.renamed.items() if name not in own}
    by = by and columns.get(by, by)
    return Filter(section.keep, section.best, by, section.near_duplicates, renamed)


def check_filter(config: Config, tables: sources.Tables, every: Sequence[Stage]) -> None:
    """Raise UserError if `filter` could not decide about the rows of `tables` past `every`."""
    chosen = kept(config, tables)
    duplicates.check(chosen.near_duplicates)
    if not chosen.works:
        return
    fields = {one.name: one.type for one in tables.schema()}
    for stage in every:
        for one in stage.adds:
            is_list = pa.types.is_fixed_size_list(one.type)  # a score for each picture
            fields[one.name] = one.type.value_type if is_list else one.type
    for name in ("image", "drawn_at", *(n for s in every for n in s.drops)):  # not in the table
        fields.pop(name)
    fields["image_path"] = pa.string()
    if config.model.images_per_prompt > 1:
        fields["image_index"] = pa.int32()
    chosen.check(pa.schema(list(fields.items())), each=config.model.images_per_prompt)
