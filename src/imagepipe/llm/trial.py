"""One real question to a server before the run.

So a wrong address, model or parameter is refused there, with what the server says of it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from imagepipe.errors import UserError
from imagepipe.llm import endpoint
from imagepipe.llm import openai as engine

if TYPE_CHECKING:
    from openai import APIStatusError, OpenAI

    from imagepipe.config import LLM

QUESTION = ("a red cat wearing a hat", "winter", 0)
PASSING = (408, 409, 429)  # and 5xx: tried again in the run, as the client does
TIMEOUTS = ("ReadTimeout", "WriteTimeout")  # of httpx, behind a connection
MOST_MODELS = 12  # of a server's, to be named
# What people copy behind a server's address: its own paths, and those of Ollama's older interface.
OWN_PATH = re.compile(r"(?:/chat)?/completions$|/chat$|/models$|/responses$|/api(?:/\w+)?$")


def check(config: LLM) -> None:
    """Ask the server one question. Raises `UserError` where it cannot be used as configured.

    What may pass is no reason to refuse a run, whose rows are tried again.
    """
    import openai

    endpoint.check_secrets(config)
    _check_given(config)
    client, key = engine.client(config, max_retries=0), endpoint.key(config)
    try:
        engine.ask(client, config, *QUESTION)
    except openai.APIStatusError as error:
        spent = error.status_code == 429 and engine.is_spent(error.response.text)
        if spent or not (error.status_code in PASSING or error.status_code >= 500):
            raise _refused(config, client, error, engine.plain(error, key)) from None
    except openai.APIConnectionError as error:
        cause = error.__cause__ or error
        if type(cause).__name__ not in TIMEOUTS and _models(client):
            return  # it is there, and only this question is lost
        raise _unreached(config, type(cause).__name__, engine.plain(cause, key)) from None
    except Exception as error:  # what answers is no server of this kind
        raise UserError(
            field="llm.base_url",
            value=config.base_url,
            problem=engine.plain(error, key).partition(": ")[2],
            remedy=_address(config),
        ) from None


def _check_given(config: LLM) -> None:
    for field, value in (("llm.base_url", config.base_url), ("llm.path", config.path)):
        if value is None:
            raise UserError(
                field=field,
                value=None,
                problem="the openai engine needs a server's address and a model's name",
                remedy="Such as llm.base_url=http://host:8000/v1 llm.path=NAME.",
            )


def _unreached(config: LLM, cause: str, said: str) -> UserError:
    if cause in TIMEOUTS:
        return UserError(
            field="llm.timeout_s",
            value=config.timeout_s,
            problem=f"{config.base_url} took a question and did not answer it within that time",
            remedy="Raise it: a server that still loads its model, or thinks, takes longer.",
        )
    return UserError(
        field="llm.base_url",
        value=config.base_url,
        problem=f"no server answers there ({said})",
        remedy="Start it, or give the right address, such as http://host:8000/v1.",
    )


def _refused(config: LLM, client: OpenAI, error: APIStatusError, said: str) -> UserError:
    """The field that has to change, by the status and by what the body names."""
    status, body = error.status_code, error.response.text
    told = said.partition(": ")[2].rstrip(".")
    if status in (401, 402, 429):
        return UserError(
            field="llm.api_key_env",
            value=config.api_key_env,
            problem=f"the server does not accept the key (HTTP {status}): {told}"
            if status == 401
            else f"its account has nothing left to spend: {told}",
            remedy="Put the right key into that variable."
            if config.api_key_env
            else "Put a key into the environment and name its variable here.",
        )
    of_model = body.lstrip().startswith(("{", "[")) and re.search(r"model|deployment", body, re.I)
    if status in (404, 405) and not of_model:
        return UserError(
            field="llm.base_url",
            value=config.base_url,
            problem=f"there are no chat completions at {error.request.url} ({told})",
            remedy=_address(config),
        )
    named = _named(config, body)
    if named:
        return UserError(
            field="llm.request",
            value=config.request,
            problem=f"the server refuses the question ({told})",
            remedy=f"Leave out what it does not take: '{_without(named, body)}'.",
        )
    field, value = ("llm.path", config.path) if of_model else ("llm.base_url", config.base_url)
    remedy = _models(client) or "Give what the server takes."
    if config.system and re.search(r"\bsystem\b", body, re.IGNORECASE):
        field, value = "llm.system", config.system
        remedy = "Where it takes no system message, set llm.system='' and put all into llm.user."
    problem = f"the server refuses the question ({told})"
    return UserError(field=field, value=value, problem=problem, remedy=remedy)


def _named(config: LLM, body: str) -> list[str]:
    """Which of the request's fields the body names."""
    fields = engine.request(config, *QUESTION)["extra_body"]
    return [name for name in fields if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", body)]


def _without(named: list[str], body: str) -> str:
    """The setting that leaves fields out, or sends the longest answer under its newer name."""
    if {"temperature", "top_p"} <= set(named):
        named = ["top_p"]  # either will do
    changes = [f"{name}: null" for name in named]
    if "max_tokens" in named and "max_completion_tokens" in body:
        changes.append("max_completion_tokens: ${llm.max_tokens}")
    return f"llm.request={{{', '.join(changes)}}}"


def _address(config: LLM) -> str:
    """The address that may have been meant."""
    url, query = endpoint.parted(config.base_url or "")
    short = OWN_PATH.sub("", url.rstrip("/"))
    meant = short if query or re.search(r"/v\d", short) else f"{short}/v1"
    if query or meant == url.rstrip("/"):
        return "Give the address as the server's makers do, such as http://host:8000/v1."
    return f"Try llm.base_url={meant}."


def _models(client: OpenAI) -> str:
    """The server's models in words; "" where it does not list them, as not every one does."""
    try:
        names = [model.id for model in client.models.list().data]
    except Exception:
        return ""
    more = ", ..." if len(names) > MOST_MODELS else ""
    return f"Its models: {', '.join(names[:MOST_MODELS]) or 'none'}{more}."
