"""Every boundary of every write, killed and starved in turn: the finished run is always the undisturbed one."""

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from konv.core.compose import compose
from konv.core.errors import KonvError
from konv.core.failpoints import POINTS
from konv.core.run import Run
from konv.training.train import stream

SETTINGS = [
    "threads=1",
    "data.pictures=60",
    "data.side=8",
    "fit.epochs=2",
    "fit.batch_size=16",
    "fit.augment=flip",
    "model.dropout=0.3",
]
TIMES = {"seconds", "pictures_per_second", "seconds_training", "images_per_second"}


def work(out: Path) -> None:
    for _ in stream(compose("shapes", model="plain", settings=SETTINGS), out=out):
        pass


def outcome(out: Path) -> dict[str, Any]:
    """Everything of a finished run that must not depend on what happened to it."""
    run = Run.open(out)
    report = {key: value for key, value in run.report.model_dump().items() if key not in TIMES and "milliseconds" not in key}
    rows = [epoch.model_dump(exclude=TIMES) for epoch in run.history]
    return {"report": report, "history": rows, "weights": (run.classifier / "weights.safetensors").read_bytes()}


def in_a_child(out: Path, failpoint: str) -> int:
    """Trains in a forked process under a failpoint and returns how it ended: 0, 2 for one sentence, or minus a signal."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.environ["KONV_FAILPOINT"] = failpoint
            work(out)
            status = 0
        except (KonvError, OSError):  # what the command line tells in one sentence
            status = 2
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("whole") / "run"
    work(out)
    return outcome(out)


@pytest.mark.slow
@pytest.mark.parametrize(("action", "code"), [("kill", -signal.SIGKILL), ("full", 2)])
@pytest.mark.parametrize("point", POINTS)
def test_a_failure_at_every_boundary_loses_nothing(
    point: str, action: str, code: int, tmp_path: Path, whole: dict[str, Any]
) -> None:
    for count in range(1, 200):
        out = tmp_path / "run"
        status = in_a_child(out, f"{point}:{count}:{action}")
        if status == 0:
            assert count > 1, f"{point} is never reached"
            return
        assert status == code, f"{point}:{count}"
        work(out)
        assert outcome(out) == whole, f"{point}:{count}"
        assert not list(out.rglob(".*.tmp")), f"{point}:{count} leaves a temporary file"
        assert len(json.loads((out / "test_openings.json").read_text())) == 1
        shutil.rmtree(out)
    pytest.fail(f"{point} never ends")
