"""The anatomy as one page: totals, a drawing of the flow, every step with its arithmetic."""

import base64
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from konv.app.anatomy import explanation, findings, numbers, words
from konv.app.anatomy.drawing import FAMILIES, flow
from konv.app.anatomy.table import remarks
from konv.app.figures import lessons
from konv.app.figures._sheet import png
from konv.app.report.hangul import font_face
from konv.core.anatomy import Anatomy, Explanation

HERE = Path(__file__).parent
STYLE = HERE.parent / "report" / "templates" / "style.css"


def render(anatomy: Anatomy, language: str) -> str:
    """Returns the page as HTML; it asks nothing of the network and runs no script."""
    texts = words.load(language)
    context = {
        "anatomy": anatomy,
        "flow": flow(anatomy, texts["page"]["input"]),
        "families": [name for name, _ in FAMILIES],
        "findings": [(findings.heading(finding, texts), finding) for finding in anatomy.findings],
        "notes": [" ".join(line.split()) for line in remarks(anatomy, texts)],
        "sees": next((layer for layer in reversed(anatomy.layers) if layer.stride and layer.stride[0] > 0), None),
        "title": texts["table"]["title"].format(network=anatomy.network, input=numbers.shape(anatomy.input)),
    }
    return framed("anatomy.html", language, context)


def render_layer(found: Explanation, network: str, language: str) -> str:
    """Returns the page of one layer."""
    texts = words.load(language)
    context = {
        "title": f"{network}: {found.layer.name}",
        "facts": explanation.facts(found, texts),
        "examples": explanation.examples(found, texts),
        "headings": explanation.headings(texts),
        "variants": explanation.variants(found, texts),
    }
    return framed("layer.html", language, context)


def render_lessons(language: str) -> str:
    """Returns the page of the lessons on a picture, each computed and drawn anew."""
    texts = words.load(language)
    said = texts["lessons"]
    shown = [
        {
            "name": name,
            "heading": said[f"{name}_heading"],
            "text": said[f"{name}_text"],
            "picture": base64.b64encode(png(lessons.draw(name, texts))).decode("ascii"),
        }
        for name in lessons.names()
    ]
    return framed("lessons.html", language, {"title": said["title"], "lessons": shown, "credit": lessons.CREDIT})


def framed(template: str, language: str, context: dict[str, Any]) -> str:
    """Returns a page of this folder's templates in the frame and the style that all of konv's pages have."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        amount=numbers.amount, memory=numbers.memory, shape=numbers.shape, along=numbers.along, formula=numbers.formula,
        milliseconds=numbers.milliseconds, share=numbers.share, fill=lambda text, **given: text.format(**given),
    )  # fmt: skip
    whole = {"t": words.load(language), "language": language, **context}
    body = environment.get_template(template).render(whole)
    style = STYLE.read_text(encoding="utf-8") + (HERE / "templates" / "anatomy.css").read_text(encoding="utf-8")
    frame = {"body": Markup(body), "style": Markup(style), "font": Markup(font_face(body))}
    return environment.get_template("frame.html").render({**whole, **frame})
