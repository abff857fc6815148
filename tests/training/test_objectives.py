"""Objectives equal torch's and the papers' formulas."""

from typing import NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor, nn

from konv.core.errors import BadRecipe
from konv.core.recipe import Fit
from konv.training.objectives import class_weights, make_objective, one_hot, smoothed

CLASSES = 4
COUNTS = np.array([0, 0, 0, 1, 2, 2, 3, 3, 3, 3])
WEIGHTS = [0.5, 2.0, 1.0, 3.0]
torch_weights = torch.tensor(WEIGHTS)


@pytest.fixture
def scored() -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(0)
    return torch.randn(20, CLASSES, generator=random) * 3, torch.randint(CLASSES, (20,), generator=random)


def loss(scored: tuple[Tensor, Tensor], **fit: object) -> Tensor:
    objective = make_objective(Fit(**fit), COUNTS, CLASSES, torch.device("cpu"))
    value, logits = objective(nn.Identity(), *scored)
    assert torch.equal(logits, scored[0])
    return value


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("weights", ["none", WEIGHTS])
def test_cross_entropy_is_torchs(scored: tuple[Tensor, Tensor], smoothing: float, weights: str | list[float]) -> None:
    weight = None if weights == "none" else torch_weights
    wanted = F.cross_entropy(*scored, weight, label_smoothing=smoothing)
    torch.testing.assert_close(loss(scored, label_smoothing=smoothing, class_weights=weights), wanted)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_focal_with_gamma_0_is_cross_entropy(scored: tuple[Tensor, Tensor], smoothing: float) -> None:
    plain = loss(scored, label_smoothing=smoothing)
    torch.testing.assert_close(loss(scored, loss="focal", focal_gamma=0, label_smoothing=smoothing), plain)


def test_focal_with_gamma_0_and_class_weights_is_weighted_cross_entropy(scored: tuple[Tensor, Tensor]) -> None:
    wanted = F.cross_entropy(*scored, torch_weights)
    torch.testing.assert_close(loss(scored, loss="focal", focal_gamma=0, class_weights=WEIGHTS), wanted)


@pytest.mark.parametrize("gamma", [0.5, 2.0, 5.0])
def test_focal_is_the_formula_of_its_paper(scored: tuple[Tensor, Tensor], gamma: float) -> None:
    p = scored[0].softmax(dim=1).gather(1, scored[1][:, None]).squeeze(1)
    torch.testing.assert_close(loss(scored, loss="focal", focal_gamma=gamma), (-((1 - p) ** gamma) * p.log()).mean())


def test_focal_is_torchvisions_for_two_classes() -> None:
    from torchvision.ops import sigmoid_focal_loss

    random = torch.Generator().manual_seed(1)
    score, labels = torch.randn(30, generator=random), torch.randint(2, (30,), generator=random)
    both = torch.stack([torch.zeros(30), score], dim=1)  # softmax of (0, s) is sigmoid(s)
    objective = make_objective(Fit(loss="focal", focal_gamma=2), labels.numpy(), 2, torch.device("cpu"))
    wanted = sigmoid_focal_loss(score, labels.float(), alpha=-1, gamma=2, reduction="mean")
    torch.testing.assert_close(objective(nn.Identity(), both, labels)[0], wanted)


def test_mean_squared_error_is_torchs_on_one_hot(scored: tuple[Tensor, Tensor]) -> None:
    wanted = F.mse_loss(scored[0].softmax(dim=1), F.one_hot(scored[1], CLASSES).float())
    torch.testing.assert_close(loss(scored, loss="mean_squared_error"), wanted)


@pytest.mark.parametrize("kind", ["mean_squared_error", "focal"])
def test_a_class_weight_counts_as_repeated_pictures(scored: tuple[Tensor, Tensor], kind: str) -> None:
    """Weight 3 for a class is the same as meeting each of its pictures three times."""
    inputs, labels = scored
    repeats = torch.tensor([1, 2, 1, 3])[labels]
    repeated = inputs.repeat_interleave(repeats, dim=0), labels.repeat_interleave(repeats)
    torch.testing.assert_close(loss(scored, loss=kind, class_weights=[1, 2, 1, 3]), loss(repeated, loss=kind))


