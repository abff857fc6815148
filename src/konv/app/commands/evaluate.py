"""Score a run's classifier on its sealed test split, or on another source."""

import sys
from contextlib import redirect_stdout
from pathlib import Path

from konv.app.options import AsJson, TrustSource


def command(run: Path, source: str | None = None, /, *, trust_source: TrustSource = False, as_json: AsJson = False) -> int:
    """Score a run's classifier on its sealed test split, or on another source.

    Parameters
    ----------
    run
        The run folder.
    source
        A data source, a folder of class folders or an .npz file; default: the run's own test split, whose opening is
        counted.
    """
    from konv.core.run import Run

    opened = Run.open(run)

    from konv.app.outcome import print_json, print_table
    from konv.app.verbs import evaluate

    with redirect_stdout(sys.stderr):  # what a person's network prints is no result
        report = evaluate(opened, source, trust_source=trust_source)
    if as_json:
        print_json(report.model_dump(mode="json"))
    else:
        print_table(report)
    return 0
