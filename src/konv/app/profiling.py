"""`--profile`: measures the training steps before the first one, keeps the result in the run and shows it as a table."""

from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from konv.app.figures._sheet import short
from konv.app.report import readings, words
from konv.app.session import Silent
from konv.core.profile import LayerTime, Profile
from konv.core.recipe import Recipe
from konv.training.distribution import leads
from konv.training.profile import measure
from konv.training.train import Record, Started


class Profiling(Silent):
    """Measures when a training has started; the training itself does not notice."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    def see(self, record: Record, /) -> None:
        if isinstance(record, Started) and leads():  # of several processes one measures, the others wait for it
            profile = measure(_of_one_process(record), record.data)
            record.run.write("profile.json", profile.model_dump(mode="json"))
            if not self._quiet:
                Console(stderr=True, highlight=False).print(table(profile))


def _of_one_process(record: Started) -> Recipe:
    """Returns the recipe with the batch that one of several processes takes."""
    fit = record.recipe.fit
    if record.processes == 1 or fit.batch_size == "all":
        return record.recipe
    return record.recipe.model_copy(update={"fit": fit.model_copy(update={"batch_size": fit.batch_size // record.processes})})


def table(profile: Profile) -> Group:
    """Returns the profile for a terminal of 80 columns or more, times in milliseconds, with what to make of it below."""
    texts = words.load("en")
    rows = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False)
    for column in ("ms per step", "forward", "back", "share", "GFLOP/s", "MB", "GB/s", "roof", "bound by"):
        rows.add_column(column, justify="left" if column in ("ms per step", "bound by") else "right", no_wrap=True)
    for layer in profile.layers:
        rows.add_row(*_cells(layer, profile))
    rows.add_section()
    for part in profile.parts:
        name = texts["profile"]["parts"][part.name]
        rows.add_row(name, _digits(part.milliseconds), "", f"{part.milliseconds / profile.milliseconds:.0%}")
    rows.add_row("whole step", _digits(profile.milliseconds), end_section=True)
    said = [readings.whole_step(profile), readings.roofs(profile), *readings.of_profile(profile)]
    return Group(Text(_head(profile)), rows, *(Text(f"· {reading.say(texts)}") for reading in said))


def _head(profile: Profile) -> str:
    where = f"{profile.precision}, {profile.device}, threads: {profile.threads}"
    return f"{profile.model} on {profile.source}, a step of {profile.batch_size:,} pictures ({where})"


def _cells(layer: LayerTime, profile: Profile) -> tuple[str, ...]:
    return (
        short(layer.name, 17),
        _digits(layer.milliseconds_forward),
        _digits(layer.milliseconds_backward),
        f"{layer.milliseconds / profile.milliseconds:.0%}",
        _digits(layer.gflops) if layer.gflop else "",
        _digits(layer.megabytes),
        _digits(layer.gigabytes_per_second),
        f"{layer.roof:.0%}",
        layer.bound,
    )


def _digits(value: float) -> str:
    """Returns a number with three digits or more, in at most five columns up to a hundred thousand."""
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f}"
