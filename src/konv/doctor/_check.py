"""A trial pass before training: a network that does not fit its input is told in one sentence that names the layer."""

import copy

import torch
from torch import nn

from konv.core.errors import BadModel
from konv.core.recipe import Choice
from konv.doctor._diagnose import diagnose, diagnose_script
from konv.doctor._mixing import mixes
from konv.doctor._script import read_script
from konv.models import is_own, logits_of


def check(network: nn.Module, shape: tuple[int, ...], classes: int, *, batch: int = 3, model: Choice | None = None) -> None:
    """Runs a small batch through a copy of the network, in training and in evaluation mode; raises BadModel naming the layer.

    The network itself, its buffers and torch's random state stay as they are. With a
    model of a person's own, `my_net.py:Net`, the sentence has the line.
    """
    if not any(weight.requires_grad for weight in network.parameters()):
        raise BadModel(
            "the network has no weights to train; keep its layers as attributes, or in nn.Sequential or nn.ModuleList, "
            "not in a plain list."
        )
    try:
        fits, apart = _runs(network, shape, classes, batch)
    except BadModel:
        raise
    except Exception as error:  # a person's forward may raise anything; it is told back with its layer
        raise BadModel(_said(network, shape, classes, batch, model) or _plain(error)) from error
    said = "" if fits and apart else _said(network, shape, classes, batch, model)
    if said or not fits:
        raise BadModel(said or UNLIKE.format(classes=classes))


UNLIKE = (
    "the network does not give {classes} scores per sample in training as it does in evaluation; "
    "look for a forward that asks self.training or counts on one batch size."
)


def _runs(network: nn.Module, shape: tuple[int, ...], classes: int, batch: int) -> tuple[bool, bool]:
    """Returns whether the scores have their shape, and whether the samples stay apart."""
    inputs = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng(devices=[]):
        trial = copy.deepcopy(network).eval()
        with torch.no_grad():
            scores = logits_of(trial(inputs))
            other = logits_of(trial(torch.stack([1 - inputs[0], inputs[1]])))
        learnt = logits_of(trial.train()(torch.zeros(batch, *shape)))
    fits = scores.shape == (2, classes) and learnt.shape == (batch, classes)
    if fits and not learnt.requires_grad:
        raise BadModel("the network's scores carry no gradient to its weights; remove detach() or no_grad() from its forward.")
    return fits, not mixes(scores, other)


def _said(network: nn.Module, shape: tuple[int, ...], classes: int, batch: int, model: Choice | None) -> str:
    if model is None or not is_own(model):
        found = diagnose(network, shape, classes=classes, batch=batch)
    else:
        script = read_script(model, shape[0], shape[1:], classes)
        found = list(diagnose_script(script, shape, classes=classes, batch=batch).findings)
    return found[0].sentence if found else ""


def _plain(error: Exception) -> str:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    return f"the network cannot be trained with these inputs: {reason}."
