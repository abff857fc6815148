"""List the networks and their options."""

from konv.app.options import AsJson


def command(*, as_json: AsJson = False) -> int:
    """List the networks and their options."""
    from konv.app.listing import print_shelf
    from konv.core.shelves import MODELS

    return print_shelf("models", MODELS, as_json, more="Or your own: --model my_net.py:Net")
