"""A training laid out on the table: state, batches and plan of a recipe."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch

from konv.core.recipe import Recipe
from konv.datasets import Data, load
from konv.training.fit import Batches, Plan
from konv.training.preparation import prepare
from konv.training.state import State

CPU = torch.device("cpu")


@dataclass
class Training:
    """What `fit` takes, in its order."""

    state: State
    training: Batches
    validation: Batches
    plan: Plan
    data: Data

    @property
    def parts(self) -> tuple[State, Batches, Batches, Plan]:
        return self.state, self.training, self.validation, self.plan


@pytest.fixture
def lay_out() -> Callable[[Recipe], Training]:
    def prepared(recipe: Recipe) -> Training:
        data = load(recipe.data)
        with torch.random.fork_rng(devices=[]):
            plan, network = prepare(recipe, data.train, data.view, len(data.classes), CPU)
        return Training(State(network, recipe.fit), Batches.of(data.train, CPU), Batches.of(data.valid, CPU), plan, data)

    return prepared
