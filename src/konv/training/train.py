"""`stream(recipe)`: one training from a recipe to its final score, as a stream of records."""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import torch

from konv import datasets, models
from konv.core.compose import check, shelf_of
from konv.core.errors import BadRun, Diverged, LostProcess
from konv.core.files import clear_temporaries, replacing
from konv.core.recipe import Recipe
from konv.core.results import Epoch, Report
from konv.core.run import Run
from konv.datasets import Data
from konv.evaluation import evaluate, examples
from konv.training import checkpoints
from konv.training.distribution import joined, telling_losses
from konv.training.environment import choose_device, describe, differences
from konv.training.fit import Batches, Plan, Step, steps
from konv.training.preparation import conclude, prepare
from konv.training.pretrained import read_as_trained, seen_as_trained, weights_digest
from konv.training.state import State, Tensors

REPORT_BYTES = 20 * 2**20  # page, figures, predictions and splits of a large data set
CHECKPOINT_SECONDS = 30.0  # between two checkpoints inside an epoch
CHEAP_SECONDS = 0.1  # a checkpoint that takes longer is put off at the end of an epoch until it costs less than COST
COST = 0.01  # of the time since the one before it


@dataclass(frozen=True)
class Started:
    """The first record: what is trained, where, and what of it is already done."""

    run: Run
    recipe: Recipe
    data: Data
    parameters: int
    device: str
    threads: int
    resumed_at: int  # updates already done; 0 for a fresh start
    notes: tuple[str, ...]  # what a person should know: passed-over checkpoints, a changed envelope
    processes: int = 1
    save: Callable[[], None] = lambda: None  # writes a checkpoint of the last whole update, from any thread


@dataclass(frozen=True)
class Finished:
    """The last record: the run with its report."""

    run: Run
    report: Report
    resumed: bool  # some of the work had been done before


Record = Started | Step | Epoch | Finished


def stream(recipe: Recipe, *, out: Path | None = None, data: Data | None = None) -> Iterator[Record]:
    """Trains what the recipe says and yields Started, then Step and Epoch records, then Finished.

    The run folder is `out`, or runs/ with a name that follows from the recipe; a run of the same recipe found there is
    taken up where it stopped. Closing the stream writes a checkpoint first. Raises a KonvError a person can mend.
    """
    recipe = read_as_trained(_absolute(check(recipe.model_dump())))
    device = choose_device(recipe.device)
    with threads(recipe.threads), torch.random.fork_rng(), joined(device) as team, ExitStack() as held:
        data = seen_as_trained(data or team.in_turn(lambda: datasets.load(recipe.data)), recipe.model)
        network_digest = _network_digest(recipe)
        environment = describe(device, recipe.fit.precision, team.size) | {"network_sha256": network_digest}
        alike = ("torch", "precision", "network_sha256")
        same = {"recipe": recipe.key, "data": data.fingerprint, **{name: environment[name] for name in alike}}
        team.require_same(same)
        plan, network = prepare(recipe, data.train, data.view, len(data.classes), device, team)
        folder = out if out is not None else default_folder(recipe, data.fingerprint)
        state = State(network, recipe.fit)

        def opened() -> tuple[Run, list[str]]:
            _require_space(folder, state)
            run, notes = _open_or_create(folder, recipe, data, environment)
            held.enter_context(run.writing())
            return run, notes

        run, notes = team.led(opened)
        yield from _train(run, recipe, data, plan, state, notes, device)


def default_folder(recipe: Recipe, fingerprint: str) -> Path:
    """Returns runs/SOURCE-MODEL-KEY: the same recipe, data and network text always have the same folder."""
    model = recipe.model.name.rpartition(":")[2]
    content = f"{_absolute(recipe).key} {fingerprint} {_network_digest(recipe)}"
    key = hashlib.sha256(content.encode()).hexdigest()[:12]
    return Path("runs") / f"{Path(recipe.data.source).stem}-{model}-{key}"


# ---- before ----


def _absolute(recipe: Recipe) -> Recipe:
    """A run can be resumed from anywhere: paths in its recipe are whole."""
    updates: dict[str, Any] = {}
    if shelf_of(recipe.data.source) in ("folder", "arrays"):
        updates["data"] = recipe.data.model_copy(update={"source": str(Path(recipe.data.source).expanduser().absolute())})
    if models.is_own(recipe.model):
        file, _, name = recipe.model.name.rpartition(":")
        updates["model"] = recipe.model.model_copy(update={"name": f"{Path(file).expanduser().absolute()}:{name}"})
    return recipe.model_copy(update=updates)


def _network_digest(recipe: Recipe) -> str | None:
    """Returns the sha256 of the file a person's own network, or the first weights of another, are in; what is on the shelf
    belongs to konv's version.
    """
    own = models.is_own(recipe.model)
    return models.digest(models.read_source(recipe.model.name)[2]) if own else weights_digest(recipe.model)


