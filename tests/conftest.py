"""What every test starts from: one thread, an empty data folder, reproducible examples, tiny data."""

import os

os.environ.update(OMP_NUM_THREADS="1", OMP_WAIT_POLICY="PASSIVE")  # before torch is loaded; subprocesses inherit both

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from konv.core.compose import check
from konv.core.recipe import Recipe

settings.register_profile("konv", deadline=None, derandomize=True, database=None)
settings.load_profile("konv")


@pytest.fixture(autouse=True, scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """No test reads or fills the data folder of the person who runs it."""
    folder = tmp_path_factory.mktemp("konv_data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KONV_DATA", str(folder))
        yield folder


@pytest.fixture
def in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runs the test with a temporary folder as the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def toy() -> Callable[..., Recipe]:
    """Makes recipes that train in a tenth of a second: `toy(optimizer="sgd", model={...}, data={...})`."""

    def make(*, data: dict[str, Any] | None = None, model: Any = None, seed: int = 0, **fit: Any) -> Recipe:
        return check(
            {
                "seed": seed,
                "data": {"source": "shapes", "pictures": 80, "side": 8, **(data or {})},
                "model": model or {"name": "mlp", "hidden": [16]},
                "fit": {"epochs": 2, "batch_size": 16, **fit},
            }
        )

    return make
