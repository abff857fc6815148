"""The course network in skorch: NeuralNetClassifier, fitted on arrays."""

import torch
from _course import BATCH, RATE, arrays, course, tell
from skorch import NeuralNetClassifier
from straightforward import FashionCNN
from torch import nn


def main() -> None:
    given = course()
    torch.manual_seed(given.seed)
    pictures, labels = arrays(given, train=True)
    net = NeuralNetClassifier(
        FashionCNN,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=RATE,
        batch_size=BATCH,
        max_epochs=given.epochs,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
    )
    net.fit(pictures[:, None], labels)
    test_pictures, test_labels = arrays(given, train=False)
    accuracy = float((net.predict(test_pictures[:, None]) == test_labels).mean())
    tell(len(labels), net.history[:, "dur"], accuracy)


if __name__ == "__main__":
    main()
