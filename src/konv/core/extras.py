"""Optional packages: imported where they are used, and named with the command that installs them."""

from importlib import import_module
from types import ModuleType

from konv.core.errors import MissingExtra


def needed(package: str, *, extra: str, purpose: str) -> ModuleType:
    """Returns the imported package, or raises MissingExtra that says what needs it and how to install it."""
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"{purpose} needs the package {error.name}, which is not installed; pip install 'konv[{extra}]' brings it."
        ) from None
