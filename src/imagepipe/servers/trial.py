"""One real request to a server before the run.

So a wrong address, model or parameter is refused there, with the server's own words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from imagepipe.config import Server
from imagepipe.config.secrets import HIDDEN
from imagepipe.errors import UserError
from imagepipe.servers import client, endpoint
from imagepipe.servers.client import Question

if TYPE_CHECKING:
    from openai import APIStatusError, OpenAI

PASSING = (408, 409, 429)  # and 5xx: tried again in the run, as the client does
KEY = re.compile(r"api[ _-]?key (?:is )?(?:not valid|invalid|expired|not found)", re.IGNORECASE)
CONTEXT = re.compile(r"context (?:length|window|size)", re.IGNORECASE)
TIMEOUTS = ("ReadTimeout", "WriteTimeout")  # of httpx, behind a connection
LOST = ("TooManyRedirects", "DecodingError")  # of httpx: they come again
# Of a chat template that does not take the question: llama.cpp says so with a 500.
TEMPLATE = re.compile(r"\broles? must|role not supported|chat template|jinja", re.IGNORECASE)
IN_TROUBLE = "Its own log says more; type the command again once it answers."
MOST_MODELS = 12  # of a server's, to be named
# What people copy behind a server's address: its own paths, and those of Ollama's older interface.
OWN_PATH = re.compile(
    r"(?:/chat)?/completions$|/chat$|/images(?:/\w+)?$|/models$|/responses$|/api(?:/\w+)?$"
)


def ask(
    server: Server,
    question: Question,
    read: Callable[[str], Any],
    needs: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Send `question` and `read` the answer's body. Raises `UserError` if that does not work.

    What may pass is no reason to refuse a run, whose rows are tried again. `needs` are fields of
    the question that cannot be left out, and what to do where the server does not take them.
    """
    with client.client(server, max_retries=0) as api:
        _ask(api, server, question, read, needs)


def _ask(
    api: OpenAI,
    server: Server,
    question: Question,
    read: Callable[[str], Any],
    needs: Mapping[str, str],
) -> None:
    import openai

    key = endpoint.key(server)
    try:
        read(client.ask(api, question))
    except UserError:
        raise
    except openai.APIStatusError as error:
        body, status = error.response.text, error.status_code
        stays = client.is_spent(body) if status == 429 else TEMPLATE.search(body)
        if stays or not (status in PASSING or status >= 500):
            said = client.plain(error, key)
            raise _refused(server, question, needs, api, error, said) from None
    except openai.APIConnectionError as error:
        cause = error.__cause__ or error
        name, said, to = type(cause).__name__, client.plain(cause, key), _sent_on(server, cause)
        if name in LOST or to:
            raise _astray(server, to, said) from None
        if name not in TIMEOUTS and _models(api):
            return  # it is there, and only this question is lost
        raise unreached(server, name, said) from None
    except Exception as error:  # what answers is no server of this kind, or says its own error
        said = client.plain(error, key).partition(": ")[2].rstrip(".")
        raise UserError(
            field=f"{server.section}.base_url",
            value=server.base_url,
            problem=said,
            remedy=IN_TROUBLE if '"error"' in said else _address(server),
        ) from None


def _sent_on(server: Server, cause: Any) -> str | None:
    """The host that a redirect led to, if that is another, without the key."""
    try:
        led_to = str(cause.request.url)
    except (AttributeError, RuntimeError):  # of an error without a request
        return None
    url, asked = urlsplit(led_to), urlsplit(server.base_url or "")
    if (url.scheme, url.netloc) == (asked.scheme, asked.netloc):
        return None
    key = endpoint.key(server) or HIDDEN
    return f"{url.scheme}://{url.netloc}".replace(key, HIDDEN).replace(key.lower(), HIDDEN)


def _astray(server: Server, to: str | None, said: str) -> UserError:
    return UserError(
        field=f"{server.section}.base_url",
        value=server.base_url,
        problem=f"sends the question on to {to}, where no server answers ({said})"
        if to
        else f"answers, but so that nothing can be read ({said})",
        remedy="Give the address that it leads to, or ask whoever runs it."
        if to
        else "A proxy in between may do so: give the server's own address.",
    )


def lists(server: Server) -> bool:
    """Whether the server lists its model, which costs nothing to ask."""
    with client.client(server, max_retries=0) as api:
        return server.path in (_names(api) or ())


def check_given(server: Server) -> None:
    """Raise `UserError` if a server's address or its model's name is not said."""
    here = server.section
    for field, value in ((f"{here}.base_url", server.base_url), (f"{here}.path", server.path)):
        if value is None:
            raise UserError(
                field=field,
                value=None,
                problem="this engine needs a server's address and a model's name",
                remedy=f"Such as {here}.base_url=http://host:8000/v1 {here}.path=NAME.",
            )


