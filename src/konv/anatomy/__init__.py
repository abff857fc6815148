"""Anatomy: every step of a network's forward pass with its shapes, formulas, parameters, cost, memory, receptive field."""

from konv.anatomy._dissect import Attempt, Failure, attempt, dissect, example, walk
from konv.anatomy._formulas import cross, told
from konv.anatomy._tensors import tensors_of
from konv.anatomy._tracing import Step, function_name
from konv.anatomy._worked import explain

__all__ = [
    "Attempt",
    "Failure",
    "Step",
    "attempt",
    "cross",
    "dissect",
    "example",
    "explain",
    "function_name",
    "tensors_of",
    "told",
    "walk",
]
