"""Every boundary of every write, killed and starved in turn: the finished run is always the undisturbed one.

The trainings are forked from this process, which has everything loaded. Nothing is flushed to the disk here: what a killed
process wrote is in the kernel's hands. Flushing is held by test_resume's power cuts.
"""

import json
import os
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from itertools import count as counting
from pathlib import Path
from typing import Any

import pytest

from konv.app import report as pages
from konv.app.cli import main
from konv.core.compose import compose
from konv.core.failpoints import ERRORS, POINTS
from konv.core.files import write_text
from konv.core.run import Run
from konv.training import checkpoints
from konv.training.train import stream

SETTINGS = [
    "threads=1",
    "data.pictures=60",
    "data.side=8",
    "fit.epochs=2",
    "fit.batch_size=all",
    "fit.augment=flip",
    "model.name=mlp",
    "model.hidden=[8]",
    "model.dropout=0.3",
]
TIMES = {"seconds", "pictures_per_second", "seconds_training", "images_per_second"}


@pytest.fixture(autouse=True, scope="module")
def in_a_hurry() -> Iterator[None]:
    """A checkpoint after every update; no flushing, no measured latency, a page without figures."""
    times = dict.fromkeys(
        ("milliseconds_one", "milliseconds_one_p95", "milliseconds_batch", "milliseconds_batch_p95", "images_per_second"), 1.0
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        patch.setattr("konv.evaluation.latency", lambda *_: {**times, "batch_size": 1})
        patch.setattr("konv.training.train.CHECKPOINT_SECONDS", -1.0)
        patch.setattr(pages, "write", lambda run, _: write_text(run.report_page, "a page"))
        yield


def work(out: Path) -> None:
    for _ in stream(compose("shapes", settings=SETTINGS), out=out):
        pass


def outcome(out: Path) -> dict[str, Any]:
    """Everything of a finished run that must not depend on what happened to it."""
    run = Run.open(out)
    report = {key: value for key, value in run.report.model_dump().items() if key not in TIMES and "milliseconds" not in key}
    rows = [epoch.model_dump(exclude=TIMES) for epoch in run.history]
    return {"report": report, "history": rows, "weights": (run.classifier / "weights.safetensors").read_bytes()}


def konv(out: Path, failpoint: str) -> tuple[int, str]:
    """Trains by the command line in a forked process and returns its exit code, or minus a signal, and what it said."""
    said = out.with_name("said")
    child = os.fork()
    if child == 0:
        status = 1
        with open(said, "w", encoding="utf-8") as stream:
            sys.stdout = sys.stderr = stream
            try:
                os.environ["KONV_FAILPOINT"] = failpoint
                settings = [part for setting in SETTINGS for part in ("--set", setting)]
                status = main(["train", "shapes", "--out", str(out), "--quiet", *settings])
                for thread in set(threading.enumerate()) - {threading.current_thread()}:
                    thread.join()  # as at the end of every Python process
            except BaseException:
                traceback.print_exc()
        os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("whole") / "run"
    work(out)
    return outcome(out)


def finished_by_the_same_command(out: Path, whole: dict[str, Any], point: str) -> None:
    good = checkpoints.latest(out / "checkpoints")
    assert good is None or not good[2], f"{point} leaves a damaged checkpoint"
    work(out)
    assert outcome(out) == whole, point
    assert not list(out.parent.rglob(".*.tmp")), f"{point} leaves a temporary file"
    assert len(json.loads((out / "test_openings.json").read_text())) == 1, point
    shutil.rmtree(out)


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_every_boundary_loses_nothing(point: str, tmp_path: Path, whole: dict[str, Any]) -> None:
    for count in counting(1):
        status, said = konv(tmp_path / "run", f"{point}:{count}:kill")
        if status == 0:
            assert count > 1, f"{point} is never reached"
            return
        assert (status, said) == (-signal.SIGKILL, "")
        finished_by_the_same_command(tmp_path / "run", whole, f"{point}:{count}:kill")


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_a_disk_that_refuses_at_every_boundary_is_one_sentence(point: str, tmp_path: Path, whole: dict[str, Any]) -> None:
    """The four errors take turns; where a boundary is met fewer than four times, each of them comes at the first."""
    errors = list(ERRORS)
    met = 0
    for count in counting(1):
        action = errors[count % len(errors)]
        status, said = konv(tmp_path / "run", f"{point}:{count}:{action}")
        if status == 0:
            break
        met = count
        check_sentence(status, said, f"{point}:{count}:{action}")
        finished_by_the_same_command(tmp_path / "run", whole, f"{point}:{count}:{action}")
    assert met, f"{point} is never reached"
    shutil.rmtree(tmp_path / "run")
    for action in errors if met < len(errors) else []:
        check_sentence(*konv(tmp_path / "run", f"{point}:1:{action}"), f"{point}:1:{action}")
        finished_by_the_same_command(tmp_path / "run", whole, f"{point}:1:{action}")


def check_sentence(status: int, said: str, where: str) -> None:
    assert status == 2, f"{where}: {said}"
    assert said.startswith("konv: "), where
    assert said.count("\n") == 1, f"{where}: {said}"
