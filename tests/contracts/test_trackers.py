"""What every file on the shelf of trackers keeps to; a new one is covered by being there."""

import os
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tracked_run import EPOCHS, finished_run, records

from konv.app import trackers
from konv.app.session import Several, Watcher
from konv.core import extras
from konv.core.errors import MissingExtra, UnknownName
from konv.core.run import Run
from konv.core.shelves import TRACKERS

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # MLflow's own, about SQLAlchemy

NAMES = TRACKERS.names()


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No server of the person who tests, and no variable left behind."""
    kept = dict(os.environ)
    for name in kept:
        if name.startswith("MLFLOW_"):
            monkeypatch.delenv(name)
    yield
    for name in set(os.environ) - set(kept):
        del os.environ[name]


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def watcher(name: str) -> Watcher:
    try:
        return trackers.watchers([name])[0]
    except MissingExtra as missing:
        pytest.skip(str(missing))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return finished_run(tmp_path / "run")


def test_it_says_what_it_is(name: str) -> None:
    assert TRACKERS.entry(name).description.endswith(".")


def test_a_missing_package_is_told_with_its_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(package: str) -> None:
        raise ModuleNotFoundError(name=package)

    monkeypatch.setattr(extras, "import_module", absent)
    with pytest.raises(MissingExtra, match=rf"--track {name} needs the package .+ pip install 'konv\[{name}\]'"):
        trackers.watchers([name])


def test_its_extra_exists(name: str) -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    assert name in project["project"]["optional-dependencies"]


def test_it_follows_a_training_and_one_taken_up_in_silence(
    watcher: Watcher, name: str, run: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    for follower, done, stop in ((watcher, 0, 1), (trackers.watchers([name])[0], 1, EPOCHS)):
        with follower:
            for record in records(run, done=done, stop=stop):
                follower.see(record)
    assert "".join(capfd.readouterr()) == ""
    assert (run.path / name).is_dir()


def test_a_place_that_cannot_be_written_is_noted_once_and_the_training_goes_on(
    watcher: Watcher, name: str, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    (run.path / name).write_text("in the way")
    with watcher:
        for record in records(run):
            watcher.see(record)
    note = capsys.readouterr().err
    assert note.count("\n") == 1
    assert note.startswith(f"note: {name} is no longer written (")
    assert note.endswith(f"the training goes on. To write what is missing: konv resume {run.path} --track {name}\n")


def test_a_training_that_never_starts_leaves_nothing(watcher: Watcher, name: str, run: Run) -> None:
    with pytest.raises(RuntimeError), watcher:
        raise RuntimeError
    assert not (run.path / name).exists()


def test_an_unknown_name_is_guessed() -> None:
    with pytest.raises(UnknownName, match="no tracker named 'tensorbord', did you mean tensorboard"):
        trackers.watchers(["tensorbord"])


def test_a_name_given_twice_counts_once() -> None:
    assert len(trackers.watchers(["tensorboard", "TensorBoard"])) == 1


def test_several_watchers_all_leave_when_one_cannot_enter() -> None:
    seen: list[str] = []

    class Door(Several):
        def __init__(self, name: str) -> None:
            self.name = name

        def __enter__(self) -> "Door":
            if self.name == "locked":
                raise RuntimeError(self.name)
            seen.append(f"in {self.name}")
            return self

        def __exit__(self, *_: object) -> None:
            seen.append(f"out {self.name}")

    with pytest.raises(RuntimeError, match="locked"), Several([Door("first"), Door("locked")]):
        pass
    assert seen == ["in first", "out first"]
