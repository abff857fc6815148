"""The report page: what the run folder holds, put into words, drawings and tables."""

import base64
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from konv.app.figures import calibration, confusion, curves, per_class, predictions, profile
from konv.app.figures._sheet import Sheet, percent, png, svg
from konv.app.report import readings, words
from konv.app.report.facts import facts
from konv.app.report.hangul import font_face
from konv.app.report.inline import inline
from konv.app.report.words import Language, Texts
from konv.core.files import write_bytes, write_text
from konv.core.results import Epoch, Example, Report
from konv.core.run import Run

HERE = Path(__file__).parent
PAIRS = 15  # mistakes listed beside a heat map without numbers
ALL_ROWS = 30  # classes; of more, the weakest stand first and the whole table is folded
WEAKEST = 15


def write(run: Run, language: Language) -> Path:
    """Writes the figures and the page, and returns the page's path."""
    figures = draw(run, words.load(language))
    run.figures.mkdir(exist_ok=True)
    for name, figure in figures.items():
        write_bytes(run.figures / f"{name}.png", png(figure))
        write_text(run.figures / f"{name}.svg", svg(figure))
    write_text(run.report_page, render(run, language, figures))
    return run.report_page


def draw(run: Run, texts: Texts) -> dict[str, Sheet]:
    """Returns the figures of a run by name."""
    report, history, examples = run.report, run.history, run.examples
    drawn = {
        "curves": curves.draw(history, texts),
        "confusion": confusion.draw(report, texts),
        "calibration": calibration.draw(report, texts),
        "per_class": per_class.draw(report, texts),
    }
    if examples:
        drawn["predictions"] = predictions.draw(examples, report.classes, texts)
    if run.profile is not None:
        drawn["profile"] = profile.draw(run.profile, texts)
    return drawn


def render(run: Run, language: Language, figures: Mapping[str, Sheet]) -> str:
    """Returns the page as HTML, the same text for the same run; of the figures it shows confusion and calibration."""
    texts = words.load(language)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["fill"] = lambda text, **numbers: text.format(**numbers)
    environment.filters["small"] = is_small
    context = {"t": texts, "language": language, "drawings": _drawings(run, figures, texts), **_context(run, texts)}
    body = environment.get_template("body.html").render(context)
    style = (HERE / "templates" / "style.css").read_text(encoding="utf-8")
    frame = {"body": Markup(body), "style": Markup(style), "font": Markup(font_face(body))}
    return environment.get_template("frame.html").render({**context, **frame})


def _context(run: Run, texts: Texts) -> dict[str, Any]:
    report, history, recipe = run.report, run.history, run.recipe
    scored = sum(map(sum, report.confusion))
    largest = max(range(len(report.classes)), key=lambda index: sum(report.confusion[index]))
    return {
        "run": run,
        "report": report,
        "recipe": recipe,
        "history": history,
        "recipe_text": (run.path / "recipe.toml").read_text(encoding="utf-8"),
        "source": Path(report.source).name or report.source,
        "split": _split(run),
        "right": sum(row[index] for index, row in enumerate(report.confusion)),
        "baseline": {"name": report.classes[largest], "share": sum(report.confusion[largest]) / max(scored, 1)},
        "facts": facts(report, history, texts),
        "profile": run.profile,
        "readings": _readings(report, history, texts) | _profile_readings(run, texts),
        "mistakes": readings.mistakes(report)[:PAIRS] if len(report.classes) > confusion.ANNOTATED else [],
        "numbered": len(report.classes) > confusion.NAMED,
        "weakest": _weakest(report),
        "wrong": [_shown(example, report) for example in run.examples if example.label != example.predicted],
        "correct": [_shown(example, report) for example in run.examples if example.label == example.predicted],
        "environment": _environment(run.environment, texts),
        "version": _version(),
    }


