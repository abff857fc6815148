"""Random changes to training inputs, one file each: `augment(inputs, labels, generator, *, options) → (inputs, labels)`.

Inputs are float32 (N, C, *space) with 1 for the brightest raw value; every sample draws its own numbers from the generator.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from konv.core.recipe import Choice
from konv.core.shelves import AUGMENTATIONS

Augment = Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]]


def make_augment(choices: Sequence[Choice]) -> Augment | None:
    """Returns the chosen augmentations as one function, applied in their order, or None where there are none."""
    parts: list[Augment] = [partial(AUGMENTATIONS.take(choice.name).augment, **choice.options) for choice in choices]
    if not parts:
        return None

    def augment(inputs: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        for part in parts:
            inputs, labels = part(inputs, labels, generator)
        return inputs, labels

    return augment
