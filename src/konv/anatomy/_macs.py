"""Multiply-adds of torch's own operations, as they run: the measured side of every formula."""

from typing import Any

from torch.utils.flop_counter import flop_registry


def multiply_adds(operation: Any, arguments: tuple[Any, ...], options: dict[str, Any], output: Any) -> int:
    """Returns the products that an operation sums up, for the whole batch; 0 for one that is no matrix product.

    The convention of published counts (torchvision's `_ops`, fvcore): a bias, a normalisation and an activation are free.
    """
    count = flop_registry.get(operation.overloadpacket)
    return 0 if count is None else int(count(*arguments, **options, out_val=output)) // 2
