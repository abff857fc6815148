"""MLflow: the server of MLFLOW_TRACKING_URI, else a SQLite file RUN/mlflow/mlflow.db."""

import json
import os
from collections.abc import Mapping
from time import time
from typing import Any

from konv.app.session import Watcher
from konv.app.trackers._tracked import Row, Tracked
from konv.core.extras import needed
from konv.core.files import write_json
from konv.training.train import Started

DEFAULTS = {  # environment variables, set where a person has not; MLflow reads the first on import
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",  # seconds; with MLflow's own 120 and 7 retries a dead server holds training up
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
}
LOCAL = ("sqlalchemy", "alembic")  # what a SQLite store needs beyond mlflow-skinny; MLflow's file store refuses new runs


def track() -> Watcher:
    """Returns a watcher that writes an MLflow run, steps counted in epochs; raises MissingExtra without MLflow.

    The experiment is MLFLOW_EXPERIMENT_NAME, else "konv". A run taken up again is found through RUN/mlflow/run.json; the
    rows that stand there stay, for MLflow takes none back.
    """
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    server = os.environ.get("MLFLOW_TRACKING_URI") or None
    packages = ["mlflow", *(LOCAL if server is None else ())]
    library, *_ = [needed(package, extra="mlflow", purpose="--track mlflow") for package in packages]
    return Tracked("mlflow", _MlflowRun(library, server))


class _MlflowRun:
    """One MLflow run; its id is kept for each server, so that a run continues where it is."""

    def __init__(self, library: Any, server: str | None) -> None:
        self._library = library
        self._server = server

    def open(self, started: Started) -> set[Row]:
        folder = started.run.path / "mlflow"
        folder.mkdir(exist_ok=True)
        self._client = self._library.MlflowClient(tracking_uri=self._server or f"sqlite:///{folder / 'mlflow.db'}")
        where, file = self._server or "local", folder / "run.json"
        known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        if where not in known:
            known[where] = self._create(started)
            write_json(file, known)
        self._id = known[where]
        self._client.update_run(self._id, status="RUNNING")
        names = self._client.get_run(self._id).data.metrics
        return {(name, row.step) for name in names for row in self._client.get_metric_history(self._id, name)}

    def write(self, numbers: Mapping[str, float], epoch: int) -> None:
        now = round(time() * 1000)  # milliseconds
        metric = self._library.entities.Metric
        self._client.log_batch(self._id, metrics=[metric(name, value, now, epoch) for name, value in numbers.items()])

    def close(self, finished: bool) -> None:
        self._client.set_terminated(self._id, "FINISHED" if finished else "KILLED")

    def _create(self, started: Started) -> str:
        """Makes the run, with the recipe's keys as parameters, and returns its id."""
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or "konv"
        experiment = self._client.get_experiment_by_name(name)
        artifacts = None if self._server else (started.run.path / "mlflow" / "artifacts").as_uri()
        number = experiment.experiment_id if experiment else self._client.create_experiment(name, artifact_location=artifacts)
        tags = {"konv.run": str(started.run.path), "konv.data": started.data.fingerprint}
        created: str = self._client.create_run(number, run_name=started.run.name, tags=tags).info.run_id
        param = self._library.entities.Param
        keys = started.recipe.flat()
        self._client.log_batch(created, params=[param(key, str(value)) for key, value in keys.items()])
        return created
