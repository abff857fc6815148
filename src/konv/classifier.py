"""Classifier: a network, its class names and its View, kept together from training to shipping."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors.torch import load as tensors_from
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from konv.core.errors import BadArtifact
from konv.core.files import write_bytes, write_sealed
from konv.core.recipe import Choice
from konv.core.results import Prediction
from konv.core.seals import BrokenSeal, unsealed
from konv.core.view import View
from konv.models import build, build_from_source, digest, is_own, logits_of, read_source, sized

FORMAT = 1
CHUNK = 256  # samples per forward pass of a prediction; fixed, so that an answer never depends on its neighbours


class _Facts(BaseModel):
    """classifier.json: everything about a classifier but its weights."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: int
    model: Choice
    classes: tuple[str, ...]
    view: View
    technique: str
    temperature: float
    threshold: float
    weights_sha256: str
    source_sha256: str | None = None


@dataclass(frozen=True)
class Classifier:
    """Network, class names, View, temperature and rejection threshold: the object every verb takes."""

    network: nn.Module
    model: Choice
    classes: tuple[str, ...]
    view: View
    technique: str = "none"  # how it was made smaller, if it was
    temperature: float = 1.0  # divides the scores before softmax
    threshold: float = 0.0  # below this confidence a prediction is marked rejected
    source: str | None = field(default=None, repr=False)  # text of the file a person's own network came from

    # ---- answers ----

    def logits(self, inputs: Tensor) -> Tensor:
        """Returns scores (N, K) on the processor's own memory for raw inputs (N, C, *space), uint8 or float32."""
        device = next(self.network.parameters(), torch.empty(0)).device
        with torch.inference_mode(), evaluating(self.network):
            parts = [
                logits_of(self.network(normalised(part.to(device), self.view))).float().cpu() for part in inputs.split(CHUNK)
            ]
        return torch.cat(parts) if parts else torch.empty(0, len(self.classes))

    def probabilities(self, inputs: Tensor | NDArray[Any]) -> Tensor:
        """Returns softmax of the scores over temperature, (N, K), for raw inputs (N, C, *space)."""
        given = torch.from_numpy(inputs) if isinstance(inputs, np.ndarray) else inputs
        return (self.logits(given) / self.temperature).softmax(dim=1)

    def predict(self, files: Sequence[Path | str]) -> list[Prediction]:
        """Returns label, confidence and probabilities for each picture file, in the order given."""
        from konv.datasets import read_inputs

        return [
            self._prediction(str(file), row)
            for start in range(0, len(files), CHUNK)
            for file, row in self._rows(files[start : start + CHUNK], read_inputs)
        ]

    def _rows(self, files: Sequence[Path | str], read: Any) -> Iterator[tuple[Path | str, Tensor]]:
        inputs = np.stack([read(Path(file), self.view) for file in files])  # (N, C, *space)
        yield from zip(files, self.probabilities(inputs), strict=True)

    def _prediction(self, file: str, row: Tensor) -> Prediction:
        confidence, index = row.max(dim=0)
        return Prediction(
            file=file,
            label=self.classes[int(index)],
            confidence=float(confidence),
            probabilities=dict(zip(self.classes, row.tolist(), strict=True)),
            rejected=bool(confidence < self.threshold),
        )

    # ---- size and identity ----

    @property
    def parameters(self) -> int:
        """Number of trainable and frozen weights, buffers left out."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    @property
    def weights_sha256(self) -> str:
        """sha256 of the weights as they are saved."""
        return hashlib.sha256(self._weights()).hexdigest()

    def _weights(self) -> bytes:
        return to_bytes(
            {name: tensor.detach().cpu().contiguous().clone() for name, tensor in self.network.state_dict().items()}
        )

    def on(self, device: str) -> "Classifier":
        """Returns this classifier with its network moved to a device (the network itself moves)."""
        return replace(self, network=self.network.to(device))

    # ---- disk ----

    def save(self, folder: Path | str) -> Path:
        """Writes weights.safetensors and classifier.json into a folder and returns it; each file is whole or absent.

        Raises BadArtifact where the disk refuses.
        """
        folder, weights = Path(folder), self._weights()
        facts = _Facts(
            format=FORMAT,
            model=self.model,
            classes=self.classes,
            view=self.view,
            technique=self.technique,
            temperature=self.temperature,
            threshold=self.threshold,
            weights_sha256=hashlib.sha256(weights).hexdigest(),
            source_sha256=digest(self.source) if self.source is not None else None,
        )
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_bytes(folder / "weights.safetensors", weights)
            if self.source is not None:
                write_bytes(folder / "network.py", self.source.encode("utf-8"))
            write_sealed(folder / "classifier.json", facts.model_dump(mode="json"))
        except OSError as error:
            raise BadArtifact(
                f"the classifier {folder} cannot be written: {error.strerror}; make room there or choose another folder."
            ) from error
        return folder

    @classmethod
    def load(cls, folder: Path | str, *, trust_source: bool = False) -> "Classifier":
        """Returns the classifier saved in a folder, or in a run folder; raises BadArtifact in one sentence.

        A person's own network is built from the source text saved with it. That runs code, so it is done only when the
        file it came from still holds the same text, or with `trust_source`.
        """
        folder = Path(folder)
        inner = folder / "classifier"
        if inner.is_dir():
            folder = inner
        facts = _read_facts(folder)
        weights = _checked_weights(folder, facts.weights_sha256)
        network, source = _rebuilt(folder, facts, trust_source)
        try:
            network.load_state_dict(tensors_from(weights))
        except (RuntimeError, safetensors.SafetensorError) as error:
            first = str(error).strip().splitlines()[-1].strip()
            raise BadArtifact(f"the weights in {folder} do not fit its network {facts.model.name}: {first}") from None
        network.eval()
        rest = {name: getattr(facts, name) for name in ("model", "classes", "view", "technique", "temperature", "threshold")}
        return cls(network=network, source=source, **rest)


def normalised(inputs: Tensor, view: View) -> Tensor:
    """Returns what enters the network: raw inputs (N, C, *space) scaled, minus mean, over std, per channel."""
    return standardised(scaled(inputs, view), view)


def scaled(inputs: Tensor, view: View) -> Tensor:
    """Returns float32 values with the raw value `view.scale` as 1; augmentation works on these."""
    return inputs.to(torch.float32) / view.scale


def standardised(values: Tensor, view: View) -> Tensor:
    """Returns (values − mean) / std per channel."""
    shape = (1, -1) + (1,) * (values.ndim - 2)  # (1, C, 1…)
    mean = torch.tensor(view.mean, device=values.device).view(shape)
    std = torch.tensor(view.std, device=values.device).view(shape)
    return (values - mean) / std


class evaluating:
    """Puts a network into evaluation mode and every part of it back into its own mode, whatever happens in between."""

    def __init__(self, network: nn.Module) -> None:
        self._modes = {module: module.training for module in network.modules()}
        self._network = network

    def __enter__(self) -> None:
        self._network.eval()

    def __exit__(self, *_: object) -> None:
        for module, training in self._modes.items():
            module.training = training


def _read_facts(folder: Path) -> _Facts:
    try:
        text = (folder / "classifier.json").read_bytes().decode("utf-8")
        content = json.loads(text)
        version = content.get("format") if isinstance(content, dict) else None
        if version != FORMAT:
            raise BadArtifact(f"{folder} is a classifier of format {version!r}; this konv reads format {FORMAT}.")
        return _Facts.model_validate(unsealed(text))
    except OSError:
        raise BadArtifact(f"there is no classifier in {folder}: it holds no readable classifier.json.") from None
    except BrokenSeal as error:
        raise BadArtifact(f"{folder / 'classifier.json'} is damaged or was changed: {error}.") from None
    except (json.JSONDecodeError, UnicodeDecodeError, ValidationError) as error:
        first = str(error).splitlines()[0]
        raise BadArtifact(f"{folder / 'classifier.json'} is damaged: {first}.") from None


def _checked_weights(folder: Path, expected: str) -> bytes:
    try:
        weights = (folder / "weights.safetensors").read_bytes()
    except OSError as error:
        raise BadArtifact(f"the weights of {folder} cannot be read: {error.strerror}.") from None
    if hashlib.sha256(weights).hexdigest() != expected:
        raise BadArtifact(f"{folder / 'weights.safetensors'} is damaged: its sha256 is not the one in classifier.json.")
    return weights


def _rebuilt(folder: Path, facts: _Facts, trust_source: bool) -> tuple[nn.Module, str | None]:
    view, classes = facts.view, len(facts.classes)
    if not is_own(facts.model):
        return build(facts.model, view.channels, view.space, classes, pretrained=False), None
    source = _trusted_source(folder, facts, trust_source)
    where, _, wanted = facts.model.name.rpartition(":")
    offer = {"channels": view.channels, "space": view.space, "classes": classes}
    return sized(build_from_source(source, wanted, where, offer, facts.model.options), view.shape), source


def _trusted_source(folder: Path, facts: _Facts, trust: bool) -> str:
    copy = folder / "network.py"
    saved = copy.read_text(encoding="utf-8") if copy.is_file() else ""
    if digest(saved) != facts.source_sha256:
        raise BadArtifact(f"{copy} is missing or was changed after it was saved; the network cannot be rebuilt.")
    where = Path(facts.model.name.rpartition(":")[0]).expanduser()
    if trust or (where.is_file() and digest(read_source(facts.model.name)[2]) == facts.source_sha256):
        return saved
    raise BadArtifact(
        f"the network of {folder} was written in {where}, which is gone or has changed; its text is kept in {copy}. "
        "Read it, and if you trust it, say so with --trust-source."
    )
