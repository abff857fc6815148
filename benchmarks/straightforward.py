"""The straightforward Fashion-MNIST script of a course: the other side of benchmarks/fashion_mnist.py.

    python benchmarks/straightforward.py FOLDER EPOCHS SEED [PICTURES]

torchvision's FashionMNIST + ToTensor + DataLoader, the two-block network, Adam 1e-3, batches of 100, 5 epochs. Saves the
trained network as FOLDER/saved, then prints one JSON line: seconds of training, pictures per second, test accuracy. PICTURES
takes only the first of the training pictures, for a trial.
"""

import json
import sys
from pathlib import Path
from time import perf_counter

import torch
from torch import nn
from torch.utils.data import DataLoader, Subset
from torchvision import datasets, transforms


class FashionCNN(nn.Module):
    """conv-BN-ReLU-pool twice (32 and 64 channels), then 600-120-10."""

    def __init__(self) -> None:
        super().__init__()
        self.layer1 = nn.Sequential(nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2))
        self.layer2 = nn.Sequential(nn.Conv2d(32, 64, 3), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2))
        self.fc1 = nn.Linear(64 * 6 * 6, 600)
        self.drop = nn.Dropout(0.25)
        self.fc2 = nn.Linear(600, 120)
        self.fc3 = nn.Linear(120, 10)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        features = self.layer2(self.layer1(pictures)).flatten(1)  # (N, 1, 28, 28) → (N, 2304)
        hidden = self.drop(torch.relu(self.fc1(features)))
        return self.fc3(torch.relu(self.fc2(hidden)))


def main(folder: str, epochs: int, seed: int, pictures_taken: int = 0) -> None:
    torch.manual_seed(seed)
    train_set = datasets.FashionMNIST(folder, train=True, transform=transforms.ToTensor())
    if pictures_taken:
        train_set = Subset(train_set, range(pictures_taken))
    test_set = datasets.FashionMNIST(folder, train=False, transform=transforms.ToTensor())
    train_loader = DataLoader(train_set, batch_size=100, shuffle=True)
    test_loader = DataLoader(test_set, batch_size=100)
    network = FashionCNN()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    began = perf_counter()
    for _ in range(epochs):
        network.train()
        for pictures, labels in train_loader:
            loss = criterion(network(pictures), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    training = perf_counter() - began
    torch.save(network.state_dict(), Path(folder) / "saved")
    network.eval()
    with torch.no_grad():
        right = sum((network(pictures).argmax(1) == labels).sum().item() for pictures, labels in test_loader)
    facts = {
        "accuracy": right / len(test_set),
        "seconds_training": training,
        "pictures_per_second": epochs * len(train_set) / training,
    }
    print(json.dumps(facts))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
