"""The report page: whole, self-contained, harmless whatever the names, readable in both languages."""

import re
import tomllib
from base64 import b64decode
from html.parser import HTMLParser
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from string import Formatter

import pytest
import sample_run
from fontTools.ttLib import TTFont

from konv.app import report
from konv.app.figures import _sheet
from konv.app.figures._sheet import INKS
from konv.app.report import facts, page, readings, words
from konv.app.report.words import Language
from konv.core.errors import BadRun, UnknownName
from konv.core.results import Epoch
from konv.core.run import Run

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "]]><svg onload=alert(3)>",
    "</style></svg><b>bold",
    "{{ 7 * 7 }} {0} {name} %s",
    "$\\frac{1}{0}$",
    "a & b 'c'",
    "\x1b[31mred\x00",
    "猫 🐈 עברית",
)
STYLE = (Path(page.__file__).parent / "templates" / "style.css").read_text(encoding="utf-8")


class Page(HTMLParser):
    """What a browser would find: elements with their attributes, in order, and all text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, *tags: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag in tags]


def written(run: Run) -> tuple[str, Page]:
    html = report.write(run).read_text(encoding="utf-8")
    return html, Page(html)


def rendered(run: Run, language: Language = "en") -> tuple[str, Page]:
    """The page alone, without the files of its figures."""
    html = page.render(run, language, page.draw(run, words.load(language)))
    return html, Page(html)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return sample_run.make_run(tmp_path_factory.mktemp("en") / "run")


@pytest.fixture(scope="module")
def english(run: Run) -> tuple[str, Page]:
    return written(run)


@pytest.fixture(scope="module")
def korean(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Page]:
    folder = tmp_path_factory.mktemp("ko") / "run"
    return rendered(sample_run.make_run(folder, sample_run.KOREAN, examples=8), "ko")


@pytest.fixture(scope="module")
def hostile_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    environment: dict[str, object] = {"gpu": {"name": "<script>alert(4)</script>"}, "python": "3.11"}
    folder = tmp_path_factory.mktemp("hostile") / "run"
    return sample_run.make_run(folder, HOSTILE, examples=8, environment=environment)


# ---- the page as a whole ----


def test_everything_is_in_one_file(english: tuple[str, Page], run: Run) -> None:
    html, found = english
    assert len(html.encode()) < 500_000
    assert "http://" not in html
    assert "https://" not in html
    assert not found.all("script", "link[rel=stylesheet]", "iframe", "object", "embed", "base", "form")
    sources = [element.get("src") or element.get("href") or "" for element in found.all("img", "image", "link", "use")]
    assert sources
    assert all(source.startswith(("data:", "#")) for source in sources)
    policy = next(element for element in found.all("meta") if element.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in str(policy["content"])


def test_figures_are_written_in_both_forms(run: Run, english: tuple[str, Page]) -> None:
    names = {"curves", "confusion", "calibration", "per_class", "predictions"}
    assert {path.name for path in run.figures.iterdir()} == {f"{name}.{form}" for name in names for form in ("png", "svg")}


def test_the_same_run_gives_the_same_bytes(run: Run, english: tuple[str, Page]) -> None:
    figures = page.draw(run, words.load("en"))
    assert page.render(run, "en", figures) == english[0]
    assert _sheet.png(figures["curves"]) == (run.figures / "curves.png").read_bytes()
    assert _sheet.svg(figures["confusion"]) == (run.figures / "confusion.svg").read_text(encoding="utf-8")


def test_ids_are_unique_and_references_lead_somewhere(english: tuple[str, Page]) -> None:
    html, found = english
    ids = [element["id"] for _, element in found.elements if "id" in element]
    assert len(ids) == len(set(ids))
    references = set(re.findall(r'(?:href="|url\()#([\w-]+)', html)) | set(re.findall(r'labelledby="([\w-]+)', html))
    assert references <= set(ids)


def test_headings_step_down_one_at_a_time(english: tuple[str, Page]) -> None:
    levels = [int(tag[1]) for tag, _ in english[1].elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_pictures_and_drawings_are_described(english: tuple[str, Page]) -> None:
    _, found = english
    assert len(found.all("img")) == 60
    assert all(image["alt"] for image in found.all("img"))
    drawings = found.all("svg")
    assert len(drawings) == 5
    assert all(drawing["role"] == "img" and drawing["aria-label"] for drawing in drawings)


def test_no_ink_of_paper_is_left_in_the_drawings(english: tuple[str, Page]) -> None:
    drawings = "".join(re.findall(r"<svg.*?</svg>", english[0], re.DOTALL))
    assert not [name for name, colour in INKS.items() if colour in drawings]
    assert "var(--valid)" in drawings


def test_numbers_stand_on_the_page(run: Run, english: tuple[str, Page]) -> None:
    text, scores = " ".join(english[1].text.split()), run.report
    assert f"{100 * scores.accuracy:.2f}" in text
    assert f"95% interval {scores.accuracy_interval[0]:.2%} – {scores.accuracy_interval[1]:.2%}" in text
    assert "272,474" in text
    assert "54,000" in text
    assert "konv train --recipe recipe.toml" in text
    assert 'source = "digits"' in english[1].text
    for fingerprint in (scores.weights_sha256, run.split["fingerprint"], run.recipe.key):
        assert fingerprint in text
    assert "AMD EPYC 9R14" in text
    assert "deterministic" in text


# ---- honesty ----


def test_openings_of_the_test_split_are_told(tmp_path: Path) -> None:
    run = sample_run.make_run(tmp_path / "run", ("cat", "dog"), epochs=2, examples=0)
    scores, figures = run.report, page.draw(run, words.load("en"))
    for openings, sentence in {0: "still sealed", 1: "was opened 1 time.", 4: "was opened 4 times."}.items():
        run.write("report.json", scores.model_copy(update={"test_openings": openings}).model_dump(mode="json"))
        html = page.render(run, "en", figures)
        assert sentence in html
        assert ('class="note caution"' in html) == (openings > 1)


# ---- runs of every shape ----


def test_one_epoch_two_classes_no_examples_no_split(tmp_path: Path) -> None:
    run = sample_run.make_run(tmp_path / "run", ("cat", "dog"), epochs=1, examples=0)
    (run.path / "split.json").unlink()
    _, found = rendered(run)
    assert "One epoch only" in found.text
    assert not found.all("img")


def test_a_hundred_classes_list_the_worst_and_fold_the_rest(tmp_path: Path) -> None:
    classes = tuple(f"species {number} with a name that is rather long for a table" for number in range(100))
    html, found = rendered(sample_run.make_run(tmp_path / "run", classes, per_class=60, examples=2))
    assert "The 15 commonest mistakes" in found.text
    assert "The 15 weakest classes" in found.text
    assert "All 100 classes" in found.text
    assert len(html.encode()) < 500_000


def test_names_stay_names(hostile_run: Run) -> None:
    html, found = written(hostile_run)
    assert not found.all("script", "b onload")
    handlers = [(tag, key) for tag, element in found.elements for key in element if key.startswith("on")]
    assert not handlers
    assert len(found.all("style")) == 1
    assert "<script" not in html.lower()
    for name in HOSTILE[:7]:
        assert name in found.text
    for path in hostile_run.figures.glob("*.svg"):
        assert "<script" not in path.read_text(encoding="utf-8")


def test_an_unfinished_run_is_refused(tmp_path: Path) -> None:
    run = sample_run.make_run(tmp_path / "run", ("cat", "dog"), epochs=1, examples=0)
    (run.path / "report.json").unlink()
    with pytest.raises(BadRun, match="no report yet"):
        report.write(run)


# ---- Hangul ----


def test_a_page_with_hangul_brings_its_letters(korean: tuple[str, Page]) -> None:
    html, found = korean
    source = re.search(r"data:font/woff;base64,([A-Za-z0-9+/=]+)", html)
    assert source
    font = TTFont(BytesIO(b64decode(source[1])))
    assert font["name"].getDebugName(1) == "Konv Hangul"
    hangul = {ord(letter) for letter in found.text if "가" <= letter <= "힣"}
    assert len(hangul) > 200
    assert hangul <= set(font.getBestCmap())
    assert found.all("html")[0]["lang"] == "ko"
    assert len(html.encode()) < 500_000


def test_a_page_without_hangul_brings_no_font(english: tuple[str, Page]) -> None:
    assert "@font-face" not in english[0]


# ---- language ----


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"LANG": "ko_KR.UTF-8"}, "ko"),
        ({"LANG": "ko"}, "ko"),
        ({"LANG": "en_GB.UTF-8", "LC_MESSAGES": "ko_KR"}, "ko"),
        ({"LANG": "ko_KR.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({}, "en"),
    ],
)
def test_language_of_the_locale(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert report.language(None) == expected


def test_a_choice_wins_over_the_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "ko_KR.UTF-8")
    assert report.language("en") == "en"
    assert report.language("KO_kr") == "ko"
    with pytest.raises(UnknownName, match=r"no language 'fr' for reports.*Known: en, ko"):
        report.language("fr")


def flat(texts: object, above: str = "") -> dict[str, str]:
    if isinstance(texts, dict):
        return {key: text for name, inner in texts.items() for key, text in flat(inner, f"{above}.{name}").items()}
    return {above: str(texts)}


def test_both_languages_have_the_same_texts_and_braces() -> None:
    english, korean = (
        flat(tomllib.loads((words.FOLDER / f"{name}.toml").read_text(encoding="utf-8"))) for name in ("en", "ko")
    )
    assert list(english) == list(korean)
    for key, text in english.items():
        assert fields(text) == fields(korean[key]), key


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


# ---- colours ----


def palette(block: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_stands_out(theme: int) -> None:
    colours = palette(STYLE.split(":root {")[1 + theme].split("}")[0])
    for ink in ("ink", "soft", "link", "train", "valid", "right", "wrong"):
        assert contrast(colours[ink], colours["ground"]) >= 4.5, ink
        assert contrast(colours[ink], colours["paper"]) >= 4.5, ink
    for ground in ("heat-right", "heat-wrong", "caution", "calm", "code"):
        assert contrast(colours["ink"], colours[ground]) >= 4.5, ground


def test_light_inks_are_those_of_the_figures() -> None:
    light, dark = (palette(STYLE.split(":root {")[1 + theme].split("}")[0]) for theme in (0, 1))
    assert {name: light[name] for name in INKS} == INKS
    assert set(dark) == set(light)


# ---- readings ----


def epochs(*rows: tuple[float, float, float, float]) -> list[Epoch]:
    """Epochs of (loss, accuracy, valid_loss, valid_accuracy)."""
    rest = {"step": 1, "learning_rate": 0.1, "gradient_norm": 1.0, "seconds": 1.0, "pictures_per_second": 1.0}
    names = ("loss", "accuracy", "valid_loss", "valid_accuracy")
    return [Epoch(epoch=number, **rest, **dict(zip(names, row, strict=True))) for number, row in enumerate(rows, start=1)]


@pytest.mark.parametrize(
    ("history", "key"),
    [
        ([], "none"),
        (epochs((1, 0.5, 1, 0.5)), "loss_single"),
        (epochs((1, 0.5, 1, 0.5), (0.5, 0.7, 0.8, 0.6), (0.2, 0.9, 1.1, 0.6)), "loss_rising"),
        (epochs((1, 0.5, 1, 0.5), (0.7, 0.7, 0.8, 0.6), (0.5, 0.9, 0.6, 0.7)), "loss_falling"),
        (epochs((1, 0.5, 1, 0.5), (0.5, 0.7, 0.600, 0.7), (0.5, 0.7, 0.601, 0.7)), "loss_settled"),
    ],
)
def test_reading_of_the_loss(history: list[Epoch], key: str) -> None:
    assert readings.of_loss(history).key == key
    assert readings.of_loss(history).say(words.load("ko"))


@pytest.mark.parametrize(
    ("train", "valid", "key"),
    [
        (0.99, 0.80, "accuracy_wide"),
        (0.95, 0.90, "accuracy_some"),
        (0.91, 0.90, "accuracy_close"),
        (0.51, 0.50, "accuracy_low"),
        (0.85, 0.90, "accuracy_ahead"),
    ],
)
def test_reading_of_the_accuracy(train: float, valid: float, key: str) -> None:
    reading = readings.of_accuracy(epochs((1, train, 1, valid)))
    assert reading.key == key
    assert f"{valid:.1%}" in reading.say(words.load("en"))


def test_mistakes_come_commonest_first(run: Run) -> None:
    found = readings.mistakes(run.report)
    assert [mistake.count for mistake in found] == sorted((mistake.count for mistake in found), reverse=True)
    assert sum(mistake.count for mistake in found) == run.report.pictures - sum(
        row[index] for index, row in enumerate(run.report.confusion)
    )
    assert all(mistake.true != mistake.predicted for mistake in found)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.04, "0.0 s"), (9.9, "9.9 s"), (42, "42 s"), (59.7, "1 min 00 s"), (125.4, "2 min 05 s"), (7384, "2 h 03 min")],
)
def test_lengths_of_time(seconds: float, expected: str) -> None:
    assert facts.duration(seconds, words.load("en")["units"]) == expected
