"""Continue an interrupted run to its end."""

from pathlib import Path

from konv.app.options import AsJson, Language, Profiled, Quiet, Track


def command(
    run: Path,
    /,
    *,
    profile: Profiled = False,
    track: Track = None,
    language: Language = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> int:
    """Continue an interrupted run to its end.

    Parameters
    ----------
    run
        The run folder.
    """
    from konv.core.run import Run
    from konv.core.shelves import TRACKERS

    opened = Run.open(run)
    recipe = opened.recipe
    trackers = [TRACKERS.find(name) for name in track or []]

    from konv.app.outcome import run_to_the_end

    return run_to_the_end(recipe, opened.path, trackers, as_json=as_json, quiet=quiet, language=language, profile=profile)
