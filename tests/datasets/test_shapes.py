"""The toy shapes: drawn as asked, the same each time, learnable, and not by their brightness."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pytest

from konv.core.errors import BadData
from konv.core.recipe import DataOptions
from konv.datasets import Samples, collect, shapes

if TYPE_CHECKING:
    from torch import nn


def nearest_mean_brightness(samples: Samples) -> float:
    """Accuracy of guessing the class whose mean brightness is nearest."""
    brightness = samples.inputs.reshape(len(samples), -1).mean(axis=1)
    means = np.array([brightness[samples.labels == label].mean() for label in range(4)])
    return float((np.abs(brightness[:, None] - means).argmin(axis=1) == samples.labels).mean())


@pytest.mark.parametrize(
    ("dimensions", "names"),
    [
        (1, ("bump", "step", "wave", "spikes")),
        (2, ("circle", "square", "triangle", "cross")),
        (3, ("ball", "cube", "shell", "cross")),
    ],
)
def test_each_dimension_has_its_classes_in_equal_numbers(dimensions: int, names: tuple[str, ...]) -> None:
    collection = shapes.load("shapes", pictures=202, side=9, dimensions=dimensions, channels=2)
    assert collection.classes == names
    assert collection.samples.inputs.shape == (202, 2, *[9] * dimensions)
    assert collection.samples.inputs.dtype == np.uint8
    counts = np.bincount(collection.samples.labels)
    assert counts.max() - counts.min() <= 1
    assert len(set(collection.samples.ids)) == 202


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_the_mean_brightness_says_nothing(dimensions: int) -> None:
    assert nearest_mean_brightness(shapes.load("shapes", pictures=1000, dimensions=dimensions).samples) < 0.35  # chance: 0.25


def test_the_same_seed_draws_the_same_and_another_one_does_not() -> None:
    first, again, other = (shapes.load("shapes", pictures=40, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.samples.inputs, again.samples.inputs)
    assert first.fingerprint == again.fingerprint != other.fingerprint


@pytest.mark.parametrize("dimensions", [2, 3])
def test_figures_fill_the_same_space_and_lie_inside_the_picture(dimensions: int) -> None:
    fillings = [draw(np.random.default_rng(0), 50, 32).mean() for draw in shapes.FIGURES[dimensions].values()]
    assert np.ptp(fillings) < 0.03 * np.mean(fillings)


def test_noise_spreads_the_values() -> None:
    ground = [shapes.load("shapes", pictures=400, noise=noise).samples.inputs[:, 0, 0, 0] for noise in (0.0, 0.1)]
    assert ground[1].std() > ground[0].std()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"side": 7}, "data.side = 7 is too small.*take 8 or more"),
        ({"pictures": 3}, "data.pictures = 3 leaves some of the 4 classes"),
        ({"seed": -1}, "data.seed = -1 is below 0"),
        ({"side": 100_000}, "GB; lower data.pictures or data.side"),
    ],
)
def test_what_cannot_be_drawn_is_one_sentence(options: dict[str, int], words: str) -> None:
    with pytest.raises(BadData, match=words):
        shapes.load("shapes", **options)


def test_a_small_convolutional_network_learns_them(one_thread: None) -> None:
    import torch
    from torch import nn

    collection = collect(DataOptions(source="shapes"))
    inputs = torch.from_numpy(collection.samples.inputs).float() / 255 - 0.35
    labels = torch.from_numpy(collection.samples.labels)
    network = _network()
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)
    for _ in range(10):
        for batch in torch.randperm(420).split(30):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(inputs[batch]), labels[batch]).backward()
            optimizer.step()
    network.eval()
    with torch.no_grad():
        accuracy = (network(inputs[420:]).argmax(dim=1) == labels[420:]).float().mean().item()
    assert accuracy > 0.95


@pytest.fixture
def one_thread() -> Iterator[None]:
    """For small work: two threads wait for each other when the machine is busy, and 0.4 s become 5 s."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _network() -> "nn.Sequential":
    import torch
    from torch import nn

    def block(c_in: int, c_out: int) -> list[nn.Module]:
        return [nn.Conv2d(c_in, c_out, 3, padding=1), nn.BatchNorm2d(c_out), nn.ReLU(), nn.MaxPool2d(2)]

    torch.manual_seed(0)
    return nn.Sequential(*block(1, 16), *block(16, 32), nn.AdaptiveMaxPool2d(2), nn.Flatten(), nn.Linear(128, 4))
