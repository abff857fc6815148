"""Randomness is a function of (seed, epoch, step, rank): nothing saved, nothing shared."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from konv.training.randomness import generator, order, seed_for

PURPOSES = ("weights", "order", "augment", "dropout")
small = st.integers(0, 50)


@given(st.sampled_from(PURPOSES), st.integers(0, 2**32 - 1), small, small, small)
def test_the_same_place_gives_the_same_seed(purpose: str, seed: int, epoch: int, step: int, rank: int) -> None:
    first = seed_for(purpose, seed, epoch, step, rank)
    assert first == seed_for(purpose, seed, epoch, step, rank)
    assert 0 <= first < 2**63


def test_every_other_place_gives_another_seed() -> None:
    places = list(product(PURPOSES, range(4), range(4), range(4), range(4)))
    assert len({seed_for(*place) for place in places}) == len(places)


def test_seeds_are_the_same_in_every_version() -> None:
    """A finished run must be repeatable with a later konv: these numbers never change."""
    assert seed_for("order", 0) == 4215923173971654960
    assert seed_for("dropout", 7, 1, 2, 3) == 7899580992257518370


@given(st.integers(1, 200), st.integers(0, 2**32 - 1), small)
def test_an_order_is_a_permutation(size: int, seed: int, epoch: int) -> None:
    assert np.array_equal(np.sort(order(size, seed, epoch)), np.arange(size))
    assert np.array_equal(order(size, seed, epoch), order(size, seed, epoch))


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    orders = {tuple(order(50, seed, epoch)) for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25


@pytest.mark.parametrize("place", [(1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)])
def test_generators_draw_by_place(place: tuple[int, int, int, int]) -> None:
    def draw(*where: int) -> torch.Tensor:
        return torch.rand(4, generator=generator("augment", *where, torch.device("cpu")))

    assert torch.equal(draw(*place), draw(*place))
    assert not torch.equal(draw(*place), draw(0, 0, 0, 0))


def test_nothing_here_touches_the_global_generators() -> None:
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    order(10, 0, 0)
    torch.rand(3, generator=generator("augment", 0, 0, 0, 0, torch.device("cpu")))
    assert torch.equal(torch.get_rng_state(), torch_before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)
