"""The course network in fastai: DataLoaders from torchvision's data sets, a Learner with Adam."""

from time import perf_counter

import torch
from _course import BATCH, RATE, course, tell
from fastai.callback import progress  # noqa: F401 - gives Learner its no_bar
from fastai.callback.core import Callback
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.losses import CrossEntropyLossFlat
from fastai.metrics import accuracy
from fastai.optimizer import Adam
from fastai.torch_core import set_seed
from straightforward import FashionCNN
from torch.utils.data import Subset
from torchvision import datasets, transforms


class Clock(Callback):
    def __init__(self) -> None:
        self.seconds: list[float] = []

    def before_train(self) -> None:
        self.began = perf_counter()

    def after_train(self) -> None:
        self.seconds.append(perf_counter() - self.began)


def main() -> None:
    given = course()
    set_seed(given.seed)
    train, test = (datasets.FashionMNIST(given.folder, train=part, transform=transforms.ToTensor()) for part in (True, False))
    taken = Subset(train, range(given.pictures or len(train)))
    loaders = DataLoaders.from_dsets(taken, test, bs=BATCH, num_workers=0, device=torch.device("cpu"))
    clock = Clock()
    learner = Learner(loaders, FashionCNN(), loss_func=CrossEntropyLossFlat(), opt_func=Adam, metrics=accuracy, cbs=clock)
    with learner.no_bar(), learner.no_logging():
        learner.fit(given.epochs, RATE)  # scores the test split after each epoch too; the clock leaves that out
        _, right = learner.validate()
    tell(len(taken), clock.seconds, float(right))


if __name__ == "__main__":
    main()
