"""What TensorBoard and MLflow find after a training: every number once, whatever happened in between."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tracked_run import EPOCHS, events, finished_run, records, rows

import konv
from konv.app.cli import main
from konv.app.trackers import tensorboard, watchers
from konv.app.trackers._tracked import Tracked
from konv.core.errors import MissingExtra
from konv.core.run import Run

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # MLflow's own, about SQLAlchemy

QUICK = ["--threads", "1", "--set", "fit.epochs=2", "--set", "data.pictures=120", "--set", "fit.batch_size=32"]
NUMBERS = [
    "accuracy",
    "gradient_norm",
    "learning_rate",
    "loss",
    "pictures_per_second",
    "seconds",
    "valid_accuracy",
    "valid_loss",
]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return finished_run(tmp_path / "run")


def follow(name: str, run: Run, **how: int) -> None:
    (watcher,) = watchers([name])
    with watcher:
        for record in records(run, **how):
            watcher.see(record)


# ---- TensorBoard ----


def test_tensorboard_has_each_epoch_and_the_final_scores(run: Run) -> None:
    follow("tensorboard", run)
    found = {(name, step): value for name, step, value in rows(run.path / "tensorboard")}
    assert sorted({name for name, _ in found if "/" not in name}) == NUMBERS
    for epoch in run.history:
        assert found["valid_loss", epoch.epoch] == pytest.approx(epoch.valid_loss)
    assert found["test/accuracy", EPOCHS] == pytest.approx(run.report.accuracy)
    assert found["test/expected_calibration_error", EPOCHS] == pytest.approx(run.report.expected_calibration_error)


def test_tensorboard_shows_the_recipe(run: Run) -> None:
    follow("tensorboard", run)
    texts = [value for event in events(run.path / "tensorboard") for value in event.summary.value if "recipe" in value.tag]
    assert b"[fit]" in texts[0].tensor.string_val[0]


@pytest.mark.parametrize(
    "parts",
    [[(0, 1), (1, EPOCHS)], [(0, 2), (1, EPOCHS)], [(0, EPOCHS), (EPOCHS, EPOCHS)]],
    ids=["cut off", "a checkpoint lost", "finished"],
)
def test_tensorboard_doubles_no_row_after_a_resume(run: Run, parts: list[tuple[int, int]]) -> None:
    for done, stop in parts:
        follow("tensorboard", run, done=done, stop=stop)
    written = [(name, step) for name, step, _ in rows(run.path / "tensorboard")]
    assert len(written) == len(set(written))
    assert [step for name, step in written if name == "loss"] == list(range(1, EPOCHS + 1))
    assert len(list((run.path / "tensorboard").iterdir())) == 1


def test_a_tensorboard_that_looks_on_is_told_to_forget(run: Run) -> None:
    follow("tensorboard", run)
    starts = [event.step for event in events(run.path / "tensorboard") if event.WhichOneof("what") == "session_log"]
    assert starts == [0]


def test_a_tracker_that_comes_late_has_every_epoch(run: Run) -> None:
    follow("tensorboard", run, done=2)
    assert [step for name, step, _ in rows(run.path / "tensorboard") if name == "accuracy"] == [1, 2, 3]


def test_other_files_beside_the_events_are_left_alone(run: Run) -> None:
    (run.path / "tensorboard").mkdir()
    (run.path / "tensorboard" / "notes.txt").write_text("mine")
    follow("tensorboard", run)
    assert (run.path / "tensorboard" / "notes.txt").read_text() == "mine"


# ---- failures ----


def test_a_tracker_that_breaks_on_the_way_is_asked_no_more(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    class Breaking:
        asked = 0

        def open(self, _):
            return set()

        def write(self, numbers, epoch):
            self.asked += 1
            if epoch == 2:
                raise OSError(28, "No space left on device")

        def close(self, finished):
            raise AssertionError("it is broken already")

    tracker = Breaking()
    with Tracked("breaking", tracker) as watcher:
        for record in records(run):
            watcher.see(record)
    assert tracker.asked == 2
    assert capsys.readouterr().err.count("note: breaking is no longer written ([Errno 28] No space left on device)") == 1


@pytest.mark.parametrize(("stop", "finished"), [(1, False), (EPOCHS, True)])
def test_a_tracker_learns_how_the_training_ended_and_what_it_lacks(run: Run, stop: int, finished: bool) -> None:
    written: list[tuple[str, int]] = []
    endings: list[bool] = []

    class Listening:
        def open(self, _):
            return {("loss", 1)}

        def write(self, numbers, epoch):
            written.extend((name, epoch) for name in numbers)

        def close(self, finished):
            endings.append(finished)

    with Tracked("listening", Listening()) as watcher:
        for record in records(run, stop=stop):
            watcher.see(record)
    assert endings == [finished]
    assert ("loss", 1) not in written
    assert ("accuracy", 1) in written
    assert len(written) == len(set(written))


# ---- the command line and the library ----


def test_train_and_resume_write_event_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    assert main(["train", "shapes", *QUICK, "--quiet", "--out", str(out), "--track", "tensorboard"]) == 0
    first = rows(out / "tensorboard")
    assert main(["resume", str(out), "--quiet", "--track", "tensorboard"]) == 0
    assert capsys.readouterr() == ("", "")
    assert rows(out / "tensorboard") == first
    assert [step for name, step, _ in first if name == "loss"] == [1, 2]


def test_the_library_takes_a_tracker_as_its_watcher(tmp_path: Path) -> None:
    recipe = konv.compose("shapes", settings=["data.pictures=120", "fit.epochs=1", "threads=1"])
    made = konv.train(recipe, out=tmp_path / "run", watcher=tensorboard.track())
    assert ("loss", 1) in {(name, step) for name, step, _ in rows(made.path / "tensorboard")}


@pytest.mark.parametrize("verb", [["train"], ["resume", "RUN"]], ids=lambda verb: verb[0])
def test_an_unknown_tracker_is_told_before_torch_loads(run: Run, verb: list[str]) -> None:
    arguments = [str(run.path) if word == "RUN" else word for word in verb] + ["--track", "tensorbord"]
    program = f"import sys; from konv.app.cli import main; status = main({arguments!r}); assert 'torch' not in sys.modules; "
    done = subprocess.run([sys.executable, "-c", program + "sys.exit(status)"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        "konv: there is no tracker named 'tensorbord', did you mean tensorboard? Known: mlflow, tensorboard.\n"
    )


def test_a_missing_package_stops_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)  # what Python does when a package must not be found
    assert main(["train", "shapes", *QUICK, "--out", str(tmp_path / "run"), "--track", "tensorboard"]) == 2
    assert "pip install 'konv[tensorboard]'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


# ---- MLflow ----


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch):
    kept = dict(os.environ)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    try:
        watchers(["mlflow"])
        import mlflow as library

        yield library
    except MissingExtra as missing:
        pytest.skip(str(missing))
    finally:
        for name in set(os.environ) - set(kept):
            del os.environ[name]


def recorded(library, run: Run):
    client = library.MlflowClient(tracking_uri=f"sqlite:///{run.path / 'mlflow' / 'mlflow.db'}")
    (experiment,) = client.search_experiments(filter_string="name = 'konv'")
    return client, client.search_runs([experiment.experiment_id])


def test_mlflow_has_each_epoch_the_scores_and_the_recipe(mlflow, run: Run) -> None:
    follow("mlflow", run)
    client, (found,) = recorded(mlflow, run)
    assert sorted(name for name in found.data.metrics if "/" not in name) == NUMBERS
    losses = client.get_metric_history(found.info.run_id, "valid_loss")
    assert [(row.step, row.value) for row in losses] == [(epoch.epoch, epoch.valid_loss) for epoch in run.history]
    assert found.data.metrics["test/accuracy"] == run.report.accuracy
    assert found.data.params["fit.epochs"] == str(EPOCHS)
    assert (found.info.run_name, found.info.status) == ("run", "FINISHED")


def test_mlflow_doubles_no_row_after_a_resume(mlflow, run: Run) -> None:
    follow("mlflow", run, stop=1)
    assert recorded(mlflow, run)[1][0].info.status == "KILLED"
    follow("mlflow", run, done=1)
    follow("mlflow", run, done=EPOCHS)
    client, (found,) = recorded(mlflow, run)
    for name in (*NUMBERS, "test/accuracy"):
        steps = [row.step for row in client.get_metric_history(found.info.run_id, name)]
        assert steps == ([EPOCHS] if "/" in name else [1, 2, 3])


def test_a_server_that_is_away_is_a_note(mlflow, run: Run, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")  # the discard port: nothing answers
    follow("mlflow", run)
    assert capsys.readouterr().err.startswith("note: mlflow is no longer written (")


def test_mlflow_reports_nothing_home(mlflow) -> None:
    from mlflow.telemetry.utils import is_telemetry_disabled

    assert is_telemetry_disabled()
