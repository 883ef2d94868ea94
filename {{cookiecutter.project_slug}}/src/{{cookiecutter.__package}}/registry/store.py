"""The MLflow registry, seen as what a release needs of it: runs, versions and two aliases.

MLflow takes seconds to import, so it is imported where it is used.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import msgspec

from .. import locks, paths
from ..cli import Refusal, behind

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

CHAMPION, PREVIOUS, CHALLENGER = "champion", "previous", "challenger"  # aliases
ROLLED_BACK = "rolled_back"  # tag of a version, with the time
REFUSED = "refused"  # tag of one that live traffic has refused, with the reason
LINE = "history_line"  # tag of a version whose promotion is not in the history yet, JSON
RUN = "dvc.data_md5"  # tag that each run of ours has from its beginning on
BUNDLE = "bundle"  # folder among the artifacts of a run


PATIENCE = 30.0  # seconds to wait for a registry that somebody else has locked
LIBRARIES = ("mlflow", "sqlalchemy", "sqlite3", "requests", "urllib3")


@contextmanager
def answering() -> Iterator[None]:
    """Turn what MLflow raises when its registry fails into a `Refusal`."""
    try:
        yield
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in LIBRARIES:
            raise
        raise Refusal(f"the registry at {paths.tracking_uri()} fails: {behind(error)}") from None


class Version(msgspec.Struct, frozen=True):
    """A registered model version."""

    number: int
    fingerprint: str
    run_id: str
    rolled_back: str
    refused: str
    line: dict[str, Any]


class Store:
    """The registered model of one name, and the experiment of the same name."""

    def __init__(self, name: str) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("DO_NOT_TRACK", "true")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "CRITICAL")  # `Refusal` says it
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        # By default a server that is gone is tried for minutes at every step.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
        import mlflow

        self.name = name
        mlflow.set_tracking_uri(paths.tracking_uri())
        # Two processes that open a new SQLite registry at once break it for good.
        with locks.exclusive("registry", wait=120), answering():
            _wait_for(paths.tracking_uri())
            self.client: MlflowClient = mlflow.MlflowClient()
            self.experiment: str = self._experiment()

    def _experiment(self) -> str:
        if found := self.client.get_experiment_by_name(self.name):
            return str(found.experiment_id)
        local = paths.tracking_uri().startswith("sqlite:")
        place = (paths.VAR / "artifacts").as_uri() if local else None
        kind = {"mlflow.experimentKind": "custom_model_development"}  # how MLflow's pages show it
        return str(self.client.create_experiment(self.name, place, kind))

    def close_runs(self) -> None:
        """End the runs that a process has left open when it was killed."""
        for run in self.client.search_runs([self.experiment], "attributes.status = 'RUNNING'"):
            tags = run.data.tags
            if RUN in tags:
                status = "FINISHED" if "fingerprint" in tags else "KILLED"
                self.client.set_terminated(run.info.run_id, status)

    def run_of(self, fingerprint: str) -> str | None:
        """Id of the run that logged all of the model of this fingerprint."""
        found = self.client.search_runs(
            [self.experiment], f"tags.fingerprint = '{fingerprint}'", max_results=1
        )
        return str(found[0].info.run_id) if found else None

    def metrics(self, run_id: str) -> dict[str, float]:
        """The metrics of a run."""
        return dict(self.client.get_run(run_id).data.metrics)

    def version_of(self, fingerprint: str) -> Version | None:
        """The version registered for this fingerprint."""
        found = self.client.search_model_versions(
            f"name = '{self.name}' and tags.fingerprint = '{fingerprint}'"
        )
        return _version(found[0]) if found else None

    def holder(self, alias: str) -> Version | None:
        """The version that has this alias."""
        from mlflow.exceptions import MlflowException

        try:
            return _version(self.client.get_model_version_by_alias(self.name, alias))
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise Refusal(f"the registry at {paths.tracking_uri()}: {error.message}") from None

    def register(self, source: str, run_id: str, tags: dict[str, str]) -> Version:
        """Register a logged model as the next version."""
        from mlflow.exceptions import MlflowException

        try:
            self.client.get_registered_model(self.name)
        except MlflowException:
            self.client.create_registered_model(self.name)
        model = source.removeprefix("models:/")  # a server wants to be told
        made = self.client.create_model_version(
            self.name, source, run_id, tags=tags, model_id=model
        )
        return _version(made)

    def take(self, alias: str) -> None:
        """Take an alias away from whichever version has it."""
        self.client.delete_registered_model_alias(self.name, alias)

    def alias(self, alias: str, number: int) -> None:
        """Move an alias to a version."""
        self.client.set_registered_model_alias(self.name, alias, str(number))

    def mark(self, version: Version | int, tag: str, value: str) -> None:
        """Set a tag of a version."""
        number = version if isinstance(version, int) else version.number
        self.client.set_model_version_tag(self.name, str(number), tag, value)

    def unmark(self, version: Version, tag: str) -> None:
        """Remove a tag of a version."""
        self.client.delete_model_version_tag(self.name, str(version.number), tag)

    def fetch_bundle(self, version: Version, folder: Path) -> None:
        """Download the bundle of a version into a folder that does not exist yet."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".fetched-", dir=folder.parent) as scratch:
            found = self.client.download_artifacts(version.run_id, BUNDLE, scratch)
            Path(found).rename(folder)


def _version(found: "ModelVersion") -> Version:
    tags: dict[str, Any] = found.tags
    return Version(
        number=int(found.version),
        fingerprint=tags.get("fingerprint", ""),
        run_id=str(found.run_id),
        rolled_back=tags.get(ROLLED_BACK, ""),
        refused=tags.get(REFUSED, ""),
        line=msgspec.json.decode(tags.get(LINE, "{}")),
    )


def _wait_for(uri: str) -> None:
    """Wait for whoever has locked a registry in SQLite: MLflow tries for minutes to open it."""
    path = Path(uri.removeprefix("sqlite:///"))
    if uri.startswith("sqlite:///") and path.exists():
        with closing(sqlite3.connect(path, timeout=PATIENCE)) as registry:
            registry.execute("BEGIN IMMEDIATE")
            registry.rollback()
