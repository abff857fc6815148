"""View: how a raw picture becomes an input."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class View(BaseModel):
    """Size, channels, resize rule, mean and std of a network's input; travels with the weights.

    A raw value v in 0…255 of channel c enters the network as (v / 255 − mean[c]) / std[c]; inputs that are no pictures
    (signals, volumes of float32) skip the division by 255.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    space: tuple[int, ...]  # (L), (H, W) or (D, H, W)
    channels: int
    resize: Literal["crop", "pad", "stretch"] = "crop"  # how a picture of another shape is made to fit
    centre: float = 1.0  # with crop: share of the side of the largest centred part that is taken
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    scale: float = 255.0  # raw value that counts as 1

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input: (C, *space)."""
        return (self.channels, *self.space)

    def __str__(self) -> str:
        return "×".join(map(str, self.shape))
