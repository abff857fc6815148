"""What benchmarks/fashion_mnist.py runs: the script, konv and the peers, each as a cold process; and what one run costs."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from time import perf_counter, sleep

HERE = Path(__file__).parent
LOOK = 0.02  # seconds between two looks for the saved classifier
TICKS = os.sysconf("SC_CLK_TCK")  # of /proc/PID/stat, per second
PEERS = {"lightning": {}, "fastai": {}, "skorch": {}, "bare": {}, "keras-torch": {"KERAS_BACKEND": "torch"}}
PEERS |= {"keras-jax": {"KERAS_BACKEND": "jax"}}
NEEDS = {"lightning": "lightning", "fastai": "fastai", "skorch": "skorch", "bare": "torch", "keras-torch": "keras,torch"}
NEEDS |= {"keras-jax": "keras,jax"}


@dataclass(frozen=True)
class Side:
    """A column of the table: `command(seed)` is run in a process of its own and prints one JSON object last."""

    name: str
    title: str
    command: Callable[[int], list[str]]
    saved: Callable[[int], Path] | None = None  # the file that appears once the classifier is on the disk
    settings: Mapping[str, str] = field(default_factory=dict)  # of its environment


@dataclass(frozen=True)
class Outcome:
    """What one process cost and reached; seconds of wall and of processor (user + system)."""

    accuracy: float
    pictures_per_second: float
    training: float
    saved: float  # wall seconds from the start of the process until the classifier was on the disk
    saved_processor: float
    whole: float
    whole_processor: float
    memory: float  # MiB, peak resident


def sides(folder: Path, epochs: int, limit: int, threads: int) -> list[Side]:
    """Returns (a) the script, (b) konv's quick recipe, (b2) konv on the script's network, batch and optimizer."""

    def konv(name: str, settings: Sequence[str], *flags: str) -> Callable[[int], list[str]]:
        given = [*settings, *([f"data.limit={limit}"] if limit else []), *([f"threads={threads}"] if threads else [])]
        asked = [*flags, *(part for setting in given for part in ("--set", setting))]
        start = [sys.executable, "-m", "konv", "train", "fashion-mnist", "--json", "--quiet", *asked]
        return lambda seed: [*start, "--set", f"seed={seed}", "--out", str(folder / f"{name}{seed}")]

    def classifier(name: str) -> Callable[[int], Path]:
        return lambda seed: folder / f"{name}{seed}" / "classifier" / "classifier.json"

    script = [sys.executable, str(HERE / "straightforward.py"), str(folder), str(epochs)]
    same = same_network(epochs)
    return [
        Side("a", "straightforward script", lambda seed: [*script, str(seed), str(limit)], lambda _: folder / "saved"),
        Side("b", "konv train fashion-mnist --recipe quick", konv("quick", (), "--recipe", "quick"), classifier("quick")),
        Side("b2", "konv, the script's network", konv("same", same), classifier("same")),
    ]


def same_network(epochs: int) -> list[str]:
    """Returns every setting that makes konv train what the script trains, whatever the ready recipe says."""
    from konv.core.recipe import Recipe

    plain = {key: value for key, value in Recipe().flat().items() if key.startswith("fit.") and value not in (None, [])}
    course = {"fit.optimizer": "adam", "fit.learning_rate": 0.001, "fit.batch_size": 100, "fit.schedule": "constant"}
    course |= {"fit.weight_decay": 0, "fit.augment": "", "fit.keep": "last", "fit.epochs": epochs}
    return ["model.name=fashion_cnn", *(f"{key}={value}" for key, value in {**plain, **course}.items())]


def peers(wanted: str, python: Path, folder: Path, epochs: int, limit: int) -> list[Side]:
    """Returns the peers of a comma-separated list that `python` can import; `auto` is all of them, `none` none."""
    names = {"auto": list(PEERS), "none": []}.get(wanted, wanted.split(","))
    unknown = [name for name in names if name not in PEERS]
    if unknown:
        sys.exit(f"no peer is called {', '.join(unknown)}; there are {', '.join(PEERS)}.")
    return [_peer(name, python, folder, epochs, limit) for name in names if _importable(name, python)]


def _peer(name: str, python: Path, folder: Path, epochs: int, limit: int) -> Side:
    script = HERE / "peers" / f"peer_{name.partition('-')[0]}.py"
    start = [str(python), str(script), str(folder), str(epochs)]
    return Side(name, name, lambda seed: [*start, str(seed), str(limit)], settings=PEERS[name])


def _importable(name: str, python: Path) -> bool:
    environment = {**os.environ, **PEERS[name]}
    there = subprocess.run([str(python), "-c", f"import {NEEDS[name]}"], capture_output=True, check=False, env=environment)
    if there.returncode:
        print(f"{name} is left out: {python} cannot import {NEEDS[name]}", file=sys.stderr)
    return there.returncode == 0


def measured(side: Side, seed: int) -> Outcome:
    """Runs a side in a process of its own, cold, and returns what it cost; ends the benchmark where it fails."""
    file = side.saved(seed) if side.saved else None
    if file is not None:
        file.unlink(missing_ok=True)
    began = perf_counter()
    process = subprocess.Popen(side.command(seed), stdout=subprocess.PIPE, env={**os.environ, **side.settings})
    assert process.stdout is not None
    seen: list[float] = []
    over = Event()
    looking = Thread(target=_look, args=(file, process.pid, began, seen, over))
    looking.start()
    printed = process.stdout.read().decode()
    over.set()
    looking.join()  # before the process is taken from /proc
    _, status, usage = os.wait4(process.pid, 0)
    whole, processor = perf_counter() - began, usage.ru_utime + usage.ru_stime
    if status:
        sys.exit(f"{' '.join(side.command(seed))} ended with status {status}")
    facts = json.loads(printed.strip().splitlines()[-1])
    saved, saved_processor = seen or (whole, processor)
    rate = facts.get("pictures_per_second") or konv_rate(Path(facts["run"]))
    costs = saved, saved_processor, whole, processor, usage.ru_maxrss / 1024
    return Outcome(facts["accuracy"], rate, facts["seconds_training"], *costs)


def konv_rate(run: Path) -> float:
    """Returns the training pictures of a second of training time, validation and checkpoints left out."""
    rows = [json.loads(line) for line in (run / "history.jsonl").read_text(encoding="utf-8").splitlines()]
    return len(rows) / sum(1 / row["pictures_per_second"] for row in rows)


def _look(file: Path | None, process: int, began: float, seen: list[float], over: Event) -> None:
    """Notes wall and processor seconds when the file is first seen."""
    while file is not None and not over.is_set() and not seen:
        if file.exists():
            ticks = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            seen += [perf_counter() - began, (int(ticks[11]) + int(ticks[12])) / TICKS]  # utime, stime: proc(5)
        sleep(LOOK)