def _split(run: Run) -> dict[str, Any]:
    """Returns the number of pictures per split and the fingerprint of the data; empty where the run has no split file."""
    if not (run.path / "split.json").is_file():
        return {}
    split = run.split
    return {
        "fingerprint": split.get("fingerprint", ""),
        **{name: len(split.get(name, ())) for name in ("train", "valid", "test")},
    }


def _readings(report: Report, history: list[Epoch], texts: Texts) -> dict[str, str]:
    found = {
        "loss": readings.of_loss(history),
        "accuracy": readings.of_accuracy(history),
        "rate": readings.of_rate(history),
        "confusion": readings.of_confusion(report),
        "classes": readings.of_classes(report),
        "calibration": readings.of_calibration(report),
    }
    return {name: reading.say(texts) for name, reading in found.items()}


def _profile_readings(run: Run, texts: Texts) -> dict[str, Any]:
    found = run.profile
    if found is None:
        return {}
    return {
        "profile": [reading.say(texts) for reading in readings.of_profile(found)],
        "profile_whole": readings.whole_step(found).say(texts),
        "profile_roofs": readings.roofs(found).say(texts),
    }


def _drawings(run: Run, figures: Mapping[str, Sheet], texts: Texts) -> dict[str, Markup]:
    report, history = run.report, run.history
    labels = {name: texts["curves"][f"{name}_alt"].format(epochs=len(history)) for name in curves.PANELS}
    panels = {name: inline(svg(curves.draw_panel(name, history, texts), "none"), name, label) for name, label in labels.items()}
    reading = readings.of_confusion(report).say(texts)
    matrix = texts["confusion"]["alt"].format(classes=len(report.classes), reading=reading)
    error = texts["calibration"]["alt"].format(error=report.expected_calibration_error)
    return {
        **panels,
        "confusion": inline(svg(figures["confusion"], "none"), "confusion", matrix),
        "calibration": inline(svg(figures["calibration"], "none"), "calibration", error),
        **_profile_drawing(run, figures, texts),
    }


def _profile_drawing(run: Run, figures: Mapping[str, Sheet], texts: Texts) -> dict[str, Markup]:
    if run.profile is None:
        return {}
    label = texts["profile"]["alt"].format(reading=readings.whole_step(run.profile).say(texts))
    return {"profile": inline(svg(figures["profile"], "none"), "profile", label)}


def _weakest(report: Report) -> list[Any]:
    if len(report.per_class) <= ALL_ROWS:
        return []
    return sorted(report.per_class, key=lambda scores: scores.f1)[:WEAKEST]


def _shown(example: Example, report: Report) -> dict[str, Any]:
    names = {"true": report.classes[example.label], "answer": report.classes[example.predicted]}
    return {**example.model_dump(), **names, "right": example.label == example.predicted, "sure": percent(example.confidence)}


def is_small(thumbnail: str) -> bool:
    """Says whether a PNG in base64 has less than 64 columns, so that its pixels are better shown as squares."""
    head = base64.b64decode(thumbnail[:32] + "=" * (-len(thumbnail[:32]) % 4))
    return int.from_bytes(head[16:20], "big") < 64


def _environment(found: dict[str, Any], texts: Texts) -> list[tuple[str, str]]:
    """Returns (name, value) pairs, what is nested written as `outer inner`."""
    pairs: list[tuple[str, str]] = []
    for key, value in found.items():
        if isinstance(value, dict):
            pairs += [(f"{_name(key, texts)}: {name}", shown) for name, shown in _environment(value, texts)]
        elif key != "format" and value not in (None, "", []):
            pairs.append((_name(key, texts), _value(value, texts)))
    return pairs


def _name(key: str, texts: Texts) -> str:
    return str(texts["environment"]["names"].get(key, key.replace("_", " ")))


def _value(value: Any, texts: Texts) -> str:
    if isinstance(value, bool):
        return str(texts["environment"]["yes" if value else "no"])
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _version() -> str:
    try:
        return version("konv")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return ""
