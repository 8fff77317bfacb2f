"""Tables and queries of databases, through SQLAlchemy."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote
from uuid import UUID

import pyarrow as pa
from pyarrow.fs import FileSystem

from imagepipe.errors import did_you_mean, listed, one_line
from imagepipe.sources.formats.base import BadOption
from imagepipe.sources.formats.external import ROWS, External
from imagepipe.sources.formats.kinds import Column, cell_text
from imagepipe.sources.unreadable import Unreadable

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, CursorResult, Engine
    from sqlalchemy.exc import DBAPIError


@dataclass(frozen=True)
class Sql(External):
    """A table, in the order of its primary key, or a query, of the database that a URL names.

    Nothing is written: what is read is rolled back. The rows are asked for four times: for their
    types, for their ids, for what a resume knows them by, and to be drawn.
    """

    table: str | None = None  # or schema.table
    query: str | None = None
    password_env: str | None = None  # the *name* of the variable that holds the password

    name: ClassVar[str] = "sql"

    def place(self, path: str) -> str:
        """The URL; of SQLite with the whole path of its file, as another process may need it."""
        from sqlalchemy import make_url
        from sqlalchemy.exc import ArgumentError

        try:
            url = make_url(path)
        except ArgumentError as error:
            raise Unreadable(
                "is not an address of a database",
                "Give one such as sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME.",
            ) from error
        if url.get_backend_name() == "sqlite":
            file = os.path.abspath(os.path.expanduser(url.database or ""))
            if not os.path.isfile(file):
                raise Unreadable("is not there", f"Looked at {file}.")
            url = url.set(database=file)
        return str(url)

    def title(self, path: str) -> str:
        return self.table or "the query"

    def opened(self, place: str) -> tuple[Sql, str]:
        return self, place

    def schema(self, filesystem: FileSystem, path: str, used: Collection[str]) -> pa.Schema:
        """As all cells say, since not every database holds its columns to types."""
        with self.reading(), self._rows(path) as rows:
            if not rows.returns_rows:
                raise BadOption("query", self.query, "gives no rows", "Give one such as SELECT.")
            names = list(rows.keys())
            columns = [Column() for _ in names]
            for part in rows.partitions(ROWS):
                for column, cells in zip(columns, zip(*part, strict=True), strict=True):
                    column.see(list(map(_plain, cells)))
        return pa.schema(
            [column.field(name, used=True) for name, column in zip(names, columns, strict=True)]
        )

    def batches(self, place: str, schema: pa.Schema, wanted: Sequence[str]) -> Iterator[pa.Table]:
        fields = [schema.field(name) for name in wanted]
        with self._rows(place) as rows:
            places = [list(rows.keys()).index(name) for name in wanted]
            for part in rows.partitions(ROWS):
                cells = [[_plain(row[place]) for row in part] for place in places]
                yield pa.table(list(map(_array, cells, fields)), names=list(wanted))

    @contextmanager
    def _rows(self, place: str) -> Iterator[CursorResult[Any]]:
        """All rows, in a stream where the database has such."""
        from sqlalchemy.exc import DBAPIError

        engine = self._engine(place)
        try:
            with engine.connect() as connection:
                connection = connection.execution_options(yield_per=ROWS)
                statement = self._statement(connection)
                with self._asking():
                    if isinstance(statement, str):
                        rows = connection.exec_driver_sql(statement)
                    else:
                        rows = connection.execute(statement)
                yield rows
        except DBAPIError as error:
            raise Unreadable(
                f"cannot be read: {_words(error)}",
                "Check the address and the user; the password comes by dataset.read.password_env.",
            ) from error
        finally:
            engine.dispose()

    def _engine(self, place: str) -> Engine:
        from sqlalchemy import create_engine, make_url
        from sqlalchemy.exc import NoSuchModuleError

        url = self._with_password(make_url(place))
        if url.get_backend_name() == "sqlite":
            url = url.set(
                database=f"file:{quote(url.database or '')}", query={"mode": "ro", "uri": "true"}
            )
        try:
            return create_engine(url)
        except NoSuchModuleError as error:
            raise Unreadable(
                f"names a kind of database that SQLAlchemy does not know: {url.drivername}",
                "Correct it, or install the package that adds it to SQLAlchemy.",
            ) from error
        except ImportError as error:
            raise Unreadable(
                f"is of a database whose driver is not installed ({one_line(error)})",
                f"Install it: pip install {error.name}.",
            ) from error

    def _with_password(self, url: URL) -> URL:
        if self.password_env is None:
            return url
        if self.password_env not in os.environ:
            raise BadOption(
                *("password_env", self.password_env, "is not a variable of the environment"),
                "Export it, with the password as its value.",
            )
        return url.set(password=os.environ[self.password_env])

    def _statement(self, connection: Connection) -> Any:
        from sqlalchemy import MetaData, Table, inspect, select

        if self.query is not None and self.table is None:
            return self.query
        inspector = inspect(connection)
        there = [*inspector.get_table_names(), *inspector.get_view_names()]
        if (self.query is None) == (self.table is None):
            raise BadOption(
                *("table", self.table, "or read.query, one of the two, says what is read"),
                f"Tables: {listed(there)}.",
            )
        schema, _, name = str(self.table).rpartition(".")
        if not inspector.has_table(name, schema or None):
            raise BadOption(
                *("table", self.table, "is not a table of the database"),
                f"{did_you_mean(str(self.table), there)}Tables: {listed(there)}.",
            )
        table = Table(name, MetaData(), schema=schema or None, autoload_with=connection)
        return select(table).order_by(*table.primary_key)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        from sqlalchemy.exc import DBAPIError

        try:
            yield
        except DBAPIError as error:
            raise BadOption(
                *("query", self.query, f"is refused by the database: {_words(error)}"),
                "Try it in the database's own shell.",
            ) from error


def _words(error: DBAPIError) -> str:
    """What the database says, without SQLAlchemy's."""
    return one_line(error.orig or error)


def _plain(value: Any) -> Any:
    """A value of a database as one that Arrow knows."""
    if isinstance(value, UUID):
        return str(value)
    return bytes(value) if isinstance(value, bytearray | memoryview) else value


def _array(cells: list[Any], field: pa.Field) -> pa.Array:
    """The cells as a column; text for those of several kinds, and bytes as they are."""
    if not pa.types.is_string(field.type):
        return pa.array(cells, field.type)
    if any(isinstance(cell, bytes) for cell in cells):
        return pa.array([c.encode() if isinstance(c, str) else c for c in map(_text, cells)])
    return pa.array(map(_text, cells), pa.string())


def _text(cell: Any) -> Any:
    return cell if isinstance(cell, bytes) else cell_text(cell)
