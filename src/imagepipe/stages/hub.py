"""Errors of the hub when it does not give a model or a data set."""

from __future__ import annotations

from collections.abc import Iterator

from imagepipe.errors import UserError


def refused(
    field: str,
    name: str,
    revision: str | None,
    error: BaseException,
    files: str = "",
    kind: str = "model",
) -> UserError:
    """The error if the hub does not give a model: it is gated, does not exist, or is out of
    reach.

    `files` are the options of `hf download` that choose the needed files; `kind` is "model" or
    "dataset".
    """
    from huggingface_hub import errors

    causes = tuple(_causes(error))
    if any(isinstance(cause, errors.GatedRepoError) for cause in causes):
        return UserError(
            field=field,
            value=name,
            problem="is gated: the hub gives it only to accounts that have accepted its terms",
            remedy=f"Accept the terms on its page ({_page(name, kind)}), then: hf auth login. "
            "Or set HF_TOKEN to a token of that account.",
        )
    if any(isinstance(cause, errors.RevisionNotFoundError) for cause in causes):
        return UserError(
            field=field.replace("path", "revision"),
            value=revision,
            problem=f"{name} has no such revision on the hub",
            remedy=f"Its revisions: {_page(name, kind)}/commits/main.",
        )
    if any(isinstance(cause, errors.RemoteEntryNotFoundError) for cause in causes):
        return UserError(
            field=field,
            value=name,
            problem=f"is on the hub, but lacks the files of a {kind}",
            remedy=f"Its files: {_page(name, kind)}/tree/main.",
        )
    if any(isinstance(cause, errors.RepositoryNotFoundError) for cause in causes):
        return UserError(
            field=field,
            value=name,
            problem=f"is not a folder here, and the hub knows no such {kind} or keeps it private",
            remedy=f"Check the name. For a private {kind}: hf auth login, or set HF_TOKEN.",
        )
    repository = "" if kind == "model" else f" --repo-type {kind}"
    pinned = f" --revision {revision}" if revision else ""
    return UserError(
        field=field,
        value=name,
        problem="is not a folder here, not complete in the hub's cache, and the hub does not give "
        f"it ({type(causes[-1]).__name__})",
        remedy="Name a local folder, or fetch it where the hub can be reached: "
        f"hf download {name}{repository}{pinned} {files}".strip(),
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _page(name: str, kind: str) -> str:
    from huggingface_hub import constants

    return f"{constants.ENDPOINT}/{'' if kind == 'model' else f'{kind}s/'}{name}"
