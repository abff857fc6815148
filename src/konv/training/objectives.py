"""What training makes small: `objective(network, inputs, labels) → (loss, logits)`."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from konv.core.errors import BadRecipe
from konv.core.recipe import Fit
from konv.models import auxiliary_of, logits_of

Objective = Callable[[nn.Module, Tensor, Tensor], tuple[Tensor, Tensor]]
AUXILIARY = 0.3  # what the loss of each auxiliary head counts (GoogLeNet, arxiv.org/abs/1409.4842, section 5)
Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]  # logits (N, K), targets (N, K), weights (K,) → mean loss


def make_objective(fit: Fit, labels: NDArray[np.int64], classes: int, device: torch.device) -> Objective:
    """Returns the recipe's objective; it takes labels (N,) or shares of classes (N, K).

    Auxiliary heads, which a network has in training only, are scored the same way and count AUXILIARY each.
    """
    weights = class_weights(fit, labels, classes)
    weight = None if weights is None else torch.tensor(weights, dtype=torch.float32, device=device)
    loss = _losses(fit)[fit.loss]

    def loss_of(logits: Tensor, given: Tensor) -> Tensor:
        if fit.loss == "cross_entropy":  # torch's own handles both kinds of labels
            return F.cross_entropy(logits, given, weight, label_smoothing=fit.label_smoothing)
        return loss(logits, smoothed(one_hot(given, classes), fit.label_smoothing), weight)

    def objective(network: nn.Module, inputs: Tensor, given: Tensor) -> tuple[Tensor, Tensor]:
        outputs = network(inputs)
        logits = logits_of(outputs).float()
        total = loss_of(logits, given)
        for scores in auxiliary_of(outputs):
            total = total + AUXILIARY * loss_of(scores.float(), given)
        return total, logits

    return objective


def make_mass(fit: Fit, labels: NDArray[np.int64], classes: int) -> Callable[[Tensor], float]:
    """Returns what labels (N,) weigh in the objective's mean, by which means over parts of a batch make one of the whole."""
    weights = class_weights(fit, labels, classes)
    if weights is None:
        return len
    shares = torch.tensor(weights, dtype=torch.float64)
    if fit.loss != "cross_entropy":  # whose weights are those of the label alone, smoothed or not
        shares = smoothed(torch.eye(classes, dtype=torch.float64), fit.label_smoothing) @ shares
    return lambda given: float(shares[given.cpu()].sum())


def class_weights(fit: Fit, labels: NDArray[np.int64], classes: int) -> list[float] | None:
    """Returns one weight per class, or None: `balanced` is N / (K · count), as in scikit-learn's class_weight."""
    if fit.class_weights == "none":
        return None
    if fit.class_weights == "balanced":
        counts = np.bincount(labels, minlength=classes)
        return [float(value) for value in len(labels) / (classes * np.maximum(counts, 1))]
    if len(fit.class_weights) != classes:
        raise BadRecipe(f"fit.class_weights holds {len(fit.class_weights)} numbers; the data has {classes} classes.")
    return list(fit.class_weights)


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """(N,) or already (N, K) → (N, K)"""
    return labels if labels.ndim == 2 else F.one_hot(labels, classes).float()


def smoothed(targets: Tensor, share: float) -> Tensor:
    return targets * (1 - share) + share / targets.shape[1]


def _losses(fit: Fit) -> dict[str, Loss]:
    return {
        "cross_entropy": F.cross_entropy,
        "mean_squared_error": mean_squared_error,
        "focal": lambda logits, targets, weight: focal(logits, targets, weight, fit.focal_gamma),
    }


def mean_squared_error(logits: Tensor, targets: Tensor, weight: Tensor | None) -> Tensor:
    """Mean of (softmax − target)² over pictures and classes."""
    return _weighted_mean(((logits.softmax(dim=1) - targets) ** 2).mean(dim=1), targets, weight)


def focal(logits: Tensor, targets: Tensor, weight: Tensor | None, gamma: float) -> Tensor:
    """Cross-entropy times (1 − p)^gamma: pictures already right count less (arxiv.org/abs/1708.02002)."""
    log_p = logits.log_softmax(dim=1)
    return _weighted_mean(-(targets * (1 - log_p.exp()) ** gamma * log_p).sum(dim=1), targets, weight)


def _weighted_mean(losses: Tensor, targets: Tensor, weight: Tensor | None) -> Tensor:
    if weight is None:
        return losses.mean()
    shares = targets @ weight  # (N,)
    return (losses * shares).sum() / shares.sum()
