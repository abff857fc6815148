"""Numbers of an anatomy as people read them."""

from collections.abc import Sequence

from konv.core.anatomy import Layer

UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def amount(count: float) -> str:
    """Returns a count with three digits and a letter: 2.65 M; small ones as they are."""
    for size, letter in UNITS:
        if count >= size * (10 if letter == "k" else 1):
            value = count / size
            return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f} {letter}"
    return f"{count:,.0f}"


def memory(count: float | None) -> str:
    """Returns bytes in kB or MB (of 1000)."""
    if count is None:
        return "–"
    if count < 1e6:
        return f"{count / 1e3:,.1f} kB"
    return f"{count / 1e6:,.1f} MB" if count < 1e9 else f"{count / 1e9:,.2f} GB"


def shape(sides: Sequence[int]) -> str:
    return "×".join(map(str, sides))


def along(values: Sequence[float] | None) -> str:
    """Returns one number where all axes have the same, else all of them; a dash where nothing is known."""
    if not values:
        return "–"
    texts = [f"{value:,.4g}" if value < 1e4 else f"{value:,.0f}" for value in values]
    return texts[0] if len(set(texts)) == 1 else "×".join(texts)


def formula(layer: Layer) -> str:
    """Returns the formula of the output size, or nothing where the shape stays and no arithmetic leads to it."""
    return layer.formula if layer.input != layer.output or " = " in layer.formula else ""


def milliseconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}" if value < 1 else f"{value:.2f}"


def share(part: float) -> str:
    return "" if not part else "<0.1%" if part < 0.001 else f"{part:.1%}"
