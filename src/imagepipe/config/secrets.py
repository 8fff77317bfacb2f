"""Secrets that must not be written down: in addresses, and in options with the name of a secret."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit

from imagepipe.config.fields import paths
from imagepipe.config.schema import Config
from imagepipe.errors import UserError

HIDDEN = "..."  # stands for what may be a secret

# In the names of secrets, with those of signed links: X-Amz-Signature, Azure's sig. A tokenizer is
# none.
SECRET = re.compile(
    r"passw|pwd|token(?!i[sz])|secret|key|credential|(^|-)sig(nature)?$", re.IGNORECASE
)
INSIDE = re.compile(r"(passw\w*|pwd)\s*=", re.IGNORECASE)  # an address's option, such as ODBC's
# The keys of variables, and where one that holds a secret is set instead.
VARIABLES = {
    "ray.runtime_env.env_vars.": "Set it in the environment of the nodes.",
    "hydra.job.env_set.": "Set it in the environment of the command.",
}
# These hold a text or a list, or whatever another library takes. `*` is a scorer's name.
_OPEN = (
    *("dataset.path", "dataset.join.path", "dataset.join.on"),
    *("dataset.read", "dataset.join.read", "dataset.more_joins.read"),
    *("llm.chat_template_kwargs", "llm.engine_kwargs", "llm.request"),
    *("llm.options", "model.options", "distance.options"),
    *("scorer.options", "scorer.*.options"),
    *("scorer.questions", "scorer.*.questions", "scorer.request", "scorer.*.request"),
    *("model.scheduler_config", "model.quantization.quant_kwargs"),
    *("model.call_kwargs", "model.columns", "model.cache_config", "model.request"),
    "model.request_names",
    *("ray.runtime_env", "stages"),
    *("resources.llm.custom", "resources.model.custom", "resources.sink.custom"),
    *("resources.scorer.custom", "resources.scorer.*.custom", "resources.scorers.*.custom"),
)
IN_STAGE = re.compile(r"^(stages\.\d+)\.arguments(?=\.)")  # which are typed beside the rest
_IN_OPEN = re.compile("|".join(re.escape(key).replace(r"\*", r"[^.]+") + r"\." for key in _OPEN))


def has_secret(parts: SplitResult) -> bool:
    """Whether an address contains a password, or a query parameter with the name of a secret.

    A user without a password at a web server is a token, as GitHub's are.
    """
    pairs = parse_qsl(parts.query)
    named = any(SECRET.search(name) or INSIDE.search(value) for name, value in pairs)
    token = parts.username is not None and parts.scheme in ("http", "https")
    return parts.password is not None or token or named


def without_secrets(url: str) -> str:
    """`url` without user, password and query."""
    parts = urlsplit(url)
    if not parts.scheme or not parts.netloc:
        return url
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()


def check_table(field: str, path: Any) -> None:
    """Raise UserError if a table's `path`, or one of a list, contains a secret; the error hides
    it.
    """
    for entry in path if isinstance(path, list | tuple) else [path]:
        try:
            inside = any(has_secret(urlsplit(part)) for part in str(entry).split("::"))
        except ValueError:  # no address, so a path
            inside = False
        if inside:
            raise UserError(
                field=field,
                value=HIDDEN,
                problem="contains a password, a key or a signature, which would be recorded",
                remedy="Give it in the environment, as the store's own tools take it "
                "(AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for s3://), a database's by "
                "dataset.read.password_env=ITS_NAME, or fetch the file first.",
            )


def check_secrets(config: Config) -> None:
    """`check_named` for all keys of `config`."""
    for key, value in paths(asdict(config)):
        check_named(IN_STAGE.sub(r"\1", key), value)


def check_named(key: str, value: Any) -> None:
    """Raise UserError if a variable or an option has the name of a secret, so that `value` may
    be one.

    Options are texts in mappings that accept any key. One that ends in _env is the name of a
    variable.
    """
    remedy = next((said for start, said in VARIABLES.items() if key.startswith(start)), None)
    if remedy is None:
        names_variable = key.endswith("_env") and str(value).isidentifier()
        if not (is_open(key) and isinstance(value, str) and value) or names_variable:
            return
        name = f"{key.removesuffix('_env')}_env=ITS_NAME"
        remedy = f"Put it into the environment, for a class of your own with {name}."
    if SECRET.search(key):
        raise UserError(
            field=key,
            value=HIDDEN,
            problem="looks like a secret, which would be recorded",
            remedy=remedy,
        )


def is_open(key: str) -> bool:
    """Whether `key` is inside a mapping or a list that may have any key."""
    return _IN_OPEN.match(re.sub(r"\.\d+\.", ".", key)) is not None
