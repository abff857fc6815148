"""Write a finished run's report page and figures anew."""

from pathlib import Path

from konv.app.options import AsJson, Language


def command(run: Path, /, *, language: Language = None, as_json: AsJson = False) -> int:
    """Write a finished run's report page and figures anew; nothing is scored again.

    Parameters
    ----------
    run
        The run folder.
    """
    from konv.app import report as pages
    from konv.core.run import Run

    opened = Run.open(run)
    page = pages.write(opened, pages.language(language))
    if as_json:
        from konv.app.outcome import print_json

        print_json({"run": str(opened.path), "report": str(page)})
    else:
        print(page)
    return 0
