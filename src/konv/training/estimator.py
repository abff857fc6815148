"""ConvClassifier: konv's training behind scikit-learn's estimator contract."""

import copy
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from konv import models
from konv.core.compose import check as check_recipe
from konv.core.recipe import Choice, Recipe
from konv.core.view import View
from konv.datasets import Samples, stratified, take
from konv.training.augmentations import make_augment
from konv.training.environment import choose_device
from konv.training.fit import Batches, Plan, fit, steps_per_epoch
from konv.training.initialization import initialize
from konv.training.objectives import make_objective
from konv.training.randomness import seed_for
from konv.training.schedules import make_schedule
from konv.training.state import State

Array = NDArray[Any]


class ConvClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """A convolutional network with fit, predict, predict_proba and score, for pipelines and searches of scikit-learn.

    X is (n, features), (n, H, W), or (n, H, W, C) — (n, C, H, W) with channels="first". Features and channels are
    standardised with the training data's mean and std. `model` is a name of `konv models`; "auto" takes `mlp` for
    features and `plain` for pictures. Other parameters are the recipe's fit options of the same name. With
    validation_fraction = 0 nothing is held out: the last weights are kept. Same random_state, same result; the global
    random state is left alone. Attributes after fit: classes_, n_features_in_, network_, history_ (one Epoch per epoch),
    n_iter_ (epochs done).
    """

    def __init__(
        self,
        model: str = "auto",
        *,
        model_options: dict[str, Any] | None = None,
        epochs: int = 30,
        batch_size: int | Literal["all"] = 32,
        optimizer: str = "adamw",
        learning_rate: float = 0.005,
        weight_decay: float = 0.01,
        schedule: str = "one_cycle",
        loss: str = "cross_entropy",
        label_smoothing: float = 0.0,
        class_weights: Any = "none",
        augment: Any = (),
        validation_fraction: float = 0.0,
        patience: int = 0,
        channels: Literal["last", "first"] = "last",
        device: str = "cpu",
        random_state: Any = None,
    ) -> None:
        self.model = model
        self.model_options = model_options
        self.epochs = epochs
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.schedule = schedule
        self.loss = loss
        self.label_smoothing = label_smoothing
        self.class_weights = class_weights
        self.augment = augment
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.channels = channels
        self.device = device
        self.random_state = random_state

    # ---- scikit-learn's methods ----

    def fit(self, X: Any, y: Any) -> "ConvClassifier":
        """Returns the estimator, its network trained on X and y."""
        X, y = validate_data(self, X, y, dtype=[np.float32, np.float64, np.uint8], allow_nd=True, ensure_min_samples=2)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"ConvClassifier needs at least two classes; y holds one class: {self.classes_[0]!r}.")
        seed = int(check_random_state(self.random_state).randint(2**31))
        self._mean, self._std = _statistics(self._channels_first(X))
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            self._train(self._inputs(X), labels.astype(np.int64), seed)
        return self

    def predict_proba(self, X: Any) -> Array:
        """Returns the probability of each class, (n, K), in the order of classes_."""
        return np.asarray(torch.from_numpy(self._scores(X)).softmax(dim=1))

    def predict(self, X: Any) -> Array:
        """Returns the most likely class of each row."""
        return np.asarray(self.classes_[self._scores(X).argmax(axis=1)])

    def decision_function(self, X: Any) -> Array:
        """Returns the network's scores, (n, K); for two classes their difference, (n,)."""
        scores = self._scores(X)
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.non_deterministic = False
        return tags

    def __getstate__(self) -> dict[str, Any]:
        """The network travels as it was trained; an accelerator's memory does not."""
        state = dict(super().__getstate__())
        if "network_" in state:
            state["network_"] = copy.deepcopy(state["network_"]).cpu()
        return state

    # ---- inside ----

    def _recipe(self, features_only: bool) -> Recipe:
        """The parameters as a recipe: ranges and names are checked where every recipe's are."""
        names = ("epochs", "batch_size", "optimizer", "learning_rate", "weight_decay", "schedule", "loss", "label_smoothing")
        options = {name: getattr(self, name) for name in (*names, "class_weights", "patience")}
        keep = "best" if self.validation_fraction else "last"
        model = {"auto": "mlp" if features_only else "plain"}.get(self.model, self.model)
        choice = Choice(name=model, **(self.model_options or {}))
        return check_recipe(
            {"device": self.device, "model": choice, "fit": {**options, "keep": keep, "augment": list(self.augment)}}
        )

    def _train(self, inputs: NDArray[np.float32], labels: NDArray[np.int64], seed: int) -> None:
        recipe = self._recipe(features_only=inputs.ndim == 3)
        options = recipe.fit
        if options.batch_size != "all":
            options = options.model_copy(update={"batch_size": min(options.batch_size, len(labels))})
        device = choose_device(recipe.device)
        view = View(
            space=inputs.shape[2:],
            channels=inputs.shape[1],
            mean=(0.0,) * inputs.shape[1],
            std=(1.0,) * inputs.shape[1],
            scale=1.0,
        )
        torch.manual_seed(seed_for("weights", seed))
        network = models.build(recipe.model, view.channels, view.space, len(self.classes_))
        initialize(network, options)
        models.check(network, view.shape, len(self.classes_), batch=2)
        training, validation = self._split(Samples(inputs, labels, ("",) * len(labels)), seed)
        plan = Plan(
            fit=options,
            seed=seed,
            view=view,
            augment=make_augment(options.augment),
            objective=make_objective(options, training.labels, len(self.classes_), device),
            schedule=make_schedule(options, steps_per_epoch(len(training), options)),
        )
        state = State(network.to(device), options)
        self.history_ = list(fit(state, Batches.of(training, device), Batches.of(validation, device), plan))
        if options.keep == "best":
            state.network.load_state_dict(state.best)
        self.network_ = state.network.eval()
        self.n_iter_ = len(self.history_)

    def _split(self, samples: Samples, seed: int) -> tuple[Samples, Samples]:
        if not self.validation_fraction:
            return samples, samples
        kept, held = stratified(samples.labels, self.validation_fraction, seed)
        return take(samples, kept), take(samples, held)

    def _scores(self, X: Any) -> NDArray[np.float64]:
        """Scores in double precision, so that a row's answer never depends on the rows beside it."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float32, np.float64, np.uint8], allow_nd=True, reset=False)
        network = copy.deepcopy(self.network_).cpu().double()
        inputs = torch.from_numpy(self._inputs(X)).double()
        with torch.inference_mode():
            return np.concatenate([models.logits_of(network(part)).numpy() for part in inputs.split(256)])

    def _channels_first(self, X: Array) -> Array:
        """(n, features) → (n, 1, features); (n, H, W) → (n, 1, H, W); (n, H, W, C) → (n, C, H, W)"""
        if X.ndim == 4 and self.channels == "last":
            return np.moveaxis(X, -1, 1)
        return X if X.ndim == 4 else X[:, None]

    def _inputs(self, X: Array) -> NDArray[np.float32]:
        return np.ascontiguousarray((self._channels_first(X) - self._mean) / self._std, dtype=np.float32)


def _statistics(inputs: Array) -> tuple[Array, Array]:
    """Returns mean and std, per feature for features and per channel for pictures, ready to broadcast."""
    axes = (0,) if inputs.ndim == 3 else (0, *range(2, inputs.ndim))
    mean = inputs.mean(axis=axes, keepdims=True, dtype=np.float64)
    std = inputs.std(axis=axes, keepdims=True, dtype=np.float64)
    return mean, np.where(std > 0, std, 1.0)
