"""Tensors inside whatever a layer takes or gives."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor


def tensors_of(value: Any) -> list[Tensor]:
    """Returns every tensor in nested tuples, lists, dicts and dataclasses, in order."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    elif hasattr(value, "__dataclass_fields__"):
        value = [getattr(value, name) for name in value.__dataclass_fields__]
    if isinstance(value, (tuple, list)):
        return [tensor for part in value for tensor in tensors_of(part)]
    return []
