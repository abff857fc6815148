"""Errors: one tree, and a guess at what was meant."""

import pytest

from konv.core import errors
from konv.core.errors import KonvError, did_you_mean


def test_every_error_is_drawn_in_the_tree() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, KonvError)]
    assert len(kinds) > 5
    assert all(kind.__name__ in (errors.__doc__ or "") for kind in kinds)


@pytest.mark.parametrize(
    ("given", "meant"), [("reset", "resnet"), ("fashion-cnn", "fashion_cnn"), ("MLP", "mlp"), ("fahsion_cnn", "fashion_cnn")]
)
def test_the_nearest_name_is_guessed(given: str, meant: str) -> None:
    assert did_you_mean(given, ["resnet", "fashion_cnn", "mlp"]) == f", did you mean {meant}?"


@pytest.mark.parametrize("given", ["", "zzz", "transformer"])
def test_a_far_name_is_not_guessed(given: str) -> None:
    assert did_you_mean(given, ["resnet", "mlp"]) == ""
