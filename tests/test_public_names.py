"""The public names: one list, importable, the same for a type checker, and cheap until used."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import konv

TREE = ast.parse(Path(konv.__file__).read_text(encoding="utf-8"))


def checked_names() -> dict[str, str]:
    """Returns what the TYPE_CHECKING block imports: public name → module."""
    block = next(node for node in TREE.body if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING")
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {name.asname or name.name: node.module or "" for node in imports for name in node.names}


@pytest.mark.parametrize("name", konv.__all__)
def test_every_name_can_be_imported_and_says_what_it_is(name: str) -> None:
    value = getattr(konv, name)
    assert value.__doc__
    assert value.__module__.startswith("konv.")


def test_a_type_checker_sees_the_same_names_from_the_same_places() -> None:
    assert sorted(checked_names()) == konv.__all__
    assert checked_names() == konv._WHERE


def test_the_list_is_sorted_and_what_dir_shows() -> None:
    assert konv.__all__ == sorted(set(konv.__all__))
    assert set(dir(konv)) == {*konv.__all__, "__version__"}


def test_the_nouns_and_verbs_of_the_design_are_there() -> None:
    verbs, nouns = {"train", "resume", "evaluate", "predict", "report"}, {"Recipe", "Choice", "View", "Samples", "Data", "Run"}
    assert (verbs | nouns | {"Classifier", "Epoch", "Report", "ConvClassifier", "KonvError"}) <= set(konv.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'konv' has no attribute 'trian'"):
        _ = konv.trian


def test_importing_konv_loads_nothing_heavy() -> None:
    heavy = "{'torch', 'torchvision', 'numpy', 'sklearn', 'matplotlib', 'PIL', 'pydantic', 'rich', 'cyclopts'}"
    code = f"import sys, konv; dir(konv); konv.__version__; print({heavy} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("set()", "")


def test_recipes_can_be_made_without_torch() -> None:
    code = (
        "import sys, konv; konv.compose('digits').key; konv.Recipe(); konv.Run; print({'torch', 'numpy'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("set()", "")


def test_the_version_is_the_packages() -> None:
    from importlib.metadata import version

    assert konv.__version__ == version("konv")
