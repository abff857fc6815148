"""Errors a person can fix; each message says what was given, what would work, and where.

KonvError
├── UnknownName     a name that is on no shelf; the message guesses the one that was meant
├── BadRecipe       a recipe key or value
├── BadData         a data source or a picture
├── BadModel        a network that cannot be built or does not fit its input
├── BadRun          a run folder that cannot be used as asked
├── BadArtifact     a saved classifier that cannot be trusted
├── Diverged        training produced a number that is not finite
├── LostProcess     another process of the same training has ended
├── Elsewhere       a mistake that another process of the same training tells
└── MissingExtra    an optional package that is not installed
"""

from collections.abc import Iterable
from difflib import get_close_matches


class KonvError(Exception):
    """A mistake its reader can mend: shown as one sentence, without a traceback."""


class UnknownName(KonvError):
    """A name that is on no shelf."""


class BadRecipe(KonvError):
    """A recipe with an unknown key or a value out of range."""


class BadData(KonvError):
    """A data source or a picture that cannot be used."""


class BadModel(KonvError):
    """A network that cannot be built or does not fit its input."""


class BadRun(KonvError):
    """A run folder that cannot be used as asked."""


class BadArtifact(KonvError):
    """A saved classifier that is damaged, unknown or not trusted."""


class Diverged(KonvError):
    """A loss or a gradient that is not finite; the last good weights are kept."""


class LostProcess(KonvError):
    """Another process of the same training has ended; the checkpoint holds what was done."""


class Elsewhere(KonvError):
    """A mistake that another process of the same training has told already."""


class MissingExtra(KonvError):
    """An optional package that is not installed."""


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """Returns ", did you mean NAME?" for the known name nearest to the given one, or an empty text."""
    wanted = given.lower().replace("-", "_")
    nearest = get_close_matches(wanted, list(known), n=1, cutoff=0.55)
    return f", did you mean {nearest[0]}?" if nearest else ""
