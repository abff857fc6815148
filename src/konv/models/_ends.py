"""What networks take and give: widths of lazy layers from an input, scores from an output."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from konv.core.errors import BadModel


def sized(network: nn.Module, shape: tuple[int, ...]) -> nn.Module:
    """Returns the network with the widths of its lazy layers (torch's nn.LazyLinear and others) found by one input of zeros."""
    if any(isinstance(weight, nn.parameter.UninitializedParameter) for weight in network.parameters()):
        inputs = torch.zeros(2, *shape)
        with torch.no_grad(), _naming_the_layer(network, inputs):
            network.eval()(inputs)
        network.train()
    return network


def logits_of(outputs: object) -> Tensor:
    """Returns the scores (N, K) of what a network gave back; the first part where it gives several (auxiliary heads)."""
    if isinstance(outputs, tuple):
        outputs = outputs[0]
    if not isinstance(outputs, Tensor):
        raise BadModel(f"the network gives back a {type(outputs).__name__}; it must be a tensor of scores (N, classes).")
    return outputs


def auxiliary_of(outputs: object) -> list[Tensor]:
    """Returns the scores (N, K) of auxiliary heads: the parts of a named tuple whose names begin with `aux`."""
    names = getattr(outputs, "_fields", ())
    parts = [getattr(outputs, name) for name in names if name.startswith("aux")]
    return [part for part in parts if isinstance(part, Tensor)]


@contextmanager
def _naming_the_layer(network: nn.Module, inputs: Tensor) -> Iterator[None]:
    """Turns an error of the forward pass into a BadModel that names the layer and the shape it was given."""
    entered: list[tuple[str, nn.Module, object]] = []
    hooks = [
        hook
        for name, layer in network.named_modules()
        for hook in (
            layer.register_forward_pre_hook(lambda layer, given, name=name: entered.append((name, layer, given))),
            layer.register_forward_hook(lambda *_: entered.pop() and None),
        )
    ]
    try:
        yield
    except Exception as error:  # a person's forward may raise anything; it is told back with its layer
        raise BadModel(_sentence(entered, inputs, error)) from error
    finally:
        for hook in hooks:
            hook.remove()


def _sentence(entered: list[tuple[str, nn.Module, object]], inputs: Tensor, error: Exception) -> str:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    whole = "×".join(map(str, inputs.shape))
    if len(entered) < 2 and not (entered and entered[0][0] == "" and not list(entered[0][1].children())):
        return f"the network cannot take an input of {whole}: {reason}."
    name, layer, given = entered[-1]
    first = given[0] if isinstance(given, tuple) and given else None
    got = "×".join(map(str, first.shape)) if isinstance(first, Tensor) else "something that is no tensor"
    return f"layer {name or 'network'} ({layer}) was given {got}, from an input of {whole}: {reason}."
