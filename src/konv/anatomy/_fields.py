"""The receptive field of every tensor of one forward pass, followed through torch's own operations."""

from fractions import Fraction
from typing import Any

from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from konv.anatomy._field import Atom, Axis, Field, Lost
from konv.anatomy._field_rules import Call, rule_of
from konv.anatomy._tensors import tensors_of


class Fields:
    """The field of every tensor of one forward pass; a tensor that cannot be followed has none."""

    def __init__(self) -> None:
        self._of = WeakIdKeyDictionary()

    def begin(self, tensor: Tensor) -> None:
        """Notes an input (N, C, *space)."""
        space = tensor.shape[2:]
        axes = tuple(Axis(Fraction(1), Fraction(1), Fraction(0), length) for length in space)
        flat = tuple((Atom(length),) for length in tensor.shape[:2])
        self._of[tensor] = Field(axes, flat + tuple((Atom(length, axis),) for axis, length in enumerate(space)))

    def of(self, tensor: Tensor) -> Field | None:
        found: Field | None = self._of.get(tensor)
        return found

    def follows(self, arguments: Any) -> bool:
        """True where one of the tensors follows from the input."""
        return any(tensor in self._of for tensor in tensors_of(arguments))

    def follow(self, operation: Any, given: tuple[Any, ...], named: dict[str, Any], output: Any) -> None:
        """Notes the fields of what an operation gave."""
        taken = [tensor for tensor in tensors_of((given, named)) if tensor in self._of]
        if not taken:
            return
        results = tensors_of(output)
        try:
            fields = self._fields(operation, given, named, taken, results)
        except (Lost, LookupError, TypeError, ValueError, ArithmeticError):  # the latter: a variant that no rule foresaw
            fields = [None] * len(results)
        for tensor, found in zip(results, fields, strict=True):
            self._of[tensor] = found

    def _fields(self, operation: Any, given: Any, named: Any, taken: Any, results: list[Tensor]) -> list[Field | None]:
        fields: list[Field] = []
        for tensor in taken:
            found = self._of[tensor]
            if found is None:
                raise Lost
            fields.append(found)
        name = operation.overloadpacket.__name__.removesuffix("_")
        shapes = [tuple(tensor.shape) for tensor in results]
        call = Call(name, given, named, fields, [self._of.get(part) if isinstance(part, Tensor) else None for part in given])
        rule = rule_of(name, operation)
        return [rule(call, shape) for shape in shapes]
