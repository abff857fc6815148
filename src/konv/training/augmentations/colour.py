"""Changes brightness, contrast and, for three channels, saturation at random."""

import torch
from torch import Tensor

from konv.core.options import Fraction
from konv.training.augmentations._draw import uniform

LUMA = (0.299, 0.587, 0.114)  # grey of red, green and blue: ITU-R BT.601


def augment(
    inputs: Tensor,
    labels: Tensor,
    generator: torch.Generator,
    *,
    brightness: Fraction = 0.2,
    contrast: Fraction = 0.2,
    saturation: Fraction = 0.2,
) -> tuple[Tensor, Tensor]:
    """Returns the batch with each sample's values multiplied by 1 ± brightness, moved from its mean by 1 ± contrast and
    from its grey by 1 ± saturation, then held within 0…1.
    """
    inputs = inputs * uniform(inputs, generator, 1 - brightness, 1 + brightness)
    mean = inputs.mean(dim=tuple(range(1, inputs.ndim)), keepdim=True)
    inputs = mean + (inputs - mean) * uniform(inputs, generator, 1 - contrast, 1 + contrast)
    if inputs.shape[1] == 3:
        luma = torch.tensor(LUMA, device=inputs.device).view(1, 3, *(1,) * (inputs.ndim - 2))
        grey = (inputs * luma).sum(dim=1, keepdim=True)
        inputs = grey + (inputs - grey) * uniform(inputs, generator, 1 - saturation, 1 + saturation)
    return inputs.clamp(0, 1), labels
