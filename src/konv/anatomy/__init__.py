"""Anatomy: every step of a network's forward pass with its shapes, formulas, parameters, cost, memory, receptive field."""

from konv.anatomy._dissect import Attempt, Failure, attempt, dissect
from konv.anatomy._worked import explain

__all__ = ["Attempt", "Failure", "attempt", "dissect", "explain"]
