"""What of a folder is read, and what is not, with the reason."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

import pyarrow as pa
from pyarrow import fs

from imagepipe.errors import UserError

COMPRESSIONS = ("", ".gz", ".bz2", ".zst", ".lz4")  # what pyarrow tells by a file's name
HIDDEN = ("_", ".")
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"  # how Hive, Spark and pyarrow write null in a folder's name
# Folders beside the files of a table whose files alone are not the table: also of removed rows.
MARKS = {"_delta_log": "Delta", ".hoodie": "Hudi", "_versions": "Lance"}
READERS = {
    "Delta": "Read it as one: format=delta, and its folder as the path.",
    "Hudi": "Read it with Spark and save it as Parquet.",
    "Iceberg": "Read it as one: format=iceberg, and its folder as the path.",
    "Lance": "Read it as one: format=lance, and its folder as the path.",
}


@dataclass(frozen=True)
class Suffixes:
    """How the names of one format's files end, in small letters."""

    plain: tuple[str, ...]
    compressed: bool  # whether they may be compressed as a whole

    def __str__(self) -> str:
        return " or ".join(self.plain)

    def fit(self, path: str) -> bool:
        """Whether `path` ends so."""
        ends = COMPRESSIONS if self.compressed else ("",)
        return path.lower().endswith(tuple(name + end for name in self.plain for end in ends))

    def without(self, path: str) -> str:
        """The name of a file without its ending.

        >>> Suffixes((".json",), compressed=True).without("d/concept-art.json.gz")
        'concept-art'
        """
        name, end = os.path.splitext(os.path.basename(path))
        return os.path.splitext(name)[0] if self.compressed and end in COMPRESSIONS[1:] else name


def inside(
    filesystem: fs.FileSystem, place: str, suffixes: Suffixes
) -> tuple[list[str], dict[str, str]]:
    """The files below the folder `place` that are a table's, by name, and why others are not.

    Raises UserError for a link to nothing, whose rows nobody would miss.
    """
    taken = []
    paths, left_out = _below(filesystem, place)
    for path in paths:
        below = path.removeprefix(place).strip("/").split("/")
        hidden = [part for part in below if part.startswith(HIDDEN) and part.count("=") != 1]
        if hidden:
            left_out[path] = f"{hidden[0]!r} begins with {hidden[0][0]}"
        elif not suffixes.fit(path):
            left_out[path] = _to_nothing(filesystem, path) or f"ends in none of {suffixes}"
        else:
            taken.append(path)
    return sorted(taken), dict(sorted(left_out.items()))


def _to_nothing(filesystem: fs.FileSystem, path: str) -> str | None:
    """Where a local link leads, if nothing is there."""
    if not isinstance(filesystem, fs.LocalFileSystem) or os.path.exists(path):
        return None
    return f"is a link to {os.readlink(path)}, which is not there" if os.path.islink(path) else None


def _below(filesystem: fs.FileSystem, place: str) -> tuple[list[str], dict[str, str]]:
    """All files below the folder `place`, also behind links; and links that are not followed."""
    if not isinstance(filesystem, fs.LocalFileSystem):
        every = filesystem.get_file_info(fs.FileSelector(place, recursive=True))
        return [info.path for info in every if info.type != fs.FileType.Directory], {}
    files, _, circles = _walked(place)
    return files, dict.fromkeys(circles, "is a link to a folder that it is in")


def _walked(place: str) -> tuple[list[str], list[str], list[str]]:
    """The files and folders below the local folder `place`, also behind links; and the links that
    lead back, which pyarrow would follow until the path is too long. Raises OSError.
    """
    every, circles = [], list[str]()
    # Where each folder lies, and those on the way to it.
    came_by: dict[str, tuple[str, ...]] = {place: (os.path.realpath(place),)}
    for folder, names, files in os.walk(place, onerror=_raise, followlinks=True):
        every += [os.path.join(folder, name) for name in files]
        for name in list(names):
            path = os.path.join(folder, name)
            above = came_by[folder]
            linked = os.path.islink(path)
            real = os.path.realpath(path) if linked else os.path.join(above[-1], name)
            if real in above:
                circles.append(path)
                names.remove(name)
            else:
                came_by[path] = (*above, real)
    return every, list(came_by)[1:], circles


def _raise(error: OSError) -> None:
    """Of a folder that may not be read; its files would be missed without a word."""
    raise error


def fitting(pattern: str) -> list[str]:
    """The local files and folders that a glob with ** fits."""
    from fsspec.utils import glob_translate

    files, inner, _ = _walked(os.path.dirname(re.split(r"[*?\[]", pattern)[0]))
    fits = re.compile(glob_translate(pattern))
    return [path for path in (*files, *inner) if fits.match(path)]


