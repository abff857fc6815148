"""Files of a shelf that answer to more names than their own."""

import sys
from pathlib import Path

import pytest

from konv.core.errors import BadRecipe, UnknownName
from konv.core.shelf import Shelf
from konv.core.shelves import MODELS, is_own_network

FAMILY = '''"""A family."""

VARIANTS = {"oak_1": {"depth": 1, "HEIGHT": 7}, "oak_2": {"depth": 2}}
HEIGHT = 5


def build(size, *, variant: str, depth: int = 0, width: int = 3):
    return variant, depth, width
'''
OPEN = '"""Another package."""\n\nOPEN = True\n\n\ndef build(size, *, variant: str):\n    return variant\n'
PLAIN = '"""Alone."""\n\n\ndef build(size, *, width: int = 3):\n    return width\n'


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    folder = tmp_path / "konv_test_trees"
    folder.mkdir()
    for name, text in (("__init__", ""), ("oak", FAMILY), ("zoo", OPEN), ("elm", PLAIN)):
        (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.startswith("konv_test_trees")]:
        monkeypatch.delitem(sys.modules, name)
    return Shelf("konv_test_trees", "build", "tree")


def test_files_and_choices_are_listed_apart(shelf: Shelf) -> None:
    assert shelf.names() == ["elm", "oak", "zoo"]
    assert shelf.choices() == ["elm", "oak_1", "oak_2"]


@pytest.mark.parametrize(
    ("given", "found"),
    [("oak", "oak_1"), ("oak-2", "oak_2"), ("OAK_1", "oak_1"), ("elm", "elm"), ("zoo:Any.Name-1", "zoo:Any.Name-1")],
)
def test_a_name_is_found_as_it_stands(shelf: Shelf, given: str, found: str) -> None:
    assert shelf.has(given)
    assert shelf.find(given) == found
    assert shelf.entry(found).name == found


def test_a_variant_fixes_options_and_overrules_constants(shelf: Shelf) -> None:
    one, two = shelf.entry("oak_1"), shelf.entry("oak_2")
    assert (one.fixed, two.fixed) == ({"variant": "oak_1", "depth": 1}, {"variant": "oak_2", "depth": 2})
    assert (one.constants["HEIGHT"], two.constants["HEIGHT"]) == (7, 5)
    assert [option.name for option in one.options] == ["width"]
    assert shelf.take("oak_2").build(1, **two.fixed, width=4) == ("oak_2", 2, 4)


def test_a_fixed_option_is_none(shelf: Shelf) -> None:
    for key in ("depth", "variant"):
        with pytest.raises(BadRecipe, match=rf"model\.{key} is no option of tree oak_2.* Its options: width\."):
            shelf.check_options("oak_2", {key: 3}, "model")


def test_an_open_file_passes_the_name_on(shelf: Shelf) -> None:
    entry = shelf.entry("zoo:Any")
    assert shelf.take(entry.name).build(1, **entry.fixed) == "Any"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("oak_3", "there is no tree named 'oak_3', did you mean oak_"),
        ("zoo", "tree 'zoo' is a package of many; say which: zoo:NAME"),
        ("elm:Any", "there is no tree named 'elm:Any'"),
        ("zoo:", "there is no tree named 'zoo:'"),
    ],
)
def test_unknown_names_are_told(shelf: Shelf, given: str, said: str) -> None:
    with pytest.raises(UnknownName, match=said):
        shelf.find(given)


def test_a_persons_own_network_is_told_from_a_package() -> None:
    assert [is_own_network(name) for name in ("my_net.py:Net", "timm:resnet18", "resnet18", "/nets/timm.py:Net")] == [
        True,
        False,
        False,
        True,
    ]


def test_did_you_mean_knows_variants_and_families() -> None:
    for given, meant in (
        ("resnet81", "resnet18"),
        ("eficientnet_b7", "efficientnet_b7"),
        ("mobilenet_v3_smal", "mobilenet_v3_small"),
    ):
        with pytest.raises(UnknownName, match=f"did you mean {meant}"):
            MODELS.find(given)
