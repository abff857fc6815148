"""ConvClassifier: konv's training behind scikit-learn's estimator contract."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from konv.classifier import CHUNK, Classifier, normalised
from konv.core.compose import check as check_recipe
from konv.core.errors import BadData, BadModel, BadRecipe, UnknownName
from konv.core.recipe import Choice, Fit, Recipe
from konv.datasets import Samples, stratified, view_of
from konv.models import logits_of
from konv.training.environment import choose_device
from konv.training.fit import Batches, fit
from konv.training.preparation import conclude, prepare
from konv.training.state import State

Array = NDArray[Any]
DTYPES = (np.float32, np.float64, np.uint8)  # any other kind of number becomes the first


class ConvClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """A convolutional network with fit, predict, predict_proba and score, for pipelines and searches of scikit-learn.

    X is (n, features), (n, H, W), or (n, H, W, C) — (n, C, H, W) with channels="first" — of uint8, or of numbers that fit
    float32. Features, or channels, are standardised with the training data's mean and std. `model` is a name of
    `konv models`; "auto" takes `mlp` for features and `plain` for pictures. Other parameters are the recipe's fit options
    of the same name; a batch size that would leave one sample over is raised a little, and never exceeds the data. With
    validation_fraction = 0 nothing is held out: the last weights are kept, and patience looks at the training data.

    The same random_state gives the same result; torch's and numpy's global states are left alone (random_state=None draws
    its seed from numpy's, as everywhere in scikit-learn). A wrong parameter is a ValueError with konv's sentence, raised
    by fit. Attributes after fit: classes_, n_features_in_, classifier_ (a konv.Classifier, for export and explanation),
    history_ (one Epoch per epoch), n_iter_ (epochs done).
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
        X, y = validate_data(self, X, y, dtype=DTYPES, allow_nd=True, ensure_min_samples=2)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"ConvClassifier needs at least two classes; y holds one class: {self.classes_[0]!r}.")
        seed = int(check_random_state(self.random_state).randint(2**31))
        with _as_value_error(), torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            inputs = self._inputs(X)
            recipe = self._recipe(seed, "mlp" if X.ndim == 2 else "plain")
            self._train(recipe, Samples(inputs, labels.astype(np.int64), ("",) * len(labels)))
        return self

    def predict_proba(self, X: Any) -> Array:
        """Returns the probability of each class, (n, K), in the order of classes_."""
        return np.asarray(torch.from_numpy(self._scores(X)).softmax(dim=1))

    def predict(self, X: Any) -> Array:
        """Returns the most likely class of each row."""
        best = self._scores(X).argmax(axis=1)
        return np.asarray(self.classes_[best])

    def decision_function(self, X: Any) -> Array:
        """Returns the network's scores, (n, K); for two classes their difference, (n,)."""
        scores = self._scores(X)
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    # ---- inside ----

    def _recipe(self, seed: int, model: str) -> Recipe:
        """The parameters as a recipe: ranges and names are checked where every recipe's are."""
        fit_options = {name: getattr(self, name) for name in Fit.model_fields if hasattr(self, name)}
        return check_recipe(
            {
                "seed": seed,
                "device": self.device,
                "model": Choice(name=model if self.model == "auto" else self.model, **(self.model_options or {})),
                "data": {"valid": self.validation_fraction} if self.validation_fraction else {},
                "fit": {**fit_options, "keep": "best" if self.validation_fraction else "last"},
            }
        )

    def _train(self, recipe: Recipe, samples: Samples) -> None:
        training = validation = samples
        if self.validation_fraction:
            kept, held = stratified(samples.labels, recipe.data.valid, recipe.seed)
            training, validation = samples.take(kept), samples.take(held)
        recipe = _fitting_batches(recipe, len(training))
        device, view = choose_device(recipe.device), view_of(training, "crop")
        plan, network = prepare(recipe, training, view, len(self.classes_), device)
        state = State(network, recipe.fit)
        self.history_ = list(fit(state, Batches.of(training, device), Batches.of(validation, device), plan))
        self.n_iter_ = len(self.history_)
        names = tuple(map(str, self.classes_))
        self.classifier_: Classifier = conclude(recipe, state, names, view).on("cpu")  # loads on any machine

    def _scores(self, X: Any) -> NDArray[np.float64]:
        """Scores (n, K) in double precision, so that a row's answer never depends on the rows beside it."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=DTYPES, allow_nd=True, reset=False)
        view = self.classifier_.view
        with _as_value_error():
            inputs = torch.from_numpy(self._inputs(X))
            if inputs.shape[1:] != view.shape:
                raise BadData(f"X holds samples of {tuple(inputs.shape[1:])}; this ConvClassifier was fitted on {view.shape}.")
            device = choose_device(self.device)
        if device.type == "mps":  # has no double precision
            device = torch.device("cpu")
        network = copy.deepcopy(self.classifier_.network).to(device, torch.float64)
        with torch.inference_mode():
            parts = [network(normalised(part.to(device), view).double()) for part in inputs.split(CHUNK)]
        return torch.cat([logits_of(part) for part in parts]).cpu().numpy()

    def _inputs(self, X: Array) -> Array:
        """(n, features) → (n, features, 1); (n, H, W) → (n, 1, H, W); (n, H, W, C) → (n, C, H, W); uint8 or float32."""
        if self.channels not in ("last", "first"):
            raise BadRecipe(f"channels = {self.channels!r} is out of range; it must be one of last, first.")
        if X.ndim == 2:
            X = X[..., None]
        elif X.ndim == 3:
            X = X[:, None]
        elif self.channels == "last":
            X = np.moveaxis(X, -1, 1)
        return np.require(X, np.uint8 if X.dtype == np.uint8 else np.float32, ("C", "W"))


def _fitting_batches(recipe: Recipe, size: int) -> Recipe:
    """Batches no larger than the data."""
    wanted = recipe.fit.batch_size
    fitting = wanted if isinstance(wanted, str) else min(wanted, size)
    return recipe.model_copy(update={"fit": recipe.fit.model_copy(update={"batch_size": fitting})})


@contextmanager
def _as_value_error() -> Iterator[None]:
    """Turns konv's errors about parameters and data into the ValueError that scikit-learn's users expect."""
    try:
        yield
    except (BadData, BadModel, BadRecipe, UnknownName) as error:
        raise ValueError(str(error)) from error
