"""A finished run that was never trained: a plausible history, report and examples from a seed."""

import base64
import hashlib
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from konv.core.recipe import Choice, DataOptions, Fit, Recipe
from konv.core.results import Bin, ClassScores, Epoch, Example, Report
from konv.core.run import Run

FASHION = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
KOREAN = ("티셔츠", "바지", "풀오버", "원피스", "코트", "샌들", "셔츠", "운동화", "가방", "앵클부츠")
ENVIRONMENT = {
    "konv": "0.1.0",
    "python": "3.11.9",
    "torch": "2.15.0+cpu",
    "platform": "Linux-6.8-x86_64-with-glibc2.36",
    "processor": "AMD EPYC 9R14",
    "threads": 2,
    "instruction_set": "AVX512",
    "device": "cpu",
    "deterministic": True,
    "accelerator": None,
}


def make_run(
    folder: Path,
    classes: tuple[str, ...] = FASHION,
    *,
    epochs: int = 24,
    per_class: int = 200,
    examples: int = 60,
    openings: int = 1,
    environment: dict[str, object] = ENVIRONMENT,
    source: str = "digits",
    model: str = "plain",
) -> Run:
    """Returns a run folder with everything a report needs except the page itself."""
    random = np.random.default_rng(0)
    fit = Fit(epochs=epochs)
    run = Run.create(folder, Recipe(data=DataOptions(source=source), model=Choice(name=model), fit=fit), dict(environment))
    for epoch in history(epochs):
        run.record_epoch(epoch)
    made = report(classes, per_class, random, epochs=epochs, openings=openings, source=source, model=model)
    run.write("report.json", made.model_dump(mode="json"))
    run.write("examples.json", [example.model_dump() for example in pictures(examples, len(classes), random)])
    ids = [f"train:{number}" for number in range(60_000)]
    split = {"train": ids[:54_000], "valid": ids[54_000:], "test": [f"test:{number}" for number in range(made.pictures)]}
    run.write("split.json", {"fingerprint": digest("data"), "classes": list(classes), **split})
    return run


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def history(epochs: int) -> list[Epoch]:
    """Training loss falls all the way; validation loss turns a little at the end."""
    done = [(number + 1) / epochs for number in range(epochs)]
    wiggle = np.random.default_rng(1).normal(0, 0.006, epochs)
    return [
        Epoch(
            epoch=number + 1,
            step=844 * (number + 1),
            loss=0.13 + 0.62 * float(np.exp(-4.2 * part)),
            accuracy=0.958 - 0.22 * float(np.exp(-4.2 * part)),
            valid_loss=0.205 + 0.5 * float(np.exp(-5.5 * part)) + 0.05 * part**3 + float(wiggle[number]),
            valid_accuracy=0.936 - 0.17 * float(np.exp(-5.5 * part)) - float(wiggle[number]) / 3,
            learning_rate=0.002 * float(np.sin(np.pi * part**0.6)) + 2e-6,
            gradient_norm=1.0,
            seconds=31.0,
            pictures_per_second=1900.0,
        )
        for number, part in enumerate(done)
    ]


def confusion(count: int, per_class: int, random: np.random.Generator) -> np.ndarray:
    """Counts of (true, predicted): most are right, the rest go to a few similar classes."""
    table = np.zeros((count, count), dtype=np.int64)
    for true in range(count):
        right = random.beta(14, 1.2)
        friends = random.choice(count, size=min(count, 4), replace=False)
        chances = np.full(count, 0.02 / count)
        chances[friends] += random.dirichlet(np.ones(len(friends))) * (1 - right)
        chances[true] += right
        table[true] = random.multinomial(per_class, chances / chances.sum())
    return table


