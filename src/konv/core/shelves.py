"""The shelves of konv: one line each, the only list there is."""

from konv.core.shelf import Shelf

DATASETS = Shelf("konv.datasets", "load", "data source")
MODELS = Shelf("konv.models", "build", "model")
AUGMENTATIONS = Shelf("konv.training.augmentations", "augment", "augmentation")
COMMANDS = Shelf("konv.app.commands", "command", "command")
TRACKERS = Shelf("konv.app.trackers", "track", "tracker")
