"""Fashion-MNIST: konv beside the straightforward script and other libraries, in turn (A B B2 C … A B B2 C …) on one machine.

    python benchmarks/fashion_mnist.py --pairs 3
    python benchmarks/fashion_mnist.py --pairs 3 --peers auto --peer-python /path/to/venv/bin/python

(a) is benchmarks/straightforward.py, (b) `konv train fashion-mnist --recipe quick`, (b2) konv on the script's network,
batch, optimizer and epochs; the peers train that network too (benchmarks/peers), in the other Python where one is named. Each
run is a process of its own, cold. Prints two Markdown tables, medians with lowest and highest, and ratios pair by pair:

* time to (a)'s final accuracy: from the start of the process until the classifier is on the disk, and until the process ends,
  which for konv includes the final score with intervals, the report page and its figures, for the script the test accuracy;
* pictures per second of the same network at the same batch. konv's are those of the training steps; a peer's those of its
  fastest epoch, so that a first one with a compiler does not count; the script's those of all epochs.

The machine's matrix speed (GFLOP/s of a 1024² product in float32 on as many threads) is measured before every pair; wall
seconds × that speed is the cost in operations the machine could have done meanwhile, so that machines compare.
"""

import argparse
import gzip
import json
import os
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import torch
from _gemm import gemm_gflops
from _sides import Outcome, Side, measured, peers, sides
from _tables import Pair, machine, same_network_table, time_table

DEBIAN = Path("/usr/share/datasets/fashion-mnist")


def main() -> None:
    options = _options()
    _set_threads(options.threads)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _unpack(folder / "FashionMNIST" / "raw")
        ours = sides(folder, options.epochs, options.limit, options.threads)
        theirs = peers(options.peers, options.peer_python, folder, options.peer_epochs, options.limit)
        pairs = [_pair([*ours, *theirs], seed, options.pairs) for seed in range(options.pairs)]
    if options.json:
        rows = [
            {"gemm_gflops": pair.gflops, **{name: asdict(found) for name, found in pair.outcomes.items()}} for pair in pairs
        ]
        options.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    print(
        f"{len(pairs)} pairs in turn on {machine(pairs)}; (a) and (b2): {options.epochs} epochs, peers {options.peer_epochs}."
    )
    if options.limit:
        print(f"A trial with the first {options.limit:,} training pictures only: no figure below means anything.")
    print(f"\n{time_table(pairs)}\n\n{same_network_table(pairs, [*ours, *theirs])}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=3, help="runs of each side")
    parser.add_argument("--epochs", type=int, default=5, help="epochs of (a) and (b2)")
    parser.add_argument("--peer-epochs", type=int, default=2, help="epochs of each peer")
    parser.add_argument("--threads", type=int, default=0, help="processor threads of every side; 0: what each takes by itself")
    parser.add_argument(
        "--peers", default="none", help="auto, none, or names with commas: lightning,fastai,skorch,bare,keras-jax"
    )
    parser.add_argument("--peer-python", type=Path, default=Path(sys.executable), help="the Python that has the peers")
    parser.add_argument("--limit", type=int, default=0, help="a trial: only so many training pictures")
    parser.add_argument("--json", type=Path, help="write every single outcome to this file")
    return parser.parse_args()


def _set_threads(threads: int) -> None:
    """For this process, which measures the matrix speed, and for those it starts; XLA heeds only the processors it may use."""
    if not threads:
        return
    torch.set_num_threads(threads)
    os.environ |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def _unpack(raw: Path) -> None:
    """torchvision reads the four IDX files unpacked."""
    raw.mkdir(parents=True)
    for packed in DEBIAN.glob("*.gz"):
        with gzip.open(packed) as source, open(raw / packed.stem, "wb") as target:
            shutil.copyfileobj(source, target)
    if len(list(raw.iterdir())) != 4:
        sys.exit(f"{DEBIAN} does not hold the four files of Fashion-MNIST: apt install dataset-fashion-mnist")


def _pair(every: list[Side], seed: int, of: int) -> Pair:
    gflops = gemm_gflops()
    print(f"{seed + 1} of {of}: {gflops:.0f} GFLOP/s", file=sys.stderr)
    outcomes: dict[str, Outcome] = {}
    for side in every:
        outcomes[side.name] = measured(side, seed)
        print(f"  {side.name:12} {outcomes[side.name]}", file=sys.stderr, flush=True)
    return Pair(gflops, outcomes)


if __name__ == "__main__":
    main()
