"""Show every layer of a network: sizes with their formulas, parameters, cost, receptive field."""

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from konv.app.options import AsJson, Language, Settings, TrustSource


def command(
    network: str | None = None,
    /,
    *,
    shape: Annotated[
        str | None, Parameter(name="--input", help="Shape of one input, such as 3x224x224; a run knows its own.")
    ] = None,
    classes: Annotated[
        int | None,
        Parameter(help="Number of classes of the network; default: 10, and a network of your own may have others."),
    ] = None,
    layer: Annotated[str | None, Parameter(help="Explain this layer at length, such as conv2.")] = None,
    edges: Annotated[
        bool,
        Parameter(
            negative="", help="Instead: a page that shows kernel, stride, padding, dilation and pooling on a photograph."
        ),
    ] = False,
    fix: Annotated[
        bool, Parameter(negative="", help="Show a correction of your own file for each finding, and write those you accept.")
    ] = False,
    yes: Annotated[bool, Parameter(negative="", help="With --fix: write the corrections without asking.")] = False,
    settings: Settings = None,
    time: Annotated[bool, Parameter(negative="", help="Measure the milliseconds of every step.")] = False,
    form: Annotated[
        Literal["table", "markdown", "json", "html"] | None,
        Parameter(name="--format", help="How to show it; default: as the ending of --out says, else a table."),
    ] = None,
    out: Annotated[Path | None, Parameter(name="--out", help="Write to this file.")] = None,
    language: Language = None,
    trust_source: TrustSource = False,
    as_json: AsJson = False,
) -> int:
    """Show every layer of a network: sizes with their formulas, parameters, cost, receptive field.

    Parameters
    ----------
    network
        A name of `konv models`, your own my_net.py:Net, or the folder of a run or of a classifier.
    """
    from konv.app.anatomy import showing
    from konv.app.anatomy.subject import find, mended
    from konv.app.report import language as chosen
    from konv.core.errors import BadModel

    wanted, language = "json" if as_json else form, chosen(language)
    if edges:
        showing.show_lessons(wanted, out, language)
        return 0
    if network is None:
        raise BadModel("no network was named; write for example: konv anatomy fashion_cnn --input 1x28x28")
    with redirect_stdout(sys.stderr):  # what a person's network prints is no result
        subject = find(network, shape, classes, settings or [], trust_source=trust_source, language=language)
        if fix:
            subject = mended(subject, yes=yes, language=language)
        anatomy = subject.dissected(time=time)
    if layer is None or not anatomy.complete:
        showing.show(anatomy, wanted, out, language)
    else:
        showing.show_layer(subject, layer, wanted, out, language)
    return FINDINGS if any(finding.severity == "error" for finding in anatomy.findings) else 0


FINDINGS = 3  # exit code where a finding is an error
