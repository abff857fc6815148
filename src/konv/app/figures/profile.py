"""Milliseconds of a training step: a bar per layer, forward and backward, and one per part that is no layer."""

from konv.app.figures._sheet import INKS, Sheet, dress, finish, sheet, short
from konv.app.report.words import Texts, load
from konv.core.profile import Profile

MOST = 40  # layers on one sheet; of more, the slowest are drawn, in the order of the network


def draw(profile: Profile, texts: Texts | None = None) -> Sheet:
    """Returns horizontal bars in the order in which a step runs; above 40 layers, the slowest 40."""
    texts = texts or load("en")
    words = texts["figures"]
    slowest = sorted(profile.layers, key=lambda layer: -layer.milliseconds)[:MOST]
    layers = [layer for layer in profile.layers if layer in slowest]
    names = [layer.name for layer in layers] + [texts["profile"]["parts"][part.name] for part in profile.parts]
    figure = sheet(7.2, 1.1 + 0.24 * len(names))
    axes = dress(figure.subplots(), words["profile"])
    forward, rows = [layer.milliseconds_forward for layer in layers], range(len(layers))
    axes.barh(rows, forward, height=0.66, color=INKS["heat-right"], linewidth=0, label=words["forward"])
    backward = [layer.milliseconds_backward for layer in layers]
    axes.barh(rows, backward, left=forward, height=0.66, color=INKS["valid"], linewidth=0, label=words["backward"])
    parts = [part.milliseconds for part in profile.parts]
    axes.barh(range(len(layers), len(names)), parts, height=0.66, color=INKS["soft"], linewidth=0, label=words["other"])
    axes.set_yticks(range(len(names)), [short(name, 32) for name in names], fontsize=8.5, color=INKS["ink"], parse_math=False)
    axes.set(ylim=(len(names) - 0.4, -0.6))
    axes.margins(x=0.02)
    axes.grid(axis="x", color=INKS["line"], linewidth=0.6)
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.3 / len(names) - 0.03), ncols=3, frameon=False, fontsize=8.5,
                labelcolor=INKS["soft"])  # fmt: skip
    return finish(figure)
