"""An anatomy in the form that was asked for, on the screen or in a file."""

import json
from io import StringIO
from pathlib import Path

from rich.console import Console

from konv.anatomy import explain
from konv.app.anatomy import explanation, markdown, table, words
from konv.app.anatomy.subject import Subject
from konv.core.anatomy import Anatomy
from konv.core.errors import BadModel
from konv.core.files import write_text

ENDINGS = {".md": "markdown", ".json": "json", ".html": "html", ".htm": "html"}


def show(anatomy: Anatomy, form: str | None, out: Path | None, language: str) -> None:
    """Prints or writes the anatomy, up to the layer that failed where one did, and the findings."""
    form = form or (ENDINGS.get(out.suffix.lower(), "table") if out else "table")
    if form == "table" and out is None:
        table.show(anatomy, words.load(language), Console(highlight=False))
    else:
        _give(_text(anatomy, form, language), out or (Path("anatomy.html") if form == "html" else None))


def show_layer(subject: Subject, name: str, form: str | None, out: Path | None, language: str) -> None:
    """Prints or writes one layer at length; raises UnknownName."""
    assert subject.network is not None  # it was dissected
    found = explain(subject.network, subject.shape, name)
    form = form or (ENDINGS.get(out.suffix.lower(), "table") if out else "table")
    lines = explanation.lines(found, words.load(language))
    if form == "json":
        text = json.dumps(found.model_dump(mode="json"), ensure_ascii=False) + "\n"
    elif form == "html":
        from konv.app.anatomy import page

        text = page.render_layer(found, subject.name, language)
    elif form == "markdown":
        text = "\n".join([f"# {subject.name}: {name}", "", "```text", *lines[2:], "```", ""])
    else:
        text = "\n".join([*lines, ""])
    _give(text, out or (Path(f"{name}.html") if form == "html" else None))


def show_lessons(form: str | None, out: Path | None, language: str) -> None:
    """Writes the page of the lessons on a picture; raises BadModel for a form that holds no pictures."""
    from konv.app.anatomy import page

    if form not in (None, "html"):
        raise BadModel(f"the lessons are pictures: --format {form} cannot hold them; leave it out, or take html.")
    _give(page.render_lessons(language), out or Path("edges.html"))


def _text(anatomy: Anatomy, form: str, language: str) -> str:
    texts = words.load(language)
    if form == "json":
        return json.dumps(anatomy.model_dump(mode="json"), ensure_ascii=False) + "\n"
    if form == "markdown":
        return markdown.text(anatomy, texts)
    if form == "html":
        from konv.app.anatomy import page  # Jinja2 and fonts: only where a page is made

        return page.render(anatomy, language)
    stream = StringIO()
    table.show(anatomy, texts, Console(highlight=False, width=120, file=stream))
    return stream.getvalue()


def _give(text: str, out: Path | None) -> None:
    if out is None:
        print(text, end="")
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, text)
    print(out)
