"""Recipe: everything needed to train the same classifier again."""

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


def _knob(meaning: str, unit: str = "", **limits: Any) -> Any:
    """A recipe field with its one-line meaning, its unit and its range."""
    return Field(description=meaning, json_schema_extra={"unit": unit} if unit else None, **limits)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)


class Choice(BaseModel):
    """A name on a shelf plus its options, written flat: `name = "mlp"`, `dropout = 0.3`."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str = Field(description="A name on the shelf.")

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class DataOptions(BaseModel):
    """Where the pictures come from and how they are split; further keys are options of the source."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)

    source: str = _knob("A source on the data shelf, a folder of class folders, or an .npz file of arrays.", default="digits")
    valid: float = _knob(
        "Share of the training pictures held out to choose weights and to stop.", "share", default=0.1, gt=0, lt=1
    )
    test: float = _knob(
        "Share held out, sealed, for the final score; unused when the source brings its own test split.",
        "share",
        default=0.2,
        gt=0,
        lt=1,
    )
    split_seed: int = _knob("Seed of the split, apart from `seed` so that repeated runs share one test split.", default=0, ge=0)

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class Fit(_Frozen):
    """How the network learns."""

    epochs: int = _knob("Passes over the training pictures.", "epochs", default=10, ge=1, le=100_000)
    batch_size: Annotated[int, Field(ge=1)] | Literal["all"] = _knob(
        "Pictures per update of the weights: 1 is stochastic, `all` is plain batch gradient descent.",
        "pictures",
        default=64,
    )
    optimizer: Literal["sgd", "momentum", "nesterov", "adagrad", "adadelta", "rmsprop", "adam", "adamw"] = _knob(
        "Rule that turns gradients into updates.", default="adamw"
    )
    learning_rate: float = _knob(
        "Length of a step; with a schedule, its highest value.", "weight change per unit gradient", default=0.002, gt=0, le=100
    )
    momentum: Annotated[float, Field(ge=0, lt=1)] | None = _knob(
        "Share of the last update kept in the next one; left out: 0.9 for momentum and nesterov, 0 for sgd and rmsprop.",
        "share",
        default=None,
    )
    weight_decay: float = _knob(
        "Pull of weight matrices and kernels towards zero; biases and normalisation are spared.",
        "per unit learning rate",
        default=0.01,
        ge=0,
        le=10,
    )
    schedule: Literal["constant", "step", "plateau", "cosine", "one_cycle"] = _knob(
        "How the learning rate moves during training.", default="one_cycle"
    )
    warmup: float = _knob("Linear rise of the learning rate at the start (one_cycle has its own).", "epochs", default=0.0, ge=0)
    step_every: int = _knob("With schedule = step: epochs between two cuts.", "epochs", default=10, ge=1)
    step_factor: float = _knob(
        "With schedule = step or plateau: what a cut multiplies the learning rate by.", "factor", default=0.1, gt=0, lt=1
    )
    plateau_patience: int = _knob(
        "With schedule = plateau: epochs without a lower validation loss before a cut.", "epochs", default=3, ge=0
    )
    initialization: Literal["default", "kaiming", "xavier", "normal", "whitening"] = _knob(
        "First values of kernels and weight matrices; `default` leaves the network as its author made it, `whitening` fixes "
        "the first convolution at the main directions of the training pictures' patches.",
        default="default",
    )
    init_mean: float = _knob("With initialization = normal: mean of the first weights.", "weight", default=0.0)
    init_std: float = _knob(
        "With initialization = normal: standard deviation of the first weights.", "weight", default=0.02, gt=0
    )
    loss: Literal["cross_entropy", "mean_squared_error", "focal"] = _knob(
        "What training makes small; mean_squared_error compares probabilities with one-hot labels.", default="cross_entropy"
    )
    focal_gamma: float = _knob("With loss = focal: how strongly easy pictures are played down.", "exponent", default=2.0, ge=0)
    label_smoothing: float = _knob("Share of the label spread over all classes.", "share", default=0.0, ge=0, lt=1)
    class_weights: Literal["none", "balanced"] | list[Annotated[float, Field(gt=0)]] = _knob(
        "Weight of each class in the loss: none, balanced (rare classes count more), or one number per class.", default="none"
    )
    patience: int = _knob(
        "Early stopping: epochs without a better validation score; 0 never stops early.", "epochs", default=0, ge=0
    )
    keep: Literal["best", "last"] = _knob(
        "Which weights become the classifier: best on validation, or the last.", default="best"
    )
    clip_norm: Annotated[float, Field(gt=0)] | None = _knob(
        "Largest length of the whole gradient; longer ones are shortened. Left out: no clipping.", "gradient norm", default=None
    )
    weight_average: float = _knob(
        "Decay per step of a running mean of the weights, which is then what is scored; 0 is off.",
        "share",
        default=0.0,
        ge=0,
        lt=1,
    )
    augment: list[Choice] = _knob(
        "Random changes to each training picture, in order: names or tables with options.", default=[]
    )
    batch_norm: Literal["local", "synchronized"] = _knob(
        "With several processes: batch normalisation over each one's part of the batch, or over the whole batch.",
        default="local",
    )
    precision: Literal["float32", "bfloat16", "auto"] = _knob(
        "Number format of the forward pass; auto takes bfloat16 where the machine has instructions for it.", default="float32"
    )

    @model_validator(mode="before")
    @classmethod
    def _one_word(cls, value: Any) -> Any:
        """`augment = "flip,crop"` is a list too: that is how it is typed on a command line."""
        if isinstance(value, dict) and isinstance(value.get("augment"), str):
            value = {**value, "augment": [part for part in value["augment"].split(",") if part.strip()]}
        return value


class Recipe(_Frozen):
    """Data, model, fit options and seed: everything needed to train the same classifier again."""

    seed: int = _knob("Seed of weights, order, augmentation and dropout.", default=0, ge=0, lt=2**32)
    device: Literal["auto", "cpu", "cuda", "mps"] = _knob(
        "Where to compute; auto takes cuda, then mps, then cpu.", default="auto"
    )
    threads: int = _knob("Processor threads; 0 takes what the machine offers.", "threads", default=0, ge=0, le=1024)
    data: DataOptions = Field(default_factory=DataOptions, description="The pictures.")
    model: Choice = Field(default_factory=lambda: Choice(name="plain"), description="The network.")
    fit: Fit = Field(default_factory=Fit, description="How it learns.")

    @property
    def key(self) -> str:
        """Twelve hexadecimal digits that tell two recipes apart; device and threads do not count."""
        content = json.dumps(self.model_dump(exclude={"device", "threads"}), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:12]

    def flat(self) -> dict[str, Any]:
        """Returns every key with its value: `fit.epochs` and so on."""
        return _flat(self.model_dump())


def _flat(values: dict[str, Any], above: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{above}{key}.") if isinstance(value, dict) else {f"{above}{key}": value}
    return flat
