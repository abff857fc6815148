"""What `konv anatomy` was pointed at: a name, a person's own file, or a run, with the shape of its inputs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from konv.classifier import Classifier
from konv.core.compose import compose
from konv.core.errors import BadModel
from konv.models import build


@dataclass(frozen=True)
class Subject:
    network: nn.Module
    name: str
    shape: tuple[int, ...]  # (C, *space)


def find(thing: str, given: str | None, classes: int, settings: Sequence[str], *, trust_source: bool) -> Subject:
    """Returns the network of a name of `konv models`, of file.py:Net, or of a run or classifier folder; raises a KonvError."""
    folder = Path(thing).expanduser()
    if folder.is_dir():
        classifier = Classifier.load(folder, trust_source=trust_source)
        return Subject(classifier.network, classifier.model.name, shape_of(given) if given else classifier.view.shape)
    choice = compose(model=thing, settings=settings).model
    if given is None:
        raise BadModel(f"{choice.name} needs the shape of one input; write for example: konv anatomy {thing} --input 1x28x28")
    channels, *space = shape_of(given)
    with torch.random.fork_rng():
        torch.manual_seed(0)  # the same numbers each time a layer is explained
        return Subject(build(choice, channels, tuple(space), classes), choice.name, (channels, *space))


def shape_of(text: str) -> tuple[int, ...]:
    """Returns (C, *space) of a text such as 3x224x224; raises BadModel."""
    parts = re.split(r"\s*[x×X,*]\s*", text.strip())
    if not 2 <= len(parts) <= 4 or not all(re.fullmatch(r"[1-9]\d{0,5}", part) for part in parts):
        raise BadModel(f"--input {text!r} is no shape; write channels and sides with x between them, such as 3x224x224.")
    return tuple(map(int, parts))
