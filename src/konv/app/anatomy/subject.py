"""What `konv anatomy` was pointed at: a name, a person's own file, or a run, with the shape of its inputs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from konv.anatomy import attempt
from konv.app.anatomy import mending
from konv.classifier import Classifier
from konv.core.anatomy import Anatomy
from konv.core.compose import compose
from konv.core.errors import BadModel
from konv.core.findings import Finding
from konv.core.recipe import Choice
from konv.doctor import Script, diagnose, diagnose_script, inputs_for, read_script
from konv.models import build, is_own

CLASSES = 10  # of a network that asks for a number when none is given


@dataclass(frozen=True)
class Subject:
    network: nn.Module | None  # None: a person's file from which it could not be built
    name: str
    shape: tuple[int, ...]  # (C, *space)
    findings: tuple[Finding, ...] = ()
    script: Script | None = None  # of a person's own network
    classes: int | None = None
    language: str = "en"

    def dissected(self, *, time: bool = False) -> Anatomy:
        """Returns the anatomy, up to the layer that fails where one does, with the findings."""
        if self.network is None:
            return Anatomy(
                network=self.name, input=self.shape, layers=(), parameters=0, trainable=0, multiply_adds=0, forward_bytes=0,
                complete=False, findings=self.findings,
            )  # fmt: skip
        found = attempt(self.network, inputs_for(self.network, self.shape, 2), name=self.name, time=time)
        findings = self.findings
        if found.failure is not None and not findings:
            findings = tuple(diagnose(self.network, self.shape, language=self.language))
        return found.anatomy.model_copy(update={"findings": findings})


def find(
    thing: str, given: str | None, classes: int | None, settings: Sequence[str], *, trust_source: bool, language: str = "en"
) -> Subject:
    """Returns the network of a name of `konv models`, of file.py:Net, or of a run or classifier folder; raises a KonvError."""
    folder = Path(thing).expanduser()
    if folder.is_dir():
        classifier = Classifier.load(folder, trust_source=trust_source)
        shape = shape_of(given) if given else classifier.view.shape
        return Subject(classifier.network, classifier.model.name, shape, language=language)
    choice = compose(model=thing, settings=settings).model
    if given is None:
        raise BadModel(f"{choice.name} needs the shape of one input; write for example: konv anatomy {thing} --input 1x28x28")
    channels, *space = shape_of(given)
    with torch.random.fork_rng():
        torch.manual_seed(0)  # the same numbers each time a layer is explained
        if is_own(choice):
            return _own(choice, (channels, *space), classes, language)
        network = build(choice, channels, tuple(space), classes or CLASSES)
        return Subject(network, choice.name, (channels, *space), language=language)


def _own(choice: Choice, shape: tuple[int, ...], classes: int | None, language: str) -> Subject:
    script = read_script(choice, shape[0], shape[1:], classes or CLASSES)
    found = diagnose_script(script, shape, classes=classes, language=language)
    return Subject(found.network, choice.name, shape, found.findings, script, classes, language)


def mended(subject: Subject, *, yes: bool, language: str) -> Subject:
    """Returns the subject after the corrections that were accepted; raises BadModel where there is no file to correct."""
    if subject.script is None:
        raise BadModel("--fix corrects a network in a file of your own; write for example: konv anatomy my_net.py:Net --fix")
    script = mending.mend(subject.script, subject.shape, subject.classes, yes=yes, language=language)
    found = diagnose_script(script, subject.shape, classes=subject.classes, language=language)
    return replace(subject, network=found.network, findings=found.findings, script=script)


def shape_of(text: str) -> tuple[int, ...]:
    """Returns (C, *space) of a text such as 3x224x224; raises BadModel."""
    parts = re.split(r"\s*[x×X,*]\s*", text.strip())
    if not 2 <= len(parts) <= 4 or not all(re.fullmatch(r"[1-9]\d{0,5}", part) for part in parts):
        raise BadModel(f"--input {text!r} is no shape; write channels and sides with x between them, such as 3x224x224.")
    return tuple(map(int, parts))
