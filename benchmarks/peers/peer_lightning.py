"""The course network in Lightning: LightningModule, Trainer, torchvision's data through a DataLoader."""

import logging
import warnings
from time import perf_counter

import lightning
import torch
from _course import BATCH, RATE, course, tell
from straightforward import FashionCNN
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Subset
from torchvision import datasets, transforms

logging.getLogger("lightning").setLevel(logging.ERROR)
warnings.filterwarnings("ignore", module="lightning")


class Course(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.network = FashionCNN()
        self.seconds: list[float] = []
        self.right = self.seen = 0

    def training_step(self, batch: list[torch.Tensor], _: int) -> torch.Tensor:
        pictures, labels = batch
        return cross_entropy(self.network(pictures), labels)

    def test_step(self, batch: list[torch.Tensor], _: int) -> None:
        pictures, labels = batch
        self.right += int((self.network(pictures).argmax(1) == labels).sum())
        self.seen += len(labels)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=RATE)

    def on_train_epoch_start(self) -> None:
        self.began = perf_counter()

    def on_train_epoch_end(self) -> None:
        self.seconds.append(perf_counter() - self.began)


def main() -> None:
    given = course()
    lightning.seed_everything(given.seed, verbose=False)
    train, test = (datasets.FashionMNIST(given.folder, train=part, transform=transforms.ToTensor()) for part in (True, False))
    taken = Subset(train, range(given.pictures or len(train)))
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = lightning.Trainer(max_epochs=given.epochs, accelerator="cpu", **quiet)
    model = Course()
    trainer.fit(model, DataLoader(taken, BATCH, shuffle=True))
    trainer.test(model, DataLoader(test, BATCH), verbose=False)
    tell(len(taken), model.seconds, model.right / model.seen)


if __name__ == "__main__":
    main()
