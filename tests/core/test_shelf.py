"""Shelves list and describe their modules without importing them."""

import subprocess
import sys
from pathlib import Path

import pytest

from konv.core.errors import BadRecipe, UnknownName
from konv.core.shelf import Option, Shelf
from konv.core.shelves import AUGMENTATIONS, COMMANDS, DATASETS, MODELS

SHELVES = (AUGMENTATIONS, COMMANDS, DATASETS, MODELS)
MODULE = '''"""Draws a thing.

More words."""
import a_package_that_does_not_exist
SIDE = 4
KIND = str(3)

def build(channels, *, width: Positive = 16, kinds: tuple[str, ...] = ("a", "b"), rate: Fraction):
    pass

def other(*, not_an_option: int = 0):
    pass
'''


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """A shelf whose only module cannot be imported."""
    package = tmp_path / "toys_on_a_shelf"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "_machinery.py").touch()
    (package / "red_ball.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    return Shelf("toys_on_a_shelf", "build", "toy")


def test_an_entry_is_read_from_the_text(toys: Shelf) -> None:
    entry = toys.entry("red-ball")
    assert (entry.name, entry.description) == ("red_ball", "Draws a thing.")
    assert entry.constants == {"SIDE": 4}
    assert entry.options == (
        Option("width", "Positive", 16),
        Option("kinds", "tuple[str, ...]", ("a", "b")),
        Option("rate", "Fraction", None),
    )


def test_files_with_an_underscore_are_no_choices(toys: Shelf) -> None:
    assert toys.names() == ["red_ball"]


@pytest.mark.parametrize("spelling", ["red_ball", "red-ball", "Red-Ball", " red_ball "])
def test_a_name_is_found_in_every_spelling(toys: Shelf, spelling: str) -> None:
    assert toys.find(spelling) == "red_ball"


def test_an_unknown_name_is_guessed_and_the_known_ones_are_listed(toys: Shelf) -> None:
    with pytest.raises(UnknownName, match=r"no toy named 'red_bal', did you mean red_ball\? Known: red_ball\."):
        toys.find("red_bal")
    with pytest.raises(UnknownName, match=r"no toy named 'zzz'\. Known: red_ball\."):
        toys.find("zzz")


def test_options_are_converted_or_refused(toys: Shelf) -> None:
    assert toys.check_options("red_ball", {"width": 3, "kinds": ["c"]}, "toy") == {"width": 3, "kinds": ("c",)}
    with pytest.raises(BadRecipe, match=r"toy\.width = 0 .* a whole number, 1 or more"):
        toys.check_options("red_ball", {"width": 0}, "toy")
    with pytest.raises(BadRecipe, match=r"toy\.widht is no option of toy red_ball, did you mean width\? Its options: width,"):
        toys.check_options("red_ball", {"widht": 1}, "toy")


@pytest.mark.parametrize("shelf", SHELVES, ids=lambda shelf: shelf.noun)
def test_every_module_of_konv_describes_itself(shelf: Shelf) -> None:
    assert shelf.names()
    for entry in shelf.entries():
        assert entry.description.endswith("."), entry.name
        assert callable(getattr(shelf.take(entry.name), shelf.function)), entry.name


def test_listing_every_shelf_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from konv.core import shelves\n"
        "entries = [shelf.entries() for shelf in vars(shelves).values() if isinstance(shelf, shelves.Shelf)]\n"
        "assert len(entries) >= 4 and all(entries)\n"
        "print({'torch', 'torchvision', 'numpy', 'sklearn', 'matplotlib', 'pydantic'} & sys.modules.keys())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("set()", "")
