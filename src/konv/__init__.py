"""konv: train, compare, look inside, shrink and ship convolutional networks on PyTorch.

Every public name is imported on first use (PEP 562), so `import konv` is cheap.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from konv.anatomy import dissect as dissect
    from konv.app.verbs import evaluate as evaluate
    from konv.app.verbs import predict as predict
    from konv.app.verbs import report as report
    from konv.app.verbs import resume as resume
    from konv.app.verbs import train as train
    from konv.classifier import Classifier as Classifier
    from konv.core.anatomy import Anatomy as Anatomy
    from konv.core.compose import compose as compose
    from konv.core.errors import BadArtifact as BadArtifact
    from konv.core.errors import BadData as BadData
    from konv.core.errors import BadModel as BadModel
    from konv.core.errors import BadRecipe as BadRecipe
    from konv.core.errors import BadRun as BadRun
    from konv.core.errors import Diverged as Diverged
    from konv.core.errors import KonvError as KonvError
    from konv.core.errors import MissingExtra as MissingExtra
    from konv.core.errors import UnknownName as UnknownName
    from konv.core.findings import Finding as Finding
    from konv.core.recipe import Choice as Choice
    from konv.core.recipe import Recipe as Recipe
    from konv.core.results import Epoch as Epoch
    from konv.core.results import Prediction as Prediction
    from konv.core.results import Report as Report
    from konv.core.run import Run as Run
    from konv.core.view import View as View
    from konv.datasets import Data as Data
    from konv.datasets import Samples as Samples
    from konv.datasets import load as load
    from konv.training.estimator import ConvClassifier as ConvClassifier

_HOME = {
    "konv.anatomy": ("dissect",),
    "konv.app.verbs": ("evaluate", "predict", "report", "resume", "train"),
    "konv.classifier": ("Classifier",),
    "konv.core.anatomy": ("Anatomy",),
    "konv.core.compose": ("compose",),
    "konv.core.errors": (
        "BadArtifact",
        "BadData",
        "BadModel",
        "BadRecipe",
        "BadRun",
        "Diverged",
        "KonvError",
        "MissingExtra",
        "UnknownName",
    ),
    "konv.core.findings": ("Finding",),
    "konv.core.recipe": ("Choice", "Recipe"),
    "konv.core.results": ("Epoch", "Prediction", "Report"),
    "konv.core.run": ("Run",),
    "konv.core.view": ("View",),
    "konv.datasets": ("Data", "Samples", "load"),
    "konv.training.estimator": ("ConvClassifier",),
}
_WHERE = {name: module for module, names in _HOME.items() for name in names}

__all__ = sorted(_WHERE)  # noqa: PLE0605 - a list of texts all the same
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'konv' has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
