"""Where the rows of a run go: its own folder, a shared folder, or an object store.

It uses pyarrow's file systems (local disks, S3, Google's and Azure's stores), and through fsspec
those of other installed packages. A URL carries no key: S3's client reads the AWS_* variables
(AWS_ENDPOINT_URL for another server) or the machine's role, the others theirs. Only the URL is sent
to other processes; each opens it with its own keys.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from imagepipe.errors import UserError

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

# An object appears there only once its upload is complete, so it needs no temporary name.
OBJECT_STORES = ("s3", "gcs", "abfs")
NO_KEYS = {"region", "scheme", "endpoint_override"}  # what may follow the "?" of a URL
MARK = ".imagepipe-writable"
TEMPORARY = re.compile(r"\.[0-9a-f]{8}-.")  # as `Store.whole` names them
# Where there is no network Google's client would try for 15 minutes. S3's gives up after about 6
# seconds; it creates an object in one request if it need not say at once whether the bucket exists.
OPTIONS = {"s3": "allow_delayed_open=true", "gs": "retry_limit_seconds=20"}


@dataclass(frozen=True)
class Store:
    """A place for files, each there under its name as a whole or not at all.

    `url` is an absolute folder or a URL; names are relative to it, with slashes. What cannot be
    read or written raises OSError.
    """

    url: str

    @classmethod
    def of(cls, path: str | None, folder: Path) -> Store:
        """The place that `sink.path` names, where it is null `folder`."""
        if path is None:
            return cls(str(folder.absolute()))
        return cls(path if "://" in path else os.path.abspath(os.path.expanduser(path)))

    def write(self, name: str, content: bytes) -> None:
        """Write `content` so that `name` either does not exist or is complete."""
        filesystem, path = self._open(name)
        view = memoryview(content)  # what is no bytes fails here, before anything is created
        if filesystem.type_name not in OBJECT_STORES:
            with self.whole(name) as stream:
                stream.write(view)
            return
        stream = filesystem.open_output_stream(path)
        stream.write(view)
        stream.close()

    @contextmanager
    def whole(self, name: str) -> Iterator[Any]:
        """A stream to write into; `name` is there once the block ends without an exception."""
        filesystem, path = self._open(name)
        folder, _, last = path.rpartition("/")
        temporary = f"{folder}/{f'.{secrets.token_hex(4)}-{last}'[:250]}"
        if filesystem.type_name not in OBJECT_STORES:
            filesystem.create_dir(folder, recursive=True)
        stream = filesystem.open_output_stream(temporary)
        try:
            with stream:
                yield stream
            filesystem.move(temporary, path)
        except BaseException:
            with suppress(OSError):  # what broke the write is what there is to tell
                filesystem.delete_file(temporary)
            raise

    def open(self, name: str) -> Any:
        """A file to read from, at any place in it. Raises FileNotFoundError if there is none."""
        filesystem, path = self._open(name)
        return filesystem.open_input_file(path)

    def read(self, name: str) -> bytes:
        """The whole of `name`. Raises FileNotFoundError if there is none."""
        with self.open(name) as file:
            return file.read()

    def exists(self, name: str) -> bool:
        filesystem, path = self._open(name)
        return filesystem.get_file_info(path).is_file

    def parts(self, folder: str) -> list[str]:
        """The names of the finished files in `folder`, sorted; none where there is no folder."""
        from pyarrow.fs import FileSelector

        filesystem, path = self._open(folder)
        infos = filesystem.get_file_info(FileSelector(path, allow_not_found=True))
        names = (info.base_name for info in infos if info.is_file)
        return sorted(f"{folder}/{name}" for name in names if not name.startswith("."))

    def clear(self, folder: str) -> None:
        """Remove what writers that were killed left in `folder`; nobody may write there now."""
        from pyarrow.fs import FileSelector

        filesystem, path = self._open(folder)
        for info in filesystem.get_file_info(FileSelector(path, allow_not_found=True)):
            if info.is_file and TEMPORARY.match(info.base_name):
                filesystem.delete_file(info.path)

    def hide_torn(self, name: str) -> str:
        """Give `name` another that `parts` passes over; the place, for the user."""
        filesystem, path = self._open(name)
        folder, _, last = name.rpartition("/")
        aside = f"{folder}/.torn-{last}"
        filesystem.move(path, self._open(aside)[1])
        return self.place(aside)

    def remove(self, name: str) -> None:
        filesystem, path = self._open(name)
        filesystem.delete_file(path)

    def remove_folder(self, folder: str) -> None:
        """Remove `folder` and all that is in it; it may be missing."""
        filesystem, path = self._open(folder)
        filesystem.delete_dir_contents(path, missing_dir_ok=True)
        if filesystem.get_file_info(path).type.name == "Directory":
            filesystem.delete_dir(path)

    def place(self, name: str) -> str:
        """Where `name` is, for the user."""
        return below(self.url, name)

    def check(self, field: str) -> None:
        """Raise UserError if nothing can be written, within seconds; leaves nothing."""
        try:
            self.write(MARK, b"")
            self.remove(MARK)
        except UnicodeEncodeError as error:
            raise UserError(
                field=field,
                value=self.url,
                problem="has a name that is not UTF-8",
                remedy="Name another place, or give the folder another name.",
            ) from error
        except OSError as error:
            raise UserError(
                field=field,
                value=self.url,
                problem=f"cannot be written to ({reason(error)})",
                remedy="Name a place that you may write to; keys come from the environment.",
            ) from error

    def _open(self, name: str) -> tuple[FileSystem, str]:
        filesystem, root = _opened(self.url)
        return filesystem, f"{root.rstrip('/')}/{name}"


def write_whole(path: Path, content: bytes) -> None:
    """Write `content` so that `path`, on this machine, either does not exist or is complete."""
    Store(str(path.parent.absolute())).write(path.name, content)


def below(url: str, name: str) -> str:
    """The place `name` inside the folder or URL `url`."""
    place, sign, options = url.partition("?") if "://" in url else (url, "", "")
    return f"{place.rstrip('/')}/{name}{sign}{options}"


def check_url(field: str, url: str) -> None:
    """Raise UserError if `url` is none, or carries what may be a key; neither is shown.

    Azure's way of writing `abfs://container@account...` is no key.
    """
    if "://" not in url:
        return
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise UserError(
            field=field,
            value="...",
            problem=f"is not an address ({error})",
            remedy="Give a folder, or an address such as s3://bucket/prefix.",
        ) from error
    more = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)} - NO_KEYS
    user = parts.username is not None and not parts.scheme.startswith("abfs")
    if not (more or user or parts.password is not None):
        return
    raise UserError(
        field=field,
        value="...",
        problem="contains more than a place, which would be recorded",
        remedy="Leave user, password and keys out; they come from the environment, for S3 "
        "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_ENDPOINT_URL.",
    )


def open_url(field: str, url: str) -> tuple[FileSystem, str]:
    """The file system of `url` and the path on it, no file looked at yet. Raises UserError."""
    import pyarrow as pa
    from pyarrow import fs

    if "://" not in url:
        return fs.LocalFileSystem(), os.path.abspath(os.path.expanduser(url))
    try:
        return fs.FileSystem.from_uri(_with_options(url))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return _fsspec(field, url)
    except (OSError, pa.ArrowException) as error:
        raise UserError(
            field=field,
            value=url,
            problem=f"cannot be reached ({reason(error)})",
            remedy="Check the address, the network and the credentials.",
        ) from error


def reason(error: BaseException) -> str:
    """What the file system says, without what pyarrow was doing."""
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else str(error).rpartition("AWS Error ")[2]


@lru_cache(maxsize=16)
def _opened(url: str) -> tuple[FileSystem, str]:
    return open_url("sink.path", url)


def _with_options(url: str) -> str:
    scheme = url.partition("://")[0]
    option = OPTIONS.get({"gcs": "gs"}.get(scheme, scheme))
    if option is None or option.partition("=")[0] in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}{option}"


def _fsspec(field: str, url: str) -> tuple[FileSystem, str]:
    from fsspec.core import url_to_fs
    from pyarrow import fs

    try:
        filesystem, place = url_to_fs(url)
    except (ValueError, ImportError, OSError) as error:
        raise UserError(
            field=field,
            value=url,
            problem=f"cannot be opened: {error}",
            remedy="Use a path, or a URL that pyarrow or an installed fsspec package knows.",
        ) from error
    return fs.PyFileSystem(fs.FSSpecHandler(filesystem)), place
