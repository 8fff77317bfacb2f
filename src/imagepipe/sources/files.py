"""Finds a table's files: paths, folders, globs and URLs become files on one file system."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from pyarrow import fs

from imagepipe import assets
from imagepipe.errors import UserError, did_you_mean
from imagepipe.sources import folders, hub
from imagepipe.sources.folders import Suffixes
from imagepipe.store import open_url

SHOWN = 5  # names of a folder in a message


@dataclass(frozen=True)
class Found:
    """The files of a table, in reading order, and why others beside them are not read.

    `filesystem` is null if they are in no folder here, such as in a database. `base` is the
    folder below which NAME=VALUE folders are columns; `chosen` are those of `paths`
    that were not named one by one, but found in a folder.
    """

    filesystem: fs.FileSystem | None
    paths: tuple[str, ...]
    base: str
    chosen: frozenset[str] = frozenset()
    left_out: Mapping[str, str] = field(default_factory=dict)


@dataclass
class _Places:
    """What the entries of one path name so far."""

    suffixes: Suffixes
    paths: list[str] = field(default_factory=list)
    bases: list[str] = field(default_factory=list)
    chosen: set[str] = field(default_factory=set)
    left_out: dict[str, str] = field(default_factory=dict)


def find(key: str, path: Any, suffixes: Suffixes) -> Found:
    """The files that `path` (a text or number, or a list of them) names, on one file system.

    Files of a folder (those that end in one of `suffixes`, hidden ones left out) and of a glob
    come sorted by name. Raises UserError if nothing is found, and for the folder of a table
    format whose files alone are not its rows. `key` is the place of `path` in the configuration.
    """
    entries = path if isinstance(path, list | tuple) else [path]
    if not entries or any(entry in (None, "") for entry in entries):
        raise UserError(
            field=key,
            value=path,
            problem="names no file",
            remedy="Give a file, a folder, a glob, a URL, or a list of them.",
        )
    filesystems, found = [], _Places(suffixes)
    for entry in map(str, entries):
        filesystem, place = _open(key, entry)
        filesystems.append(filesystem)
        try:
            _expand(key, entry, filesystem, place, found)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise UserError(
                field=key,
                value=entry,
                problem=f"cannot be looked up: {error}",
                remedy="Check that you may read it and what is in it."
                if isinstance(error, PermissionError)
                else "Check the address, the network and the credentials.",
            ) from error
    if any(filesystem != filesystems[0] for filesystem in filesystems):
        raise UserError(
            field=key,
            value=path,
            problem="names files in different places",
            remedy="Keep all files of one table on one file system.",
        )
    return Found(
        filesystem=hub.together(filesystems),
        paths=tuple(found.paths),
        base=os.path.commonpath(found.bases) if all(found.bases) else "",
        chosen=frozenset(found.chosen),
        left_out=found.left_out,
    )


class Embedded(fs.SubTreeFileSystem):
    """The files that ship in the package: on each machine those of its own copy of it."""

    def __init__(self) -> None:
        super().__init__(str(assets.folder(assets.PREFIX)), fs.LocalFileSystem())

    def __reduce__(self) -> tuple[Any, ...]:
        return Embedded, ()


def _open(key: str, entry: str) -> tuple[fs.FileSystem, str]:
    if entry.startswith(assets.PREFIX):
        return Embedded(), entry.removeprefix(assets.PREFIX)
    if found := hub.FILE.fullmatch(entry):
        return hub.Cached(key, *found.groups()), found["file"]
    return open_url(key, entry)


def _expand(key: str, entry: str, filesystem: fs.FileSystem, place: str, found: _Places) -> None:
    """Add the files that `place` names to `found`."""
    kind = filesystem.get_file_info(place).type
    if kind == fs.FileType.File:
        if isinstance(filesystem, fs.LocalFileSystem):  # elsewhere each look is a request
            folders.check_plain(key, filesystem, os.path.dirname(place))
        found.paths.append(place)
        found.bases.append(os.path.dirname(place))
    elif kind == fs.FileType.Directory:
        _add_folder(key, entry, filesystem, place, found)
    elif kind == fs.FileType.Unknown:
        raise UserError(
            field=key,
            value=entry,
            problem="is neither a file nor a folder",
            remedy="A table is read twice, which a pipe does not allow. Save it to a file.",
        )
    else:
        _add_glob(key, entry, filesystem, place, found)


def _add_folder(
    key: str, entry: str, filesystem: fs.FileSystem, place: str, found: _Places
) -> None:
    taken = _inside(key, filesystem, place, found)
    if not taken:
        others = f" It holds {shown(found.left_out, place)}." if found.left_out else ""
        raise UserError(
            field=key,
            value=entry,
            problem=f"holds no file that ends in {found.suffixes}",
            remedy=f"Looked at {place}.{others}",
        )
    found.paths += taken
    found.bases.append(place)


def _inside(key: str, filesystem: fs.FileSystem, place: str, found: _Places) -> list[str]:
    """The files of a folder; why others are left out is noted in `found`."""
    folders.check_plain(key, filesystem, place)
    folders.check_links(key, filesystem, place, found.suffixes)
    taken, left_out = folders.inside(filesystem, place, found.suffixes)
    folders.check_plain_inside(key, filesystem, taken)
    found.chosen.update(taken)
    found.left_out.update(left_out)
    return taken


def _add_glob(key: str, entry: str, filesystem: fs.FileSystem, place: str, found: _Places) -> None:
    """Its files; where it fits folders alone, as year=* does, those in them."""
    fits = _glob(filesystem, place) if any(sign in place for sign in "*?[") else []
    if not fits and "[" in place:  # a folder may be called so
        fits = _glob(filesystem, place.replace("[", "[[]"))
    base = os.path.dirname(re.split(r"[*?]", place)[0])
    taken = [info.path for info in fits if info.type == fs.FileType.File]
    inside = [info.path for info in fits if info.type == fs.FileType.Directory]
    folders.check_fitting_links(key, filesystem, place)
    if taken:
        folders.check_plain(key, filesystem, base)
        folders.check_plain_inside(key, filesystem, taken)
        found.left_out.update(_beside(filesystem, inside, taken, found.suffixes))
    else:
        taken = [path for folder in inside for path in _inside(key, filesystem, folder, found)]
    if not taken:
        away = "is not there, or cannot be reached" if "://" in entry else "is not there"
        others = f" It fits {shown(found.left_out, base)}." if found.left_out else ""
        raise UserError(
            field=key,
            value=entry,
            problem=away,
            remedy=f"{_near(filesystem, place)}Looked at {place}.{others}",
        )
    found.paths += taken
    found.bases.append(base)


def _beside(
    filesystem: fs.FileSystem, inside: Sequence[str], taken: Sequence[str], suffixes: Suffixes
) -> dict[str, str]:
    """The folders that a glob fits beside files, and that hold others which are not read."""
    lost = (one for one in inside if not any(path.startswith(f"{one}/") for path in taken))
    why = "is a folder, where the glob fits files"
    return {one: why for one in lost if folders.inside(filesystem, one, suffixes)[0]}


def shown(left_out: Mapping[str, str], base: str) -> str:
    """The first of the files and why they are not read, and how many more there are."""
    some = [
        f"{path.removeprefix(base).strip('/')} ({why})"
        for path, why in list(left_out.items())[:SHOWN]
    ]
    more = f" and {len(left_out) - SHOWN} more" if len(left_out) > SHOWN else ""
    return ", ".join(some) + more


def _glob(filesystem: fs.FileSystem, place: str) -> list[fs.FileInfo]:
    """The files and folders that `place` fits, by name."""
    from fsspec.implementations.arrow import ArrowFSWrapper

    if "**" in place and isinstance(filesystem, fs.LocalFileSystem):
        found = sorted(folders.fitting(place))
    else:
        found = sorted(ArrowFSWrapper(filesystem).glob(place))
    return filesystem.get_file_info(found) if found else []


def _near(filesystem: fs.FileSystem, place: str) -> str:
    if re.search(r"\{.*,.*\}", place):  # as shells and DuckDB read it
        return "Braces are no pattern here: name a list of paths, [A, B], or a glob such as [ab]*. "
    folder = fs.FileSelector(os.path.dirname(place), allow_not_found=True)
    try:
        names = [info.base_name for info in filesystem.get_file_info(folder)]
    except OSError:  # a hint only, and the error that it belongs to is raised anyway
        return ""
    return did_you_mean(os.path.basename(place), names)
