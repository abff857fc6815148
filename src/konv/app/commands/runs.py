"""List the runs below a folder."""

from pathlib import Path

from konv.app.options import AsJson


def command(folder: Path = Path("runs"), /, *, as_json: AsJson = False) -> int:
    """List the runs below a folder.

    Parameters
    ----------
    folder
        Where the run folders are.
    """
    from konv.app.listing import print_rows
    from konv.core.run import runs_below

    rows = [
        {
            "run": run.name,
            "source": run.recipe.data.source,
            "model": run.recipe.model.name,
            "epochs": len(run.history),
            "valid_accuracy": max((epoch.valid_accuracy for epoch in run.history), default=None),
            "accuracy": run.accuracy,
            "finished": run.finished,
        }
        for run in runs_below(folder)
    ]
    return print_rows("runs", rows, as_json, empty=f"no runs below {folder}; `konv train` makes one.")
