"""Profile: where the time of a training step goes, layer by layer. Frozen data, JSON in and out."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Bound = Literal["arithmetic", "memory", "overhead"]
Part = Literal["inputs", "between", "loss", "gradient", "optimizer", "average", "rest"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class LayerTime(_Frozen):
    """One layer in one training step: what it took, what it did, and what held it back."""

    name: str  # dotted, as in the network
    kind: str  # class of the module
    output: tuple[int, ...]  # shape for one batch
    calls: int  # per step
    milliseconds_forward: float  # median over the steps measured, of all calls together
    milliseconds_backward: float
    gflop: float  # 10⁹ floating-point operations, forward and backward, two per multiply-add
    megabytes: float  # 10⁶ bytes, the least that must move: inputs, outputs, weights, and their gradients
    gflops: float  # 10⁹ operations per second
    gigabytes_per_second: float
    bound: Bound  # which roof is nearer; "overhead" where neither is reached to a tenth
    roof: float  # share of the nearer roof that is reached; over 1 where the data stays in the processor's cache

    @property
    def milliseconds(self) -> float:
        return self.milliseconds_forward + self.milliseconds_backward


class PartTime(_Frozen):
    """What a training step does besides its layers."""

    name: Part
    milliseconds: float


class Profile(_Frozen):
    """Where the time of a recipe's training step goes: layers and parts, which add up to `milliseconds`."""

    format: int = 1
    model: str
    source: str
    batch_size: int
    precision: str
    device: str
    threads: int
    steps: int  # measured with clocks, and as many without
    layers: tuple[LayerTime, ...]  # in the order they are first called
    parts: tuple[PartTime, ...]
    milliseconds: float  # sum of all layers and parts
    milliseconds_undisturbed: float  # median of the same steps without clocks
    spread: float  # of those: their middle half over the median; large where something else used the machine
    pictures_per_second: float  # undisturbed
    gflop: float  # of all layers, per step
    gflops: float  # undisturbed
    gemm_gflops: float  # of this machine, at the same moment, precision and thread count
    copy_gigabytes_per_second: float  # read and written
    gemm_share: float  # gflops / gemm_gflops
