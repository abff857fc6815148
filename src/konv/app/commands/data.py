"""Look at a data source: classes, counts, splits, broken files."""

from konv.app.options import AsJson, Settings


def command(source: str | None = None, /, *, settings: Settings = None, as_json: AsJson = False) -> int:
    """Look at a data source: classes, counts, splits, broken files.

    Files of a folder that are no whole pictures are listed with their cause; `konv train` refuses them.

    Parameters
    ----------
    source
        A data source, a folder of class folders or an .npz file; left out: the list of sources.
    """
    from konv.app.listing import print_shelf, print_summary
    from konv.core.compose import compose, shelf_of
    from konv.core.shelves import DATASETS

    if source is None:
        return print_shelf("sources", DATASETS, as_json, more="A folder of class folders or an .npz file is named by its path.")
    listing = ["data.bad=skip"] if shelf_of(source) == "folder" else []
    options = compose(source, settings=[*listing, *(settings or [])]).data

    from konv.datasets import load, summarize

    return print_summary(summarize(load(options)), as_json)
