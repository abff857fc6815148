"""The flow of a network as places on a drawing: blocks to scale, arrows between them, arcs past them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log1p

from konv.app.anatomy import numbers
from konv.core.anatomy import Anatomy, Layer

MIDDLE, WIDEST, TALLEST = 200.0, 150.0, 46.0  # of the blocks
SLIM = 13.0  # height of a step that leaves the shape as it is
GAP = 17.0  # between two blocks
WORDS = 300.0  # where the words beside the blocks begin
LANE, LANES = 11.0, 8  # width of an arc's lane, and how many there are

FAMILIES = (  # the first that a kind's name holds
    ("convolution", ("conv",)),
    ("pooling", ("pool", "upsample", "interpolate", "pixel")),
    ("normalisation", ("norm",)),
    ("dense", ("linear", "lstm", "gru", "rnn", "attention", "embedding", "matmul")),
    ("joining", ("add", "cat", "mul", "sub", "stack")),
    ("activation", ("relu", "elu", "tanh", "sigmoid", "swish", "silu", "softmax", "dropout", "depth", "mish", "identity")),
)


@dataclass(frozen=True)
class Block:
    """One step: a rectangle, and the words beside it."""

    name: str
    kind: str
    family: str
    shape: str
    formula: str
    left: float
    top: float
    width: float
    height: float
    slim: bool

    @property
    def bottom(self) -> float:
        return self.top + self.height

    @property
    def middle(self) -> float:
        return self.top + self.height / 2


@dataclass(frozen=True)
class Arc:
    """What goes past other blocks: from one block's side to another's, along a lane of its own."""

    start: Block
    end: Block
    lane: float


@dataclass(frozen=True)
class Flow:
    blocks: tuple[Block, ...]  # the first is the input
    arrows: tuple[tuple[Block, Block], ...]
    arcs: tuple[Arc, ...]
    width: float
    height: float


def flow(anatomy: Anatomy, word: str) -> Flow:
    """Returns the drawing of an anatomy: widths to the scale of the maps' sides, heights by the logarithm of the channels."""
    shapes = [anatomy.input, *(layer.output for layer in anatomy.layers)]
    longest = max((shape[-1] for shape in shapes if len(shape) > 1), default=1)
    deepest = max((shape[0] for shape in shapes if shape), default=1)
    blocks = [_block(word, "", "input", anatomy.input, "", 10.0, longest, deepest, False)]
    for layer in anatomy.layers:
        top = blocks[-1].bottom + (5 if _slim(layer) else GAP)
        family = family_of(layer.kind)
        text = numbers.formula(layer)
        blocks.append(_block(layer.name, layer.kind, family, layer.output, text, top, longest, deepest, _slim(layer)))
    sources = {number + 1: [source + 1 for source in layer.sources] for number, layer in enumerate(anatomy.layers)}
    arrows = [(blocks[end - 1], blocks[end]) for end, starts in sources.items() if end - 1 in starts]
    past = [(start, end) for end, starts in sources.items() for start in starts if start != end - 1]
    longest_text = max(7.3 * len(block.name) + 6.8 * len(block.kind + block.shape) + 24 for block in blocks)
    return Flow(tuple(blocks), tuple(arrows), _arcs(past, blocks), max(640, WORDS + longest_text), blocks[-1].bottom + 12)


def family_of(kind: str) -> str:
    """Returns which of the seven colours a kind has."""
    plain = kind.lower()
    return next((family for family, parts in FAMILIES if any(part in plain for part in parts)), "other")


def _slim(layer: Layer) -> bool:
    return (
        layer.input == layer.output
        and not layer.multiply_adds
        and len(layer.sources) < 2
        and "=" not in layer.formula.split("√")[0]
    )


def _block(
    name: str, kind: str, family: str, shape: Sequence[int], formula: str, top: float, longest: int, deepest: int, slim: bool
) -> Block:
    side = shape[-1] / longest if len(shape) > 1 else 0.0
    width = max(9.0, WIDEST * side)
    height = SLIM if slim else 14 + (TALLEST - 14) * log1p(shape[0] if shape else 1) / log1p(deepest)
    return Block(name, kind, family, numbers.shape(shape), formula, MIDDLE - width / 2, top, width, max(height, SLIM), slim)


def _arcs(past: list[tuple[int, int]], blocks: list[Block]) -> tuple[Arc, ...]:
    """Gives each arc the innermost lane that is free along its way; the shortest come first."""
    taken: list[list[tuple[int, int]]] = []
    arcs = []
    for start, end in sorted(past, key=lambda pair: (pair[1] - pair[0], pair)):
        lane = next(
            (place for place, others in enumerate(taken) if all(end <= low or start >= high for low, high in others)),
            len(taken),
        )
        if lane == len(taken):
            taken.append([])
        taken[lane].append((start, end))
        arcs.append(Arc(blocks[start], blocks[end], MIDDLE - WIDEST / 2 - 14 - LANE * min(lane, LANES)))
    return tuple(arcs)