def report(
    classes: tuple[str, ...],
    per_class: int,
    random: np.random.Generator,
    *,
    epochs: int,
    openings: int,
    source: str,
    model: str,
) -> Report:
    table = confusion(len(classes), per_class, random)
    right, true, said = np.diag(table), table.sum(1), np.maximum(table.sum(0), 1)
    precision, recall = right / said, right / true
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-9)
    accuracy, pictures = float(right.sum() / table.sum()), int(table.sum())
    margin = 1.96 * float(np.sqrt(accuracy * (1 - accuracy) / pictures))
    scores = zip(classes, precision.tolist(), recall.tolist(), f1.tolist(), true.tolist(), strict=True)
    return Report(
        model=model,
        source=source,
        split="test",
        pictures=pictures,
        classes=classes,
        accuracy=accuracy,
        accuracy_interval=(accuracy - margin, min(1, accuracy + margin)),
        top_k={1: accuracy, 5: min(1.0, accuracy + 0.055)} if len(classes) > 5 else {1: accuracy},
        precision_macro=float(precision.mean()),
        recall_macro=float(recall.mean()),
        f1_macro=float(f1.mean()),
        f1_macro_interval=(float(f1.mean()) - margin, min(1, float(f1.mean()) + margin)),
        precision_weighted=float(precision.mean()),
        recall_weighted=accuracy,
        f1_weighted=float(f1.mean()),
        per_class=tuple(ClassScores(name=name, precision=p, recall=r, f1=f, pictures=n) for name, p, r, f, n in scores),
        confusion=tuple(map(tuple, table.tolist())),
        expected_calibration_error=0.0312,
        calibration=bins(pictures),
        loss=0.231,
        seconds_training=31.0 * epochs,
        epochs=epochs,
        milliseconds_one=2.84,
        milliseconds_one_p95=3.41,
        milliseconds_batch=48.2,
        milliseconds_batch_p95=55.0,
        batch_size=64,
        images_per_second=1328.0,
        threads=2,
        device="cpu",
        parameters=272_474,
        test_openings=openings,
        weights_sha256=digest("weights"),
    )


def bins(pictures: int) -> tuple[Bin, ...]:
    """A network that is a little too sure of itself, and has never been less than 20 % sure."""
    edges = [(number + 0.5) / 15 for number in range(15)]
    amounts = [0 if middle < 0.2 else round(pictures * 0.72 * middle**9 + pictures * 0.004) for middle in edges]
    return tuple(
        Bin(confidence=middle, accuracy=middle - 0.32 * middle * (1 - middle), pictures=amount)
        if amount
        else Bin(confidence=0, accuracy=0, pictures=0)
        for middle, amount in zip(edges, amounts, strict=True)
    )


def pictures(count: int, classes: int, random: np.random.Generator) -> list[Example]:
    """Half mistakes, most confident first, then right answers."""
    labels, others = random.integers(classes, size=count), random.integers(1, classes, size=count)
    confident = np.concatenate([np.sort(random.uniform(0.5, 1, count // 2))[::-1], random.uniform(0.4, 1, count - count // 2)])
    return [
        Example(
            id=f"test:{number}",
            label=int(label),
            predicted=int((label + other) % classes) if number < count // 2 else int(label),
            confidence=float(sure),
            thumbnail=thumbnail(int(label), random),
        )
        for number, (label, other, sure) in enumerate(zip(labels, others, confident, strict=True))
    ]


def thumbnail(label: int, random: np.random.Generator) -> str:
    """A 28 × 28 picture with a blob whose shape depends on the label, as base64 PNG."""
    rows, columns = np.mgrid[-1:1:28j, -1:1:28j]
    wave = 0.62 + 0.22 * np.cos((label % 7 + 2) * np.arctan2(rows, columns) + random.uniform(0, 0.6))
    soft = np.clip(4 * (wave - np.hypot(rows, columns)), 0, 1) * random.uniform(0.6, 1) * 255
    stream = BytesIO()
    Image.fromarray(soft.astype(np.uint8)).save(stream, "PNG", optimize=True)
    return base64.b64encode(stream.getvalue()).decode()
