"""Train a network and write an honest report."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from konv.app.options import AsJson, Device, Language, Out, Profiled, Quiet, Settings, Threads, Track


def command(
    source: str | None = None,
    /,
    *,
    model: Annotated[str | None, Parameter(help="A model of `konv models`, or your own: my_net.py:Net.")] = None,
    recipe: Annotated[Path | None, Parameter(help="A recipe: a TOML file, or the name of a ready one.")] = None,
    settings: Settings = None,
    out: Out = None,
    device: Device = None,
    threads: Threads = None,
    explain: Annotated[str | None, Parameter(help="Explain a recipe key, such as fit.momentum, and stop.")] = None,
    profile: Profiled = False,
    track: Track = None,
    language: Language = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> int:
    """Train a network and write an honest report.

    Parameters
    ----------
    source
        A data source of `konv data`, a folder of class folders, or an .npz file; default: the handwritten digits that
        come with konv.
    """
    from konv.core.compose import compose
    from konv.core.compose import explain as explained
    from konv.core.shelves import TRACKERS

    if explain is not None:
        print(explained(explain))
        return 0
    given = [*(settings or []), *_placed(device=device, threads=threads)]
    checked = compose(source, model=model, file=recipe, settings=given)
    trackers = [TRACKERS.find(name) for name in track or []]

    from konv.app.outcome import run_to_the_end

    return run_to_the_end(checked, out, trackers, as_json=as_json, quiet=quiet, language=language, profile=profile)


def _placed(**values: object) -> list[str]:
    return [f"{name}={value}" for name, value in values.items() if value is not None]
