"""An SVG of matplotlib made part of a page: its letters in the page's fonts, its inks as CSS variables, small."""

import re
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from markupsafe import Markup

from konv.app.figures._sheet import INKS

PIXELS_PER_POINT = 1.45  # a drawing is not shown larger than this: type of 9 points as 13 pixels
LONG = re.compile(r"-?\d+\.\d{3,}")
REFERENCE = re.compile(r"#([\w-]+)")
UNUSED = {"stroke-linejoin", "stroke-miterlimit", "font-family", "font-weight"}  # set once, in the page's style
VARIABLES = {colour: f"var(--{name})" for name, colour in INKS.items()}


def inline(svg: str, name: str, label: str) -> Markup:
    """Returns an <svg> element with a label for screen readers; `name` starts its ids and must be the page's own."""
    root = ElementTree.fromstring(svg)
    used = {match for element in root.iter() for value in element.attrib.values() for match in REFERENCE.findall(value)}
    names = {old: f"{name}-{number}" for number, old in enumerate(sorted(used & _ids(root)))}
    small = _element(root, names)
    for side in ("width", "height", "version"):
        small.attrib.pop(side, None)
    natural = float(root.attrib["viewBox"].split()[2]) * PIXELS_PER_POINT
    small.attrib.update({"role": "img", "aria-label": label, "class": "drawing", "style": f"--natural:{natural:.0f}px"})
    return Markup(ElementTree.tostring(small, encoding="unicode"))


def _ids(root: Element) -> set[str]:
    return {element.attrib["id"] for element in root.iter() if "id" in element.attrib}


def _element(source: Element, names: dict[str, str]) -> Element:
    """Returns a copy without namespaces, unused ids, metadata, style sheets and groups that group nothing."""
    made = Element(_plain(source.tag), _attributes(source, names))
    made.text = source.text if source.text and source.text.strip() else None
    for child in source:
        if not isinstance(child.tag, str) or _plain(child.tag) in ("metadata", "style", "title"):
            continue
        copy = _element(child, names)
        if copy.tag in ("g", "defs") and not len(copy):
            continue
        made.extend(copy if copy.tag == "g" and not copy.attrib else [copy])
    return made


def _plain(tag: str) -> str:
    return tag.rpartition("}")[2]


def _attributes(source: Element, names: dict[str, str]) -> dict[str, str]:
    found = ((_plain(key), _value(_plain(key), value, names)) for key, value in source.attrib.items())
    return {key: value for key, value in found if value}


def _value(key: str, value: str, names: dict[str, str]) -> str:
    if key == "id":
        return names.get(value, "")
    if key == "style":
        return _style(value)
    if value.startswith("data:"):
        return value.replace("\n", "")
    return _rounded(REFERENCE.sub(lambda match: "#" + names.get(match[1], match[1]), value), key)


def _style(style: str) -> str:
    pairs = (part.partition(":")[::2] for part in style.split(";") if part.strip())
    kept = ((key.strip(), value.strip()) for key, value in pairs if key.strip() not in UNUSED)
    return ";".join(f"{key}:{VARIABLES.get(value, value)}" for key, value in kept)


def _rounded(value: str, key: str) -> str:
    if key == "transform" and value.startswith("rotate(-0 "):
        return ""
    digits = 4 if key == "transform" else 2  # a scale in a transform is multiplied by what it moves
    return " ".join(LONG.sub(lambda match: f"{float(match[0]):.{digits}f}".rstrip("0").rstrip("."), value).split())
