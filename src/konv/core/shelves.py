"""The shelves of konv: one line each, the only list there is."""

from konv.core.shelf import Shelf

DATASETS = Shelf("konv.datasets", "load", "data source")
MODELS = Shelf("konv.models", "build", "model")
AUGMENTATIONS = Shelf("konv.training.augmentations", "augment", "augmentation")
RULES = Shelf("konv.doctor", "check", "rule")
COMMANDS = Shelf("konv.app.commands", "command", "command")
TRACKERS = Shelf("konv.app.trackers", "track", "tracker")


def is_own_network(model: str) -> bool:
    """True for a person's own network, `my_net.py:Net`; `timm:NAME` has a colon too and is on the shelf."""
    return ":" in model and not MODELS.has(model)
