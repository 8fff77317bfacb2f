"""Where tables are: paths, folders, globs and URLs become files on one file system."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from pyarrow import fs

from imagepipe import assets
from imagepipe.errors import UserError, did_you_mean
from imagepipe.store import open_url


def find(field: str, path: Any, suffixes: tuple[str, ...]) -> tuple[fs.FileSystem, list[str]]:
    """The file system and the files that `path` (a text or number, or a list of them) names.

    Files of a folder (those that end in one of `suffixes`, hidden ones left out) and of a glob
    come sorted by name. Raises UserError where nothing is found.
    """
    entries = path if isinstance(path, list | tuple) else [path]
    if not entries or any(entry in (None, "") for entry in entries):
        raise UserError(
            field=field,
            value=path,
            problem="names no file",
            remedy="Give a file, a folder, a glob, a URL, or a list of them.",
        )
    filesystems, files = [], []
    for entry in map(str, entries):
        filesystem, place = _open(field, entry)
        filesystems.append(filesystem)
        try:
            files += _expand(field, entry, filesystem, place, suffixes)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise UserError(
                field=field,
                value=entry,
                problem=f"cannot be looked up: {error}",
                remedy="Check the address, the network and the credentials.",
            ) from error
    if any(filesystem != filesystems[0] for filesystem in filesystems):
        raise UserError(
            field=field,
            value=path,
            problem="names files in different places",
            remedy="Keep all files of one table on one file system.",
        )
    return filesystems[0], files


class Embedded(fs.SubTreeFileSystem):
    """The files that ship in the package: on each machine those of its own copy of it."""

    def __init__(self) -> None:
        super().__init__(str(assets.folder(assets.PREFIX)), fs.LocalFileSystem())

    def __reduce__(self) -> tuple[Any, ...]:
        return Embedded, ()


def _open(field: str, entry: str) -> tuple[fs.FileSystem, str]:
    if entry.startswith(assets.PREFIX):
        return Embedded(), entry.removeprefix(assets.PREFIX)
    return open_url(field, entry)


def _expand(
    field: str, entry: str, filesystem: fs.FileSystem, place: str, suffixes: tuple[str, ...]
) -> list[str]:
    kind = filesystem.get_file_info(place).type
    if kind == fs.FileType.Directory:
        files = sorted(_inside(filesystem, place, suffixes))
        missing = f"holds no file that ends in {' or '.join(suffixes)}"
    elif kind == fs.FileType.File:
        return [place]
    else:
        files = _glob(filesystem, place) if any(sign in place for sign in "*?[") else []
        missing = "is not there, or cannot be reached" if "://" in entry else "is not there"
    if not files:
        raise UserError(
            field=field,
            value=entry,
            problem=missing,
            remedy=f"{_near(filesystem, place)}Looked at {place}.",
        )
    return files


def _inside(filesystem: fs.FileSystem, place: str, suffixes: tuple[str, ...]) -> Iterator[str]:
    for info in filesystem.get_file_info(fs.FileSelector(place, recursive=True)):
        below = info.path.removeprefix(place).strip("/").split("/")
        hidden = any(part.startswith((".", "_")) for part in below)
        if info.type == fs.FileType.File and not hidden and info.path.lower().endswith(suffixes):
            yield info.path


def _glob(filesystem: fs.FileSystem, place: str) -> list[str]:
    from fsspec.implementations.arrow import ArrowFSWrapper

    found = sorted(ArrowFSWrapper(filesystem).glob(place))
    infos = filesystem.get_file_info(found) if found else []
    return [info.path for info in infos if info.type == fs.FileType.File]


def _near(filesystem: fs.FileSystem, place: str) -> str:
    folder = fs.FileSelector(os.path.dirname(place), allow_not_found=True)
    try:
        names = [info.base_name for info in filesystem.get_file_info(folder)]
    except OSError:  # a hint only, and the error that it belongs to is raised anyway
        return ""
    return did_you_mean(os.path.basename(place), names)
