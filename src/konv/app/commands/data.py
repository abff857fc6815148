"""Look at a data source: classes, counts, splits, broken files."""

from konv.app.options import AsJson, Settings


def command(source: str | None = None, /, *, settings: Settings = None, as_json: AsJson = False) -> int:
    """Look at a data source: classes, counts, splits, broken files.

    Parameters
    ----------
    source
        A data source, a folder of class folders or an .npz file; left out: the list of sources.
    """
    from konv.app.listing import print_shelf, print_summary
    from konv.core.compose import compose
    from konv.core.shelves import DATASETS

    if source is None:
        return print_shelf("sources", DATASETS, as_json, more="A folder of class folders or an .npz file is named by its path.")
    options = compose(source, settings=settings or []).data

    from konv.datasets import load, summarize

    return print_summary(summarize(load(options)), as_json)
