"""A trial pass: a network that does not fit its input is named by layer before training starts."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from konv.core.errors import BadModel


def check(network: nn.Module, shape: tuple[int, ...], classes: int, *, batch: int = 3) -> None:
    """Runs zeros through a copy of the network, in training and in evaluation mode; raises BadModel naming the layer.

    The network itself, its buffers and torch's random state stay as they are.
    """
    if not any(weight.requires_grad for weight in network.parameters()):
        raise BadModel(
            "the network has no weights to train; keep its layers as attributes, or in nn.Sequential or nn.ModuleList, "
            "not in a plain list."
        )
    for training, size in ((False, 2), (True, batch)):  # a network that only takes one batch size is found out too
        inputs = torch.zeros(size, *shape)
        with torch.random.fork_rng(devices=[]), torch.set_grad_enabled(training):
            trial = copy.deepcopy(network).train(training)
            with naming_the_layer(trial, inputs):
                outputs = logits_of(trial(inputs))
        _check_outputs(outputs, size, classes)
        if training and not outputs.requires_grad:
            raise BadModel(
                "the network's scores carry no gradient to its weights; remove detach() or no_grad() from its forward."
            )


def sized(network: nn.Module, shape: tuple[int, ...]) -> nn.Module:
    """Returns the network with the widths of its lazy layers (torch's nn.LazyLinear and others) found by one input of zeros."""
    if any(isinstance(weight, nn.parameter.UninitializedParameter) for weight in network.parameters()):
        inputs = torch.zeros(2, *shape)
        with torch.no_grad(), naming_the_layer(network, inputs):
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


def _check_outputs(outputs: Tensor, batch: int, classes: int) -> None:
    wanted = (batch, classes)
    if tuple(outputs.shape) != wanted:
        shape = "×".join(map(str, outputs.shape))
        raise BadModel(
            f"the network gives {shape} for {batch} samples; it must be {batch}×{classes}: one score per class. "
            "Check its last layer, and any view or flatten that moves samples into features."
        )


@contextmanager
def naming_the_layer(network: nn.Module, inputs: Tensor) -> Iterator[None]:
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
    reason = _arithmetic(layer, first) or reason
    return f"layer {name or 'network'} ({layer}) was given {got}, from an input of {whole}: {reason}."


def _arithmetic(layer: nn.Module, given: object) -> str:
    """Returns what a common layer needs and the corrected line, or nothing where the shapes do not tell."""
    if not isinstance(given, Tensor) or given.ndim < 2:
        return ""
    if isinstance(layer, nn.modules.batchnorm._BatchNorm) and given.shape[0] == 1:
        return "one sample has no spread to normalise by; take fit.batch_size = 2 or more, or a network without this layer"
    if isinstance(layer, nn.Linear) and given.shape[-1] != layer.in_features:
        return (
            f"it needs {layer.in_features:,} features and was given {given.shape[-1]:,}; "
            f"write nn.Linear({given.shape[-1]}, {layer.out_features})"
        )
    if isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.Conv3d)) and given.shape[1] != layer.in_channels:
        kind, kernel = type(layer).__name__, layer.kernel_size[0]
        return (
            f"it needs {layer.in_channels} channels and was given {given.shape[1]}; "
            f"write nn.{kind}({given.shape[1]}, {layer.out_channels}, {kernel}, …)"
        )
    return ""
