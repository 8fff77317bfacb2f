"""Where MLflow is: the checks on `tracking.uri`, and links for the user."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import SplitResult, quote, unquote, urlencode, urlsplit

from imagepipe.config import Tracking
from imagepipe.config.secrets import HIDDEN, has_secret, without_secrets
from imagepipe.errors import UserError
from imagepipe.shell import python, stands_in
from imagepipe.tracking import database

SERVERS = ("http", "https")
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
PLATFORMS = {  # what names them, and the package by which MLflow opens them: none for its own
    "databricks": None,
    "databricks-uc": None,
    "azureml": "azureml-mlflow",
    "arn": "sagemaker-mlflow",
}
STORES = "mlflow.tracking_store"  # the entry points by which other packages add kinds of stores
REMEDY = (
    "Give a server (http://host:5000) or a database (sqlite:////absolute/mlflow.db), or null for "
    "one under outputs/"
)
ELSEWHERE = (
    "Move or mend what is there, or name another file: tracking.uri=sqlite:////absolute/mlflow.db"
)
VARIABLE = "MLFLOW_TRACKING_URI"
PORT = 5000  # where the links to a database's runs say that it is served


@dataclass(frozen=True)
class Address:
    """A store that MLflow can open. `artifacts` null: the server keeps the artifacts itself.

    One that `follows` is a sqlite file that lies beside the runs and moves with them: the default
    one, or one that was typed by a relative path.
    """

    uri: str
    artifacts: str | None
    follows: bool = False

    @classmethod
    def of_journal(cls, store: dict[str, Any], folder: Path) -> Address:
        """What `to_journal` wrote into the run's `folder`, wherever that is now."""
        if "database" not in store:
            return cls(**store)
        return beside(Path(os.path.normpath(folder / store["database"])), follows=True)

    def to_journal(self, folder: Path) -> dict[str, Any]:
        """What the journal in `folder` remembers: of a store that follows, the way from there."""
        if self.follows:
            return {"database": os.path.relpath(str(self.sqlite_file), folder)}
        return {"uri": self.uri, "artifacts": self.artifacts}

    @property
    def is_server(self) -> bool:
        return self.artifacts is None

    @property
    def has_pages(self) -> bool:
        """Whether the user can be sent to pages of MLflow's own; platforms have others."""
        return not self.is_server or urlsplit(self.uri).scheme in SERVERS

    @property
    def sqlite_file(self) -> Path | None:
        return _sqlite_path(self.uri) if self.uri.startswith("sqlite") else None

    def link(self, experiment_id: str, run_id: str) -> str:
        """The address of the run's page; for a database, the command that serves it first."""
        if not self.has_pages:
            return f"run {run_id} at {self.uri}"
        page = self._page(f"{experiment_id}/runs/{run_id}", {})
        return page if self.is_server else f"{self.serving}   then {page}"

    def sweep_links(self, experiment_id: str, sweep: str, order: str) -> list[tuple[str, str]]:
        """(What, link) for MLflow's views of a sweep's jobs; for a database first the command
        that serves them. `order` is a metric, the largest first."""
        if not self.has_pages:
            return []
        search = {
            "searchFilter": f"tags.sweep = '{sweep}'",
            "orderByKey": f"metrics.`{order}`",
            "orderByAsc": "false",
        }
        views = {"runs": {}, "charts": {"compareRunsMode": "CHART"}}
        views["pictures"] = {"compareRunsMode": "ARTIFACT"}
        links = [
            (what, self._page(f"{experiment_id}/runs", search | mode))
            for what, mode in views.items()
        ]
        return links if self.is_server else [("mlflow", self.serving), *links]

    @property
    def serving(self) -> str:
        """The command that serves this database, as the user can type it."""
        default = stands_in() / "outputs" / "mlflow.db"
        where = "" if self.sqlite_file == default else f" --uri {shlex.quote(self.uri)}"
        return f"{python()} -m imagepipe ui --port {PORT}{where}"

    def _page(self, place: str, query: dict[str, str]) -> str:
        base = self.uri.rstrip("/") if self.is_server else f"http://127.0.0.1:{PORT}"
        return f"{base}{page(place, query)}"


def page(place: str, query: dict[str, str]) -> str:
    """The path of one of MLflow's pages on experiments.

    Without the workflow type MLflow opens its view for language model traces.
    """
    asked = {"workflowType": "machine_learning"} | query
    return f"/#/experiments/{place}?{urlencode(asked, quote_via=quote)}"


def check(config: Tracking, outputs: Path) -> None:
    """Raise UserError if `tracking` cannot be used for the runs in `outputs`; makes nothing, and
    asks no server.

    An empty `tracking.uri` is none: MLFLOW_TRACKING_URI may be set and empty.
    """
    if config.backend not in ("mlflow", "none"):
        raise UserError(
            field="tracking.backend",
            value=config.backend,
            problem="is not a tracking backend",
            remedy="Use mlflow or none",
        )
    check_uri(config)
    if config.backend == "none":
        return
    if not config.experiment.strip():
        raise UserError(
            field="tracking.experiment",
            value=repr(config.experiment),
            problem="is not a name",
            remedy="Name one (MLFLOW_EXPERIMENT_NAME does, too), or leave it out for imagepipe",
        )
    uri = config.uri or default_uri(outputs)
    if uri.startswith("sqlite") and (why := database.trouble(_sqlite_path(uri).absolute())):
        _refuse(uri, f"cannot be MLflow's database ({why})", ELSEWHERE)


