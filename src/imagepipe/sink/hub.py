"""A finished run as a data set on Hugging Face's hub, through the hub's own client.

The token comes from the environment (HF_TOKEN) or from `hf auth login`, the address from
HF_ENDPOINT.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from imagepipe.config import Sink
from imagepipe.errors import UserError, one_line
from imagepipe.sink import card
from imagepipe.stages.weights import HUB_ID

if TYPE_CHECKING:
    from huggingface_hub import HfApi

FIELD, KIND = "sink.hub", "dataset"
# https://huggingface.co/docs/hub/storage-limits
MOST_FILES = 10_000  # in a folder
FEWER = {  # files, by the folder that has too many
    "images": "Put the pictures into the table: sink.image_bytes=true sink.png=false.",
    "table": "Write larger parts: resources.sink.batch_size=4096 or more, rows in each.",
    "shards": "Write larger shards: resources.sink.batch_size=4096 or more, rows in each.",
}
MESSAGE = "Pictures by imagepipe"
TOKEN = "Set HF_TOKEN to a token of yours that may write, or: hf auth login."


def folders(sink: Sink) -> list[str]:
    """The folders of pictures that are pushed with the table; none if they are inside it."""
    files = {"images": sink.png, "shards": sink.webdataset}
    return [] if sink.image_bytes else [name for name, has in files.items() if has]


def check(sink: Sink, pictures: int, api: HfApi | None = None, *, parts: int = 0) -> None:
    """Raise UserError if `pictures`, and a table of at least so many `parts`, could not be
    pushed to `sink.hub` when they are drawn.
    """
    if sink.hub is None:
        return
    if not HUB_ID.fullmatch(sink.hub):
        raise _refused(sink, "is not a name of a data set", "Name one as user/name.")
    if "images" in folders(sink):
        _check_count(sink, "images", pictures)
    _check_count(sink, "table", parts)
    _check_rights(sink, sink.hub, api or _api())


def counted(folder: Path, sink: Sink) -> dict[str, int]:
    """The folders in `folder` that are pushed, each with its number of files."""
    every = ("table", *folders(sink))
    return {one: sum(f.name[0] != "." for f in Path(folder, one).glob("*")) for one in every}


def _check_count(sink: Sink, folder: str, files: int) -> None:
    if files > MOST_FILES:
        problem = f"takes at most {MOST_FILES:,} files in a folder, and {folder}/ gets {files:,}"
        raise _refused(sink, problem, FEWER[folder])


def _api() -> HfApi:
    from huggingface_hub import HfApi

    return HfApi(endpoint=os.environ.get("HF_ENDPOINT"))  # also where it was set after the import


def _check_rights(sink: Sink, name: str, api: HfApi) -> None:
    from huggingface_hub import errors

    try:
        me = api.whoami()
        api.auth_check(name, repo_type=KIND, write=True)
    except errors.RepositoryNotFoundError:  # which will be made
        mine = [me["name"], *(one["name"] for one in me.get("orgs", []))]
        if name.partition("/")[0] not in mine:
            raise _refused(
                sink,
                "belongs to another account than the token",
                f"Yours: {', '.join(mine)}. Or use a token of that account.",
            ) from None
    except Exception as error:  # whatever the reason, nothing could be pushed
        raise _refused(sink, *_plain(error, api)) from error


def push(folder: str, name: str, sink: Sink, api: HfApi | None = None) -> str:
    """Create the data set `name` if it does not exist, private, and replace its table and
    pictures with those in `folder`; returns its address. An existing card is kept. Raises
    UserError.
    """
    api = api or _api()
    pushed = counted(Path(folder), sink)
    for one, files in pushed.items():
        _check_count(sink, one, files)
    try:
        api.create_repo(name, repo_type=KIND, private=True, exist_ok=True)
        has_card = api.file_exists(name, card.NAME, repo_type=KIND)
        api.upload_folder(
            repo_id=name,
            repo_type=KIND,
            folder_path=folder,
            commit_message=MESSAGE,
            allow_patterns=[
                *([] if has_card else [card.NAME]),
                *(f"{one}/*" for one in pushed),
            ],
            ignore_patterns=["*/.*"],  # what a writer that was killed has left
            delete_patterns=["table/*", "images/*", "shards/*"],
        )
    except Exception as error:  # whatever the reason, it is not there
        raise _refused(sink, *_plain(error, api)) from error
    return f"{api.endpoint}/datasets/{name}"


def _plain(error: Exception, api: HfApi) -> tuple[str, str]:
    """What is wrong, and what to do about it."""
    from huggingface_hub import errors

    if isinstance(error, errors.LocalTokenNotFoundError):
        return "the hub takes data sets only with a token, and there is none", TOKEN
    answer = getattr(error, "response", None)
    status = answer.status_code if answer is not None else None
    if status == 401:
        return "the hub does not accept the token", TOKEN
    if status == 403:
        return f"the token may not write there ({_said(error)})", TOKEN
    if status is not None:
        return f"the hub refuses it ({_said(error)})", "See what it says; push again by resume."
    return (
        f"the hub at {api.endpoint} does not answer ({type(error).__name__}: {one_line(error)})",
        "Push where it can be reached, also later: resume=FOLDER sink.hub=user/name.",
    )


def _said(error: Exception) -> str:
    """The server's own words, and the status."""
    text = getattr(error, "server_message", None) or one_line(error)
    return f"HTTP {error.response.status_code}: {one_line(text)}"  # type: ignore[attr-defined]


def _refused(sink: Sink, problem: str, remedy: str) -> UserError:
    return UserError(field=FIELD, value=sink.hub, problem=problem, remedy=remedy)
