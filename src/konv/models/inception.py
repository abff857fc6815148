"""Inception v3: parallel paths of factorised kernels (1×7 after 7×1), with a side head that helps training."""

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import inception as published

from konv.core.options import Fraction
from konv.models._torchvision import torchvision_network

DIMENSIONS = (2,)
MINIMUM_SIDE = 75  # pixels
PAPER = "https://arxiv.org/abs/1512.00567"
WEIGHTS = "torchvision"
MEAN = (0.5, 0.5, 0.5)  # the published weights come from TensorFlow, which took pictures from −1 to 1
STD = (0.5, 0.5, 0.5)
SETTING = (3, (299, 299), 1000)
VARIANTS = {"inception_v3": {"PARAMETERS": 27_161_264}}  # with the side head; 23,834,568 without it
SIDE_OF_PAPER = 17  # of the feature map at the side head, for pictures of 299 pixels


class SideHead(published.InceptionAux):  # type: ignore[misc]  # torchvision carries no types
    """The side head for pictures of any size: its 5×5 map is pooled as published where the map is large enough."""

    def forward(self, features: Tensor) -> Tensor:
        large = min(features.shape[2:]) >= SIDE_OF_PAPER
        pooled = F.avg_pool2d(features, 5, 3) if large else F.adaptive_avg_pool2d(features, 5)
        summary = F.adaptive_avg_pool2d(self.conv1(self.conv0(pooled)), 1)  # (N, 768, 5, 5) → (N, 768, 1, 1)
        scores: Tensor = self.fc(summary.flatten(1))
        return scores


BLOCKS = [
    published.BasicConv2d,
    published.InceptionA,
    published.InceptionB,
    published.InceptionC,
    published.InceptionD,
    published.InceptionE,
    SideHead,
]


def build(
    channels: int,
    space: tuple[int, ...],
    classes: int,
    *,
    variant: str,
    weights: str = "none",
    auxiliary: bool = True,
    dropout: Fraction = 0.5,
) -> nn.Module:
    """Returns a network (N, C, H, W) → (N, K), in training with the scores of the side head as `aux_logits` beside them."""
    return torchvision_network(
        variant, channels, classes, aux_logits=auxiliary, dropout=dropout, init_weights=True, inception_blocks=BLOCKS
    )