def check_uri(config: Tracking) -> None:
    """As `check`, of the address alone, without looking at a file. With backend none it is only
    written down.
    """
    if not config.uri:
        return
    if config.backend != "none":
        _check_uri(config.uri)
    else:
        _check_carried(config.uri, _parts(config.uri))


def resolve(config: Tracking, outputs: Path) -> Address:
    """The store of a checked `config`; relative sqlite files count from the current folder."""
    uri = config.uri or default_uri(outputs)
    if platform(uri) or urlsplit(uri).scheme in SERVERS:
        return Address(uri, None)
    if not uri.startswith("sqlite"):
        return Address(uri, (outputs / "mlruns").absolute().as_uri())
    follows = not config.uri or not _sqlite_path(uri).is_absolute()
    file = _sqlite_path(uri).absolute()
    file.parent.mkdir(parents=True, exist_ok=True)
    return beside(file, follows=follows)


def beside(database: Path, *, follows: bool) -> Address:
    """The sqlite file `database`, with the artifacts in `mlruns` beside it."""
    return Address(_sqlite_uri(database), (database.parent / "mlruns").as_uri(), follows)


def default_uri(outputs: Path) -> str:
    """The database of the runs in `outputs`."""
    return _sqlite_uri(outputs.absolute() / "mlflow.db")


def platform(uri: str) -> str | None:
    """What names the platform that MLflow opens by `uri`: its own, or that of a plug-in's."""
    name = uri.partition(":")[0]
    if name in PLATFORMS:
        return name
    known = SERVERS + DATABASES
    return name if name.partition("+")[0] not in known and name in plugins() else None


def plugins() -> set[str]:
    """The kinds of stores that installed packages add to MLflow's."""
    from importlib.metadata import entry_points

    return set(entry_points(group=STORES).names)


def _check_uri(uri: str) -> None:
    if platform(uri):  # MLflow says itself what it cannot open
        _check_carried(uri, _parts(uri))
        return
    parts = _split(uri)
    kind = parts.scheme.partition("+")[0]
    if kind not in SERVERS + DATABASES:
        _refuse(uri, f"'{parts.scheme}:' is not a store that MLflow can open")
    if kind == "sqlite" and "?" in uri:
        path = uri.partition("?")[0]
        _refuse(f"{path}?{HIDDEN}", "takes no options (write %3F for a ? in a file's name)")
    _check_carried(uri, parts)
    if kind == "sqlite" and not _sqlite_path(uri).name:
        _refuse(uri, "names no file")
    if kind == "sqlite" and str(_sqlite_path(uri)).startswith("~"):
        _refuse(uri, "begins with a ~, which only a shell replaces")
    if kind == "sqlite" and str(_sqlite_path(uri)) == ":memory:":
        _refuse(uri, "is a database in memory, which ends with the run")
    if kind != "sqlite" and not parts.hostname:
        _refuse(uri, "names no host")


def _parts(uri: str) -> SplitResult:
    try:
        return urlsplit(uri)
    except ValueError:  # what it says may hold a password, as the address may
        _refuse(HIDDEN, "is not an address (see whether its brackets are right)")


def _split(uri: str) -> SplitResult:
    parts = _parts(uri)
    if uri != uri.strip() or (re.search(r"\s", uri) and not uri.startswith("sqlite")):
        _refuse(uri, "has blanks in it")
    try:
        _ = parts.port  # out of range or no number: ValueError
    except ValueError as error:
        _refuse(uri, f"is not an address ({error})")
    if not parts.scheme:
        _refuse(uri, "does not say what kind of store it is")
    return parts


def _check_carried(uri: str, parts: SplitResult) -> None:
    """Raise UserError if an address says more than where it is, which may be a secret."""
    server = parts.scheme.partition("+")[0] in SERVERS
    if has_secret(parts) or (server and (parts.username is not None or parts.query)):
        raise UserError(
            field="tracking.uri",
            value=without_secrets(uri.partition("?")[0]),
            problem="contains a user, password or token, which would be recorded",
            remedy="Leave it out and set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD "
            "(or MLFLOW_TRACKING_TOKEN) in the environment; for a database, run an MLflow server "
            "before it",
        )
    if server and "#" in uri:
        place = uri.partition("#")[0]
        raise UserError(
            field="tracking.uri",
            value=f"{place}#{HIDDEN}",
            problem="is the address of a web page",
            remedy=f"Give the server's own: {place}",
        )


def _refuse(uri: str, problem: str, remedy: str = REMEDY) -> NoReturn:
    given = f" (given by {VARIABLE})" if uri == os.environ.get(VARIABLE) else ""
    raise UserError(
        field="tracking.uri",
        value=without_secrets(uri),
        problem=f"{problem}{given}",
        remedy=f"{remedy}; or record nothing: tracking=none" if given else remedy,
    )


def _sqlite_path(uri: str) -> Path:
    """SQLAlchemy's form: sqlite:///relative.db and sqlite:////absolute.db, in which %20 is a blank.

    A # begins nothing in it.
    """
    return Path(unquote(uri.partition("///")[2]))


def _sqlite_uri(path: Path) -> str:
    """Where a name has to be quoted, with the driver's: else MLflow makes the folder as quoted."""
    quoted = quote(str(path))
    return f"sqlite{'' if quoted == str(path) else '+pysqlite'}:///{quoted}"
