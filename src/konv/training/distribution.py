"""Several processes as one training: torchrun starts them, torch.distributed joins them, rank 0 writes.

Every process holds the same weights and the same order of pictures and takes its part of each batch; gradients are averaged by
torch's DistributedDataParallel. docs/scaling.md has the lines to start it and what it costs.
"""

import os
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.distributed import DistError, Store, TCPStore  # type: ignore[attr-defined]

from konv.core.errors import BadRun, Elsewhere, KonvError, LostProcess

Result = TypeVar("Result")
JOINING = 600.0  # seconds that a process waits for the first one


@dataclass(frozen=True)
class Team:
    """The processes of one training, as seen from one of them; alone, every method does nothing or answers at once."""

    rank: int = 0  # 0 leads: it writes the run folder and speaks
    size: int = 1
    local_rank: int = 0  # among the processes of this machine

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def part(self, indices: Tensor) -> Tensor:
        """Returns this process's part of a batch; the parts differ by one sample at most and hold each sample once."""
        return indices.tensor_split(self.size)[self.rank] if self.size > 1 else indices

    def total(self, values: Sequence[float]) -> list[float]:
        """Returns the sum of each value over all processes, the same bits in every one."""
        if self.size == 1:
            return list(values)
        sums = torch.tensor(values, dtype=torch.float64)
        torch.distributed.all_reduce(sums)
        found: list[float] = sums.tolist()
        return found

    def align(self, tensors: Iterable[Tensor]) -> None:
        """Copies rank 0's values into the tensors of the others."""
        if self.size > 1:
            for tensor in tensors:
                torch.distributed.broadcast(tensor, src=0)

    def shared(self, network: nn.Module) -> nn.Module:
        """Returns the network behind torch's DistributedDataParallel, which averages gradients over the processes.

        `find_unused_parameters` keeps the order in which gradients are summed from changing after the first update, so
        that a resumed training sums them as the undisturbed one did.
        """
        if self.size == 1:
            return network
        from torch.nn.parallel import DistributedDataParallel

        return DistributedDataParallel(network, find_unused_parameters=True)

    def led(self, make: Callable[[], Result]) -> Result:
        """Returns what `make` gives in rank 0, in every process; its KonvError stops them all."""
        if self.size == 1:
            return make()
        given: list[Any] = [None, None]
        if self.leads:
            try:
                given[0] = make()
            except KonvError as error:
                given[1] = error
        torch.distributed.broadcast_object_list(given, src=0)
        if given[1] is not None:
            raise self._as_told_by(0, given[1])
        found: Result = given[0]
        return found

    def in_turn(self, make: Callable[[], Result]) -> Result:
        """Returns what `make` gives here; on each machine one process goes first, so that the others find its cache filled."""
        if self.size == 1:
            return make()
        made: list[Result] = []
        for turn in (True, False):
            error = None
            if (self.local_rank == 0) is turn:
                try:
                    made.append(make())
                except KonvError as failed:
                    error = failed
            self._stop_where_any(error)
        return made[0]

    def require_same(self, facts: Mapping[str, Any]) -> None:
        """Raises BadRun where another process has other facts than rank 0: another recipe, other data, another torch."""
        if self.size == 1:
            return
        theirs: list[Any] = [None] * self.size
        torch.distributed.all_gather_object(theirs, dict(facts))
        for rank, other in enumerate(theirs):
            differing = [name for name in facts if other[name] != theirs[0][name]]
            if differing:
                error = BadRun(
                    f"the processes do not agree: {differing[0]} is {theirs[0][differing[0]]} in process 0 and "
                    f"{other[differing[0]]} in process {rank}; start all of them with the same command, data and packages."
                )
                raise self._as_told_by(0, error)

    def _stop_where_any(self, error: KonvError | None) -> None:
        errors: list[Any] = [None] * self.size
        torch.distributed.all_gather_object(errors, error)
        first = next((rank for rank, found in enumerate(errors) if found is not None), None)
        if first is not None:
            raise self._as_told_by(first, errors[first])

    def _as_told_by(self, rank: int, error: KonvError) -> KonvError:
        """Returns the mistake itself in the process that tells it, and Elsewhere in the others."""
        return error if self.rank == rank else Elsewhere(str(error))


ALONE = Team()


def leads() -> bool:
    """True in a process of its own and in the first of those torchrun started: the one that speaks."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def joined(device: torch.device) -> Iterator[Team]:
    """Yields the team of this process: alone, or all that torchrun started, joined through gloo or NCCL."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE
        return
    missing = [name for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if missing:
        raise BadRun(f"WORLD_SIZE is {size} but {missing[0]} is not set; start several processes with torchrun.")
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    rank = int(os.environ["RANK"])
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    torch.distributed.init_process_group(backend, store=_meeting_place(rank), rank=rank, world_size=size)
    try:
        with telling_losses():
            yield Team(rank, size, int(os.environ["LOCAL_RANK"]))
    finally:  # its threads must not outlive the interpreter, which would abort
        torch.distributed.destroy_process_group()


def _meeting_place(rank: int) -> Store:
    """Returns a store that belongs to this start of the processes alone; rank 0 keeps it and tells the others its port.

    torchrun's own lives on over restarts, and a process that reads there where another one *was* waits for it for half an hour
    (pytorch/pytorch#135712). A port left from an earlier start refuses the connection, so it is asked for again.
    """
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return TCPStore(host, port, is_master=rank == 0, wait_for_workers=False)
    known = TCPStore(host, port, is_master=False, wait_for_workers=False)
    if rank == 0:
        own = TCPStore(host, 0, is_master=True, wait_for_workers=False)
        known.set("konv_port", str(own.port))
        return own
    give_up = monotonic() + JOINING
    while not _answers(host, told := int(known.get("konv_port"))):
        if monotonic() > give_up:
            raise LostProcess(f"process 0 was not there within {JOINING / 60:.0f} minutes; look at what it says.")
        sleep(0.1)
    return TCPStore(host, told, is_master=False, wait_for_workers=False)


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=5):
            return True
    except OSError:
        return False


@contextmanager
def telling_losses() -> Iterator[None]:
    """Raises LostProcess, in one sentence, where torch.distributed finds that another process has gone."""
    try:
        yield
    except RuntimeError as error:
        if not (isinstance(error, DistError) or "gloo" in str(error)):
            raise
        raise LostProcess(
            "another process of this training has ended; what was done is in the checkpoint. Run the same command again, "
            "or let torchrun do it: --max-restarts 3."
        ) from error