def _open_or_create(folder: Path, recipe: Recipe, data: Data, environment: dict[str, Any]) -> tuple[Run, list[str]]:
    if not (folder.is_dir() and any(folder.iterdir())):
        return Run.create(folder, recipe, environment, data.split()), []
    run = Run.open(folder)
    if run.recipe.key != recipe.key:
        raise BadRun(f"{folder} holds a run of another recipe ({_difference(run.recipe, recipe)}); choose another --out.")
    run.require_same_data(data.fingerprint)
    if run.environment.get("network_sha256") != environment["network_sha256"]:
        what = models.weights_file(recipe.model) or recipe.model.name
        raise BadRun(f"{what} has changed since the run in {folder} began; choose another --out for the new one.")
    changed = differences(run.environment, environment)
    return run, [f"continued outside the envelope it began in, so not bit for bit: {'; '.join(changed)}"] if changed else []


def _require_space(folder: Path, state: State) -> None:
    """Raises BadRun where the disk cannot hold what the run will write, before any of it is written."""
    state_bytes = sum(tensor.nbytes for tensor in state.tensors().values())
    needed = (checkpoints.KEPT + 2) * state_bytes + REPORT_BYTES  # the kept ones, one under way, best weights, classifier
    place = next(parent for parent in folder.absolute().parents if parent.is_dir())
    usage = shutil.disk_usage(place)
    free = usage.free
    if usage.total and free < needed:  # a file system without a size, such as /proc, is no disk
        have, want = f"{free / 2**20:,.0f}", f"{needed / 2**20:,.0f}"
        raise BadRun(f"{place} has {have} MiB free; this run needs about {want}. Make room or choose another --out.")


def _difference(old: Recipe, new: Recipe) -> str:
    theirs, ours = old.flat(), new.flat()
    keys = [key for key in {**theirs, **ours} if theirs.get(key) != ours.get(key) and key not in ("device", "threads")]
    return ", ".join(f"{key}: {theirs.get(key)} there, {ours.get(key)} here" for key in keys[:3])


@contextmanager
def threads(wanted: int) -> Iterator[None]:
    """Sets torch's thread count for a while; 0 leaves it."""
    before = torch.get_num_threads()
    torch.set_num_threads(wanted or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


# ---- during and after ----


def _train(
    run: Run, recipe: Recipe, data: Data, plan: Plan, state: State, notes: list[str], device: torch.device
) -> Iterator[Record]:
    team = plan.team

    finished = team.led(lambda: run.finished)

    def found() -> tuple[Tensors, dict[str, Any], list[str]] | None:
        clear_temporaries(run.path)
        return None if finished else checkpoints.latest(run.checkpoints)

    checkpoint = team.led(found)
    if checkpoint is not None:
        tensors, facts, passed = checkpoint
        state.restore(tensors, facts)
        notes = [*notes, *(f"passed over a damaged checkpoint, {cause}" for cause in passed)]
    writer = checkpoints.Writer(run.checkpoints) if team.leads and not finished else None
    if writer is not None:
        run.write_history(state.progress.history)
    resumed_at = state.progress.total_steps
    parameters = sum(weight.numel() for weight in state.network.parameters())
    yield Started(
        run=run,
        recipe=recipe,
        data=data,
        parameters=parameters,
        device=device.type,
        threads=torch.get_num_threads(),
        resumed_at=resumed_at,
        notes=tuple(notes),
        processes=team.size,
        save=lambda: writer.save(state) if writer is not None else None,
    )
    if finished:
        yield Finished(run, team.led(lambda: run.report), resumed=True)
        return
    records = steps(state, Batches.of(data.train, device), Batches.of(data.valid, device), plan)
    yield from _saved_on_the_way(run, state, records, writer) if writer is not None else records
    yield Finished(run, team.led(lambda: _finish(run, recipe, data, state)), resumed=resumed_at > 0)


def _saved_on_the_way(
    run: Run, state: State, records: Iterator[Step | Epoch], writer: checkpoints.Writer
) -> Iterator[Step | Epoch]:
    """Passes records on; saves after each epoch where that is cheap, every 30 seconds, and when training is broken off."""
    saved_at = monotonic()
    with writer:
        try:
            with telling_losses():
                for record in records:
                    if isinstance(record, Epoch):
                        run.record_epoch(record)
                    since = monotonic() - saved_at
                    cheap = writer.seconds < max(CHEAP_SECONDS, COST * since)
                    if (isinstance(record, Epoch) and cheap) or since > CHECKPOINT_SECONDS:
                        writer.submit(state)
                        saved_at = monotonic()
                    yield record
        except (GeneratorExit, Diverged, LostProcess):
            writer.submit(state)
            raise


def _finish(run: Run, recipe: Recipe, data: Data, state: State) -> Report:
    """Saves the classifier, opens the test split and writes the final score; report.json comes last and marks the end."""
    classifier = conclude(recipe, state, data.classes, data.view)
    classifier.save(run.classifier)
    openings = 0

    def count() -> int:
        nonlocal openings
        openings = run.count_opening("final score", classifier.weights_sha256)
        return openings

    scored = evaluate(
        classifier,
        data.test.open(count),
        source=recipe.data.source,
        split="test",
        seconds_training=state.progress.seconds,
        epochs=state.progress.epoch,
        test_openings=openings,
    )
    with replacing(run.path / "predictions.npz") as temporary, open(temporary, "wb") as file:
        np.savez(file, labels=scored.samples.labels, probabilities=scored.probabilities, ids=np.array(scored.samples.ids))
    run.write("examples.json", [example.model_dump() for example in examples(scored)])
    run.write("report.json", scored.report.model_dump(mode="json"))
    return scored.report
