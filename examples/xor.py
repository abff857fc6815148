"""XOR: one layer fails, two succeed.

    python examples/xor.py

Four points, two classes: different coordinates are class 1, equal ones class 0. No straight line parts them, so a perceptron
names three of four at best, however long it learns. One hidden layer bends the line.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from konv.core.recipe import Choice
from konv.models import build

POINTS = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]).unsqueeze(1)  # (4, 1, 2): N signals of one channel
CLASSES = torch.tensor([0, 1, 1, 0])


def accuracy_after(model: Choice, steps: int = 500) -> float:
    """Returns the share of the four points that the network names rightly after so many steps on all of them."""
    torch.manual_seed(0)
    network = build(model, channels=1, space=(2,), classes=2)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.05)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(network(POINTS), CLASSES).backward()
        optimizer.step()
    return share_right(network, POINTS)


def share_right(network: nn.Module, points: Tensor) -> float:
    return (network(points).argmax(dim=1) == CLASSES).float().mean().item()


def main() -> None:
    one = accuracy_after(Choice(name="perceptron"))
    two = accuracy_after(Choice(name="mlp", hidden=(8,), dropout=0.0, activation="tanh"))
    print(f"perceptron, one layer:     {one:.0%} of the four points")
    print(f"mlp with 8 hidden, two:    {two:.0%} of the four points")


if __name__ == "__main__":
    main()
