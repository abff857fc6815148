"""First values of kernels and weight matrices, chosen by the recipe."""

from collections.abc import Callable

from torch import Tensor, nn

from konv.core.recipe import Fit


def initialize(network: nn.Module, fit: Fit) -> None:
    """Fills every weight with two or more dimensions as fit.initialization says and sets the biases beside them to zero.

    Kaiming: arxiv.org/abs/1502.01852, for ReLU. Xavier: proceedings.mlr.press/v9/glorot10a. Changes the network.
    """
    if fit.initialization == "default":
        return
    fill = _fills(fit)[fit.initialization]
    for module in network.modules():
        weight = getattr(module, "weight", None)
        if isinstance(weight, nn.Parameter) and weight.ndim >= 2:
            fill(weight)
            bias = getattr(module, "bias", None)
            if isinstance(bias, nn.Parameter):
                nn.init.zeros_(bias)


def _fills(fit: Fit) -> dict[str, Callable[[Tensor], object]]:
    return {
        "kaiming": lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu"),
        "xavier": nn.init.xavier_uniform_,
        "normal": lambda weight: nn.init.normal_(weight, fit.init_mean, fit.init_std),
    }
