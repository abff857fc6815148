"""Training that begins with published weights: pictures are seen as those weights saw theirs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision.models
from PIL import Image

from konv.classifier import Classifier
from konv.core.compose import check
from konv.core.errors import BadModel, BadRecipe, BadRun
from konv.core.recipe import Recipe
from konv.models import _weights
from konv.training.pretrained import read_as_trained
from konv.training.train import Finished, stream

NAME = "shufflenet_v2_x0_5"
FILE = "shufflenetv2_x0.5-f707e7126e.pth"  # the name of torchvision's file; what the tests put there is drawn at random
Toy = Callable[..., Recipe]


@pytest.fixture
def weights(in_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(_weights, "_urls", lambda entry: {})  # so that the hash in the name is not asked for
    torch.manual_seed(0)
    torch.save(torchvision.models.shufflenet_v2_x0_5(weights=None).state_dict(), FILE)
    return in_tmp / FILE


@pytest.fixture
def photos(in_tmp: Path) -> Path:
    """Two classes of eight grey pictures."""
    random = np.random.default_rng(0)
    for name, level in (("dark", 60), ("light", 180)):
        (in_tmp / "photos" / name).mkdir(parents=True)
        for index in range(8):
            values = random.integers(level - 40, level + 40, (30, 40), dtype=np.uint8)
            Image.fromarray(values).save(in_tmp / "photos" / name / f"{index}.png")
    return in_tmp / "photos"


def recipe(source: Path, file: object, *, data: dict[str, Any] | None = None, **fit: Any) -> Recipe:
    model = {"name": NAME, "weights": str(file)}
    fits = {"epochs": 1, "batch_size": 8, "learning_rate": 0.0001, **fit}
    return check({"data": {"source": str(source), **(data or {})}, "model": model, "fit": fits})


def finish(wanted: Recipe, out: Path) -> Finished:
    *_, last = stream(wanted, out=out)
    assert isinstance(last, Finished)
    return last


def test_a_folder_is_read_as_the_weights_were_trained(photos: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = finish(recipe(photos, FILE), Path("run").absolute()).run
    view = Classifier.load(run.path).view
    assert (view.shape, view.centre, view.interpolation) == ((1, 224, 224), 224 / 256, "bilinear")
    assert view.mean == pytest.approx([(0.485 + 0.456 + 0.406) / 3])
    assert view.std == pytest.approx([(0.229 + 0.224 + 0.225) / 3])
    assert run.recipe.data.options == {"size": 224, "resize": "crop", "centre": 224 / 256, "interpolation": "bilinear"}
    assert run.recipe.model.options["weights"] == str(weights)
    (photos.parent / "elsewhere").mkdir()
    monkeypatch.chdir(photos.parent / "elsewhere")
    assert finish(run.recipe, run.path).resumed


def test_what_the_recipe_names_itself_wins(photos: Path, weights: Path) -> None:
    run = finish(recipe(photos, FILE, data={"size": 32, "resize": "pad", "channels": "colour"}), Path("run")).run
    view = Classifier.load(run.path).view
    assert (view.shape, view.resize) == ((3, 32, 32), "pad")
    assert view.mean == (0.485, 0.456, 0.406)


def test_a_run_is_not_continued_with_other_first_weights(photos: Path, weights: Path) -> None:
    wanted = recipe(photos, FILE, data={"size": 32})
    finish(wanted, Path("run"))
    state = torch.load(weights)
    state["conv1.0.weight"] += 1
    torch.save(state, weights)
    with pytest.raises(BadRun, match=rf"{FILE} has changed since the run in run began"):
        finish(wanted, Path("run"))


def test_weights_of_ones_own_leave_the_datas_view(toy: Toy, weights: Path) -> None:
    weights.rename("mine.pth")
    wanted = toy(model={"name": NAME, "weights": "mine.pth"}, data={"side": 16})
    plain = toy(model={"name": NAME}, data={"side": 16})
    views = [Classifier.load(finish(each, Path(name)).run.path).view for each, name in ((wanted, "a"), (plain, "b"))]
    assert views[0] == views[1]


def test_any_source_of_pictures_gets_mean_and_std(toy: Toy, weights: Path) -> None:
    view = Classifier.load(finish(toy(model={"name": NAME, "weights": FILE}, data={"side": 16}), Path("run")).run.path).view
    assert view.space == (16, 16)
    assert view.mean == pytest.approx([(0.485 + 0.456 + 0.406) / 3])


def test_an_initialization_that_would_overwrite_them_is_refused(photos: Path) -> None:
    with pytest.raises(BadRecipe, match=r"fit\.initialization = 'kaiming' would overwrite model\.weights"):
        read_as_trained(recipe(photos, "mine.pth", initialization="kaiming"))


def test_a_missing_file_is_told_before_the_run_folder_exists(toy: Toy, in_tmp: Path) -> None:
    with pytest.raises(BadModel, match=r"there is no file .*gone\.pth for model\.weights"):
        finish(toy(model={"name": NAME, "weights": "gone.pth"}, data={"side": 16}), Path("run"))
    assert not Path("run").exists()


def test_a_recipe_without_weights_stays_as_it_is(toy: Toy) -> None:
    assert read_as_trained(toy()) == toy()
