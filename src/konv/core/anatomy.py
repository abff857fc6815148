"""Anatomy: the layers of a network as data: shapes, formulas, parameters, cost, memory, receptive field."""

from pydantic import BaseModel, ConfigDict

from konv.core.findings import Finding

Shape = tuple[int, ...]  # of one sample: (C, *space) or (features,)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Layer(_Frozen):
    """One step of the forward pass: a call of a layer, or of a function such as an addition."""

    name: str  # as in named_modules; of a function: the module that calls it, a dot and the function's name
    kind: str  # class of the layer, or name of the function
    input: Shape
    output: Shape
    formula: str  # the output size with its numbers
    parameters: int  # 0 where an earlier step has counted them
    parameters_formula: str
    multiply_adds: int  # for one sample
    multiply_adds_formula: str
    receptive_field: Shape | None  # input pixels that one value of the output depends on, per axis; None: not known
    stride: tuple[float, ...] | None = None  # input pixels between two neighbours of the output
    offset: tuple[float, ...] | None = None  # centre of the first output value, in input pixels; 0 is the first pixel
    inputs: tuple[Shape, ...] = ()  # all tensors that came in
    outputs: tuple[Shape, ...] = ()
    sources: tuple[int, ...] = ()  # numbers of the steps it takes in, from 0; -1 is the network's input
    module: bool = True  # False: a function called between layers
    shared: bool = False  # its parameters were counted at an earlier step
    forward_bytes: int = 0  # of the output, one sample
    backward_bytes: int | None = None  # newly kept for the backward pass, one sample; None: not measured
    multiply_adds_share: float = 0.0  # of the whole network
    parameters_share: float = 0.0
    milliseconds: float | None = None  # median, where it was asked for


class Unused(_Frozen):
    """Parameters that no step of the forward pass touched."""

    name: str
    parameters: int


class Anatomy(_Frozen):
    """Every step of a network's forward pass in the order it is run, and the totals."""

    format: int = 1
    network: str
    input: Shape
    layers: tuple[Layer, ...]
    parameters: int  # each counted once
    trainable: int
    multiply_adds: int  # for one sample: products that are summed up, in convolutions, linear layers and attention
    forward_bytes: int  # outputs of all steps, one sample
    backward_bytes: int | None = None  # kept for the backward pass, one sample
    parameter_bytes: int = 0
    milliseconds: float | None = None  # of the whole forward pass, batch of one, undisturbed
    complete: bool = True  # False: a layer failed, and the steps end there
    stopped: str | None = None  # name of the step that failed
    unused: tuple[Unused, ...] = ()
    findings: tuple[Finding, ...] = ()  # what the doctor says of it


Grid = tuple[tuple[float, ...], ...]


class Worked(_Frozen):
    """One output value of a layer, computed by hand on small numbers and compared with torch."""

    place: Shape  # of the value in its map
    window: Grid  # what the kernel covers, first input channel
    kernel: Grid = ()  # of the first output channel, first input channel; empty where there are no weights
    products: Grid = ()
    numbers: dict[str, float] = {}  # what else goes into the value, in order
    result: float
    torch: float  # what torch.nn.functional gives


class Variant(_Frozen):
    """A layer with one argument changed, and what that does to size and cost; the layer itself comes first."""

    argument: str
    value: str
    output: Shape | None  # None: the layer cannot be made or run so
    parameters: int = 0
    multiply_adds: int = 0
    receptive_field: Shape | None = None  # of this layer alone


class Explanation(_Frozen):
    """One layer at length."""

    layer: Layer
    arguments: dict[str, str]
    worked: tuple[Worked, ...] = ()
    variants: tuple[Variant, ...] = ()
