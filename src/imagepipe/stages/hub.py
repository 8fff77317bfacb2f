"""What the hub says where it does not give a model."""

from __future__ import annotations

from collections.abc import Iterator

from imagepipe.errors import UserError


def refused(
    field: str, name: str, revision: str | None, error: BaseException, files: str = ""
) -> UserError:
    """What to say where the hub does not give a model: it is gated, not there, or out of reach.

    `files` are the options of `hf download` that choose the files needed.
    """
    from huggingface_hub import errors

    causes = tuple(_causes(error))
    if any(isinstance(cause, errors.GatedRepoError) for cause in causes):
        return UserError(
            field=field,
            value=name,
            problem="is gated: the hub gives it only to accounts that accepted its terms",
            remedy=f"Accept them on its page ({_page(name)}), then: hf auth login. "
            "Or set HF_TOKEN to a token of that account.",
        )
    if any(isinstance(cause, errors.RevisionNotFoundError) for cause in causes):
        return UserError(
            field=field.replace("path", "revision"),
            value=revision,
            problem=f"{name} has no such revision on the hub",
            remedy=f"Its revisions: {_page(name)}/commits/main.",
        )
    if any(isinstance(cause, errors.RemoteEntryNotFoundError) for cause in causes):
        return UserError(
            field=field,
            value=name,
            problem="is on the hub, but lacks the files of such a model",
            remedy=f"Its files: {_page(name)}/tree/main.",
        )
    if any(isinstance(cause, errors.RepositoryNotFoundError) for cause in causes):
        return UserError(
            field=field,
            value=name,
            problem="is no folder here, and the hub knows no such model or keeps it private",
            remedy="Check the name. For a private model: hf auth login, or set HF_TOKEN.",
        )
    pinned = f" --revision {revision}" if revision else ""
    return UserError(
        field=field,
        value=name,
        problem="is no folder here, not whole in the hub's cache, and the hub does not give it "
        f"({type(causes[-1]).__name__})",
        remedy="Name a local folder, or fetch it where the hub can be reached: "
        f"hf download {name}{pinned} {files}".strip(),
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _page(name: str) -> str:
    from huggingface_hub import constants

    return f"{constants.ENDPOINT}/{name}"
