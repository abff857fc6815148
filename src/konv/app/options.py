"""Options that several commands share; each is about one invocation, never about the recipe."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON object on standard output, nothing else.")]
Quiet = Annotated[bool, Parameter(name="--quiet", negative="", help="Say nothing but errors.")]
Language = Annotated[
    Literal["en", "ko"] | None, Parameter(name="--lang", help="Language of the report; default: the locale's.")
]
Settings = Annotated[
    list[str] | None,
    Parameter(name="--set", negative="", help="A recipe value, such as fit.epochs=5; may be given several times."),
]
Device = Annotated[Literal["auto", "cpu", "cuda", "mps"] | None, Parameter(name="--device", help="Where to compute.")]
Threads = Annotated[int | None, Parameter(name="--threads", help="Processor threads; default: what the machine offers.")]
Out = Annotated[
    Path | None, Parameter(name="--out", help="The run folder; default: runs/ and a name that follows from the recipe.")
]
Track = Annotated[
    list[str] | None,
    Parameter(name="--track", negative="", help="Write the numbers for another program too: tensorboard or mlflow."),
]
Profiled = Annotated[
    bool,
    Parameter(
        name="--profile",
        negative="",
        help="Measure where the time of a training step goes, layer by layer; the report keeps it.",
    ),
]
TrustSource = Annotated[
    bool,
    Parameter(
        name="--trust-source", negative="", help="Run the network code saved with the classifier though its file is gone."
    ),
]