def check_links(field: str, filesystem: fs.FileSystem, place: str, suffixes: Suffixes) -> None:
    """Raise UserError for a link to nothing that is named as a table's file; pyarrow skips it."""
    if isinstance(filesystem, fs.LocalFileSystem):
        every = (
            os.path.join(folder, name) for folder, _, names in os.walk(place) for name in names
        )
        _check_links(field, filter(suffixes.fit, sorted(every)))


def check_fitting_links(field: str, filesystem: fs.FileSystem, pattern: str) -> None:
    """As `check_links`, of what `pattern`, a glob or a path, fits."""
    if isinstance(filesystem, fs.LocalFileSystem):
        # glob itself would follow links in a circle
        _check_links(field, sorted(fitting(pattern) if "**" in pattern else glob.iglob(pattern)))


def _check_links(field: str, paths: Iterable[str]) -> None:
    for path in paths:
        if os.path.islink(path) and not os.path.exists(path):
            raise UserError(
                field=field,
                value=path,
                problem=f"is a link to {os.readlink(path)}, which is not there",
                remedy="Fetch what it points at, or remove the link.",
            )


def check_plain(field: str, filesystem: fs.FileSystem, place: str) -> None:
    """Raise UserError where `place` belongs to a table whose files alone are not its rows.

    Such a table may have its files in folders NAME=VALUE, or in one more.
    """
    folders = [place.rstrip("/")]
    while "=" in os.path.basename(folders[-1]):
        folders.append(os.path.dirname(folders[-1]))
    for folder in (*folders, os.path.dirname(folders[-1])):
        kind = _kind(filesystem, folder) if folder else None
        if kind:
            raise UserError(
                field=field,
                value=place,
                problem=f"is a table of {kind}, whose files also hold rows that are removed",
                remedy=READERS[kind],
            )


def check_plain_inside(field: str, filesystem: fs.FileSystem, paths: Iterable[str]) -> None:
    """As `check_plain`, of the folders that `paths` are in; not in a store, where each look costs
    a request.
    """
    if isinstance(filesystem, fs.LocalFileSystem):
        for folder in sorted({os.path.dirname(path) for path in paths}):
            check_plain(field, filesystem, folder)


def _kind(filesystem: fs.FileSystem, folder: str) -> str | None:
    places = [f"{folder.rstrip('/')}/{name}" for name in MARKS]
    for info, kind in zip(filesystem.get_file_info(places), MARKS.values(), strict=True):
        if info.type == fs.FileType.Directory:
            return kind
    metadata = fs.FileSelector(f"{folder.rstrip('/')}/metadata", allow_not_found=True)
    try:
        names = [info.base_name for info in filesystem.get_file_info(metadata)]
    except OSError:  # such as a file of that name
        return None
    return "Iceberg" if any(name.endswith(".metadata.json") for name in names) else None


def values(path: str, base: str) -> dict[str, str | None]:
    """What the folders `NAME=VALUE` between `base` and the file `path` say. Ray reads them so too.

    >>> values("d/x/season=late%20winter/a.csv", "d")
    {'season': 'late winter'}
    """
    if not path.startswith(base):
        return {}
    parts = os.path.dirname(path.removeprefix(base)).strip("/").split("/")
    pairs = [part.split("=") for part in parts if part.count("=") == 1]
    return {name: value(text) for name, text in pairs if name}


def value(text: str) -> str | None:
    """The value that a folder's name says: escaped, or a word for null."""
    return None if text == NO_VALUE else unquote(text)


def columns(paths: Sequence[str], base: str) -> tuple[str, ...]:
    """The names of the folders `NAME=VALUE` that all of `paths` are in."""
    every: list[Mapping[str, str | None]] = [values(path, base) for path in paths]
    first = every[0] if every else {}
    return tuple(name for name in first if all(name in one for one in every))


def missed(paths: Sequence[str], base: str) -> dict[str, str]:
    """For each name of folders `NAME=VALUE` that only some of `paths` are in, a path that is in
    none.
    """
    every = {path: values(path, base) for path in paths}
    names = dict.fromkeys(name for one in every.values() for name in one)
    lack = {name: [path for path, one in every.items() if name not in one] for name in names}
    return {name: some[0] for name, some in lack.items() if some}


def with_values(rows: pa.Table, values: Mapping[str, str | None]) -> pa.Table:
    """`rows` with the columns that their file's folders say, in place of such of its own."""
    for name, text in values.items():
        if name in rows.column_names:
            rows = rows.drop_columns(name)
        rows = rows.append_column(name, pa.repeat(pa.scalar(text, pa.string()), rows.num_rows))
    return rows