def unreached(server: Server, cause: str, said: str) -> UserError:
    if cause in TIMEOUTS:
        return UserError(
            field=f"{server.section}.timeout_s",
            value=server.timeout_s,
            problem=f"{server.base_url} did not answer a question within that time",
            remedy="Raise it: a server that still loads its model, or thinks, takes longer.",
        )
    by_proxy = client.is_by_proxy(server.base_url or "")
    return UserError(
        field=f"{server.section}.base_url",
        value=server.base_url,
        problem=f"no server answers there{' through the proxy' if by_proxy else ''} ({said})",
        remedy="The environment names that proxy (http_proxy, https_proxy, all_proxy): put the "
        "server's host into no_proxy where none leads to it."
        if by_proxy
        else "Start it, or give the right address, such as http://host:8000/v1.",
    )


def _refused(
    server: Server,
    question: Question,
    needs: Mapping[str, str],
    api: OpenAI,
    error: APIStatusError,
    said: str,
) -> UserError:
    """The field that has to change, by the status and by what the body names."""
    status, body = error.status_code, error.response.text
    told = said.partition(": ")[2].rstrip(".")
    if status in (401, 402, 429) or (status in (400, 403) and KEY.search(body)):
        return UserError(
            field=f"{server.section}.api_key_env",
            value=server.api_key_env,
            problem=f"the server does not accept the key (HTTP {status}): {told}"
            if status not in (402, 429)
            else f"its account has no credit left: {told}",
            remedy="Put the right key into that variable."
            if server.api_key_env
            else "Put a key into the environment and name its variable here.",
        )
    of_model = body.lstrip().startswith(("{", "[")) and re.search(r"model|deployment", body, re.I)
    if status in (404, 405) and not of_model:
        return UserError(
            field=f"{server.section}.base_url",
            value=server.base_url,
            problem=f"there are no {question.asked_for} at {error.request.url} ({told})",
            remedy=_address(server),
        )
    too_long = CONTEXT.search(body)
    named = [] if too_long else _named(question, body)
    if lacks := next((remedy for name, remedy in needs.items() if name in named), None):
        return UserError(
            field=f"{server.section}.base_url",
            value=server.base_url,
            problem=f"the server refuses the question ({told})",
            remedy=lacks,
        )
    if named:
        return UserError(
            field=f"{server.section}.request",
            value=server.request,
            problem=f"the server refuses the question ({told})",
            remedy=f"Leave out what it does not take: '{_without(server, named, body)}'.",
        )
    field: str = "path" if of_model else "base_url"
    value: object = server.path if of_model else server.base_url
    remedy = _models(api) or "Give what the server takes."
    if "messages" in question.fixed and re.search(r"\bstream", body):
        field, value = "request", server.request
        remedy = f"Ask for a stream: '{server.section}.request={{stream: true}}'."
    elif too_long:
        remedy = "Ask for less, or name a model that takes more."
    elif TEMPLATE.search(body):
        field, value = "path", server.path
        remedy = "Start the server with a chat template that takes it, or name another model."
    system = next(
        (one["content"] for one in question.fixed.get("messages", ()) if one["role"] == "system"),
        None,
    )
    if system and re.search(r"\bsystem\b|\broles? must", body, re.IGNORECASE):
        field, value = "system", system
        remedy = "Where it takes no system message, set llm.system='' and put all into llm.user."
    problem = f"the server refuses the question ({told})"
    return UserError(field=f"{server.section}.{field}", value=value, problem=problem, remedy=remedy)


def _named(question: Question, body: str) -> list[str]:
    """Which of the question's fields the body names."""
    sent = [name for name, value in question.fields.items() if value is not None]
    return [name for name in sent if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", body)]


def _without(server: Server, named: list[str], body: str) -> str:
    """The setting that leaves fields out, or sends the longest answer under its newer name."""
    if {"temperature", "top_p"} <= set(named):
        named = ["top_p"]  # either will do
    changes = [f"{name}: null" for name in named]
    if "max_tokens" in named and "max_completion_tokens" in body:
        changes.append(f"max_completion_tokens: ${{{server.section}.max_tokens}}")
    return f"{server.section}.request={{{', '.join(changes)}}}"


def _address(server: Server) -> str:
    """The address that may have been meant."""
    url, query = endpoint.parted(server.base_url or "")
    short = OWN_PATH.sub("", url.rstrip("/"))
    meant = short if query or re.search(r"/v\d", short) else f"{short}/v1"
    if query or meant == url.rstrip("/"):
        return "Use the address from the server's documentation, such as http://host:8000/v1."
    return f"Try {server.section}.base_url={meant}."


def _models(api: OpenAI) -> str:
    """The server's models in words; "" where it does not list them, as not every one does."""
    names = _names(api)
    if names is None:
        return ""
    more = ", ..." if len(names) > MOST_MODELS else ""
    return f"Its models: {', '.join(names[:MOST_MODELS]) or 'none'}{more}."


def _names(api: OpenAI) -> list[str] | None:
    """Null if the server does not list them, whatever the reason."""
    try:
        return [model.id for model in api.models.list().data]
    except Exception:
        return None
