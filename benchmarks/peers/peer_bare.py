"""The course network in a bare loop: arrays in memory, channels last, fused Adam; torch without a library around it."""

from time import perf_counter

import torch
from _course import BATCH, RATE, arrays, course, tell
from straightforward import FashionCNN
from torch.nn.functional import cross_entropy


def main() -> None:
    given = course()
    torch.manual_seed(given.seed)
    pictures, labels = (torch.from_numpy(part) for part in arrays(given, train=True))
    network = FashionCNN().to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE, fused=True)
    seconds = []
    for _ in range(given.epochs):
        began = perf_counter()
        for rows in torch.randperm(len(labels)).split(BATCH):
            loss = cross_entropy(network(pictures[rows].unsqueeze(1)), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        seconds.append(perf_counter() - began)
    network.eval()
    test_pictures, test_labels = (torch.from_numpy(part) for part in arrays(given, train=False))
    with torch.inference_mode():
        answers = torch.cat([network(part.unsqueeze(1)).argmax(1) for part in test_pictures.split(BATCH)])
    tell(len(labels), seconds, float((answers == test_labels).float().mean()))


if __name__ == "__main__":
    main()
