"""The documentation is true: generated pages are current, commands parse, names and keys appear, links lead somewhere."""

import importlib.util
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import konv
from konv.app.cli import make_app
from konv.core.compose import compose, fields
from konv.core.shelves import COMMANDS

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
PAIRS = [(ROOT / "README.md", ROOT / "README.ko.md"), (ROOT / "docs/guide.md", ROOT / "docs/guide.ko.md")]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!\!)\[[^\]]+\]\(([^)]+)\)")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return [text for kind, text in FENCE.findall(page.read_text(encoding="utf-8")) if kind == language]


def commands(page: Path, program: str) -> list[list[str]]:
    """Command lines of console blocks and of inline code, as words; a bare `konv resume` only names the command."""
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))
    lines = [line for block in blocks(page, "console") for line in block.splitlines()]
    lines += [line for line in re.findall(rf"`({program} [^`]+)`", prose) if program == "make" or line.count(" ") > 1]
    words = [shlex.split(line, comments=True) for line in lines if line.startswith(f"{program} ")]
    return [line for line in words if not any(word.isupper() or "NAME" in word or "키" in word for word in line)]


def headings(page: Path) -> list[tuple[int, str]]:
    plain = FENCE.sub("", page.read_text(encoding="utf-8"))
    return [(len(marks), text) for marks, text in re.findall(r"^(#+) (.+)$", plain, re.MULTILINE)]


def anchors(page: Path) -> set[str]:
    """What GitHub makes of the headings."""
    return {re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-") for _, text in headings(page)}


# ---- generated pages ----


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_pages_are_up_to_date(generator: ModuleType) -> None:
    for path, text in generator.pages().items():
        assert path.read_text(encoding="utf-8") == text, f"{name_of(path)} is not up to date; run make docs"


def test_generating_loads_no_torch() -> None:
    code = f"import runpy, sys; runpy.run_path({str(ROOT / 'docs/generate.py')!r})['pages'](); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_recipe_key_has_a_korean_meaning_and_no_other_has() -> None:
    words = tomllib.loads((ROOT / "docs/recipe_keys.ko.toml").read_text(encoding="utf-8"))
    assert words["meaning"].keys() == fields().keys()
    assert all(re.search("[가-힣]", meaning) for meaning in words["meaning"].values())


def test_korean_ranges_and_units_hold_no_english_phrases(generator: ModuleType) -> None:
    text = generator.korean()
    left = [phrase for phrase in (" or ", "one of", "more than", "less than", "number", "a list", " per ") if phrase in text]
    assert not left


# ---- everything is written about ----


@pytest.mark.parametrize("command", [name.replace("_", "-") for name in COMMANDS.names()])
def test_every_command_stands_in_readme_guide_and_reference(command: str) -> None:
    for page in (*(page for pair in PAIRS for page in pair), ROOT / "docs/reference.md"):
        assert f"konv {command}" in page.read_text(encoding="utf-8"), name_of(page)


def test_every_public_name_and_recipe_key_stands_in_the_reference() -> None:
    text = (ROOT / "docs/reference.md").read_text(encoding="utf-8")
    korean = (ROOT / "docs/reference.ko.md").read_text(encoding="utf-8")
    assert not [name for name in konv.__all__ if f"`konv.{name}`" not in text]
    assert not [key for key in fields() if f"`{key}`" not in text or f"`{key}`" not in korean]


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_guide_names_every_part_of_the_report(language: str) -> None:
    texts = tomllib.loads((ROOT / f"src/konv/app/report/texts/{language}.toml").read_text(encoding="utf-8"))
    guide = PAIRS[1][language == "ko"].read_text(encoding="utf-8")
    parts = ("facts", "repeat", "curves", "confusion", "classes", "predictions", "calibration", "profile", "environment",
             "glossary")  # fmt: skip
    assert not [texts[part]["heading"] for part in parts if f"**{texts[part]['heading']}**" not in guide]


# ---- what is shown works ----


def shown() -> Iterator[tuple[str, list[str]]]:
    for page in PAGES:
        yield from ((name_of(page), words) for words in commands(page, "konv"))


def test_pages_show_commands() -> None:
    assert len(list(shown())) > 80


def test_every_shown_konv_command_is_parsed_and_its_recipe_checked(in_tmp: Path) -> None:
    (in_tmp / "recipe.toml").write_text(blocks(PAIRS[1][0], "toml")[0], encoding="utf-8")
    for page, words in shown():
        _, bound, _ = make_app().parse_args(words[1:], exit_on_error=False, print_error=False)
        given = bound.arguments
        if words[1] in ("train", "data") and given.get("source", "digits") is not None:
            recipe = given.get("recipe")
            settings = given.get("settings") or []
            checked = compose(given.get("source"), model=given.get("model"), file=recipe, settings=settings)
            assert checked, (page, words)


def test_every_shown_make_target_exists() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    used = {word for page in PAGES for words in commands(page, "make") for word in words[1:]}
    assert used
    assert used <= targets


def test_python_blocks_are_python() -> None:
    for page in PAGES:
        for block in blocks(page, "python"):
            compile(block, name_of(page), "exec")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        path, _, anchor = link.partition("#")
        if "://" in path:
            continue
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


# ---- both languages say the same ----


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: name_of(pair[0]))
def test_english_and_korean_have_the_same_parts_and_commands(pair: tuple[Path, Path]) -> None:
    english, korean = pair
    assert [level for level, _ in headings(english)] == [level for level, _ in headings(korean)]
    for program in ("konv", "make"):
        shown_in = [[shlex.split(line, comments=True) for block in blocks(page, "console") for line in block.splitlines()
                     if line.startswith(program)] for page in pair]  # fmt: skip
        assert shown_in[0] == shown_in[1]
    assert blocks(english, "text") == blocks(korean, "text")
    assert blocks(english, "toml") == blocks(korean, "toml")


def test_the_changelog_names_this_version() -> None:
    assert konv.__version__ in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
