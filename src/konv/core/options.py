"""The types an option of a shelf module may have, and the words for a value that does not fit one."""

import typing
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from konv.core.errors import BadRecipe, did_you_mean

Positive = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
Share = Annotated[float, Field(gt=0.0, le=1.0)]
NonNegative = Annotated[float, Field(ge=0.0)]
Activation = Literal["relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid"]
Stem = Literal["auto", "small", "large"]  # how a network begins: small keeps the size, large is the published one

_NAMES: dict[str, Any] = {
    **{name: getattr(typing, name) for name in ("Literal", "Any")},
    **{kind.__name__: kind for kind in (int, float, str, bool, tuple, list)},
    "Positive": Positive,
    "Fraction": Fraction,
    "Share": Share,
    "NonNegative": NonNegative,
    "Activation": Activation,
    "Stem": Stem,
}


def annotation_of(text: str) -> Any:
    """Returns the type that an option's annotation names; only the types of this module and Python's own plain ones."""
    return eval(text, {"__builtins__": {}}, _NAMES)  # the text is konv's own source, never a person's input


def convert(annotation: str, value: Any, where: str) -> Any:
    """Returns the value as the annotated type, or raises BadRecipe with the allowed range."""
    kind = annotation_of(annotation)
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError:
        raise BadRecipe(f"{where} = {show(value)} {complaint(kind, value)}") from None


_LIMITS = {"ge": "{} or more", "gt": "more than {}", "le": "{} or less", "lt": "less than {}"}


def allowed(kind: Any) -> str:
    """Returns the range of a type in words: "a whole number, 1 or more", "one of sgd, adam"."""
    if get_origin(kind) is Annotated:
        base, *extras = get_args(kind)
        return ", ".join([allowed(base), *_bounds(extras)])
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(str(value) for value in get_args(kind))
    if get_origin(kind) in (list, tuple):
        inner = [allowed(part) for part in get_args(kind) if part is not Ellipsis]
        return f"a list of: {inner[0]}" if inner else "a list"
    if get_args(kind):  # a union
        return " or ".join(allowed(part) for part in get_args(kind) if part is not type(None))
    if isinstance(kind, type) and issubclass(kind, BaseModel):  # a Choice
        return "a name, or a table of a name and its options"
    words = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
    return words.get(kind, getattr(kind, "__name__", "a value"))


def _bounds(extras: list[Any]) -> list[str]:
    words = []
    for extra in extras:
        for constraint in getattr(extra, "metadata", [extra]):
            limits = {name: getattr(constraint, name, None) for name in _LIMITS}
            words += [_LIMITS[name].format(f"{number:,}") for name, number in limits.items() if number is not None]
    return words


def complaint(kind: Any, value: Any) -> str:
    """Returns the second half of the sentence about a value that does not fit."""
    guess = did_you_mean(value, map(str, get_args(kind))) if isinstance(value, str) else ""
    return f"does not fit{guess or ':'} it must be {allowed(kind)}."


def show(value: Any) -> str:
    """Returns a value as a person typed it."""
    return repr(value) if isinstance(value, str) else str(value)
