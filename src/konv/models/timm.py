"""Every network of the package timm by its name there, such as timm:convnext_atto; needs the extra konv[timm]."""

from typing import Any

from torch import nn

from konv.core.errors import BadModel, did_you_mean
from konv.core.extras import needed
from konv.core.options import Fraction

OPEN = True  # timm:NAME
DIMENSIONS = (2,)
MINIMUM_SIDE = 1  # timm states none; a layer that does not fit is named
WEIGHTS = "timm"


def build(
    channels: int,
    space: tuple[int, ...],
    classes: int,
    *,
    variant: str,
    weights: str = "none",
    dropout: Fraction = 0.0,
) -> nn.Module:
    """Returns a network (N, C, H, W) → (N, K); `weights` are timm's with DEFAULT, or a file's."""
    return create(variant, space, in_chans=channels, num_classes=classes, drop_rate=dropout)


def create(variant: str, space: tuple[int, ...], **options: Any) -> nn.Module:
    """Returns timm's network; one that is made for a single picture size, as vision transformers are, is made for this one."""
    sized = {"img_size": space} if facts_of(variant).fixed_input_size else {}
    network: nn.Module = _package(variant).create_model(variant, **sized, **options)
    return network


def facts_of(variant: str) -> Any:
    """Returns what timm says of the weights of that name: input_size, mean, std, fixed_input_size and more."""
    timm = _package(variant)
    if not timm.is_model(variant):
        guess = did_you_mean(variant, timm.list_models())
        raise BadModel(f"timm {timm.__version__} has no model {variant!r}{guess or '.'}")
    return timm.models.PretrainedCfg() if (facts := timm.get_pretrained_cfg(variant)) is None else facts


def _package(variant: str) -> Any:
    return needed("timm", extra="timm", purpose=f"the model timm:{variant}")