@pytest.mark.parametrize("kind", ["cross_entropy", "mean_squared_error", "focal"])
def test_one_hot_labels_give_what_numbers_give(scored: tuple[Tensor, Tensor], kind: str) -> None:
    rows = F.one_hot(scored[1], CLASSES).float()
    torch.testing.assert_close(loss((scored[0], rows), loss=kind), loss(scored, loss=kind))
    smooth = {"loss": kind, "label_smoothing": 0.3}
    torch.testing.assert_close(loss((scored[0], rows), **smooth), loss(scored, **smooth))


@pytest.mark.parametrize("kind", ["cross_entropy", "mean_squared_error", "focal"])
def test_a_loss_falls_as_the_right_score_rises_and_has_finite_gradients(kind: str) -> None:
    labels = torch.tensor([1, 1, 1])
    scores = torch.zeros(3, CLASSES)
    scores[:, 1] = torch.tensor([-200.0, 0.0, 200.0])
    values = [loss((scores[i : i + 1], labels[:1]), loss=kind).item() for i in range(3)]
    assert values[0] > values[1] > values[2]
    leaf = scores.requires_grad_()
    loss_value = make_objective(Fit(loss=kind), COUNTS, CLASSES, torch.device("cpu"))(nn.Identity(), leaf, labels)[0]
    loss_value.backward()
    assert leaf.grad.isfinite().all()


def test_balanced_weights_are_scikit_learns() -> None:
    wanted = compute_class_weight("balanced", classes=np.arange(CLASSES), y=COUNTS)
    assert class_weights(Fit(class_weights="balanced"), COUNTS, CLASSES) == pytest.approx(wanted)
    assert class_weights(Fit(), COUNTS, CLASSES) is None


@pytest.mark.parametrize("weights", [[1.0], [], [1.0] * 5])
def test_a_wrong_number_of_class_weights_is_named(weights: list[float]) -> None:
    with pytest.raises(BadRecipe, match=rf"fit\.class_weights holds {len(weights)} numbers; the data has 4 classes\."):
        class_weights(Fit(class_weights=weights), COUNTS, CLASSES)


def test_smoothing_spreads_a_share_over_all_classes() -> None:
    rows = smoothed(one_hot(torch.tensor([2]), CLASSES), 0.2)
    torch.testing.assert_close(rows, torch.tensor([[0.05, 0.05, 0.85, 0.05]]))


def test_scores_in_half_precision_are_lost_in_float32() -> None:
    objective = make_objective(Fit(), COUNTS, CLASSES, torch.device("cpu"))
    value, logits = objective(nn.Identity(), torch.randn(3, CLASSES).bfloat16(), torch.tensor([0, 1, 2]))
    assert value.dtype == logits.dtype == torch.float32


class Heads(NamedTuple):
    logits: Tensor
    aux_logits: Tensor | None


class WithHead(nn.Module):
    """Passes its inputs on, and twice them as an auxiliary head."""

    def __init__(self, head: bool) -> None:
        super().__init__()
        self.head = head

    def forward(self, inputs: Tensor) -> Heads:
        return Heads(inputs, 2 * inputs if self.head else None)


@pytest.mark.parametrize("fit", [Fit(), Fit(loss="focal"), Fit(loss="mean_squared_error", class_weights=WEIGHTS)])
def test_an_auxiliary_head_counts_three_tenths(scored: tuple[Tensor, Tensor], fit: Fit) -> None:
    objective = make_objective(fit, COUNTS, CLASSES, torch.device("cpu"))
    inputs, labels = scored
    alone, head = objective(nn.Identity(), inputs, labels)[0], objective(nn.Identity(), 2 * inputs, labels)[0]
    value, logits = objective(WithHead(head=True), inputs, labels)
    torch.testing.assert_close(value, alone + 0.3 * head)
    assert torch.equal(logits, inputs)
    assert torch.equal(objective(WithHead(head=False), inputs, labels)[0], alone)


def test_further_parts_of_a_plain_tuple_are_no_heads(scored: tuple[Tensor, Tensor]) -> None:
    class Pair(nn.Module):
        def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
            return inputs, inputs.softmax(dim=1)

    objective = make_objective(Fit(), COUNTS, CLASSES, torch.device("cpu"))
    assert torch.equal(objective(Pair(), *scored)[0], objective(nn.Identity(), *scored)[0])
