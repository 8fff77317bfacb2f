"""A value of another kind than its key takes: OmegaConf's words for it as ours."""

from __future__ import annotations

import re
from collections.abc import Iterator

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from imagepipe import config as configuration
from imagepipe.errors import VALUE_BYTES, UserError, shown

# By what OmegaConf says.
TAKEN = {
    r"converted to Integer|field of type 'int'": "a whole number",
    r"converted to Float|field of type 'float'|Union\[int, float\]": "a number",
    r"not a valid bool|field of type 'bool'": "true or false",
    r"to string|field of type 'str'": "text",
    r"not a ListConfig": "a list, as in [a,b]",
    r"Cannot assign \w+ to Dict|not a subclass of": "settings, as in {KEY: VALUE}",
    r"is not Optional": "a value",
}


def of_another_kind(error: Exception, key: str, said: str, file: str | None) -> str | None:
    """The message where `said` tells that the value of `key`, in the preset `file` or typed, is
    not of its kind; null where it tells something else.
    """
    taken = next((words for told, words in TAKEN.items() if re.search(told, said)), None)
    if taken is None:
        return None
    null = ", or null" if _may_be_null(key) else ""
    remedy = f"Correct it in {file}." if file else "Correct it, or leave it out for its default."
    value, problem = _value(error, said), f"takes {taken}{null}"
    if value is None:
        return f"{shown(key, VALUE_BYTES)}: {problem}. {remedy}"
    return str(UserError(field=key, value=value, problem=problem, remedy=remedy))


def _may_be_null(key: str) -> bool:
    schema = OmegaConf.structured(configuration.Config)
    try:
        OmegaConf.update(schema, key, None)
    except (OmegaConfBaseException, AttributeError, ValueError):
        return False
    return True


def _value(error: Exception, said: str) -> object:
    """As it was given, where OmegaConf's error has it, or says it; else null."""
    found = re.search(r"value: (.*)|[Vv]alue '(.*?)'", said, re.DOTALL)
    values = (getattr(one, "value", None) for one in _chain(error))
    value = next((one for one in values if one is not None), None)
    if value is None and found:
        value = next(filter(None, found.groups()), "")
    return "null" if value == "None" or "not Optional" in said else value


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
