"""Finding: a named mistake as data: where it is, what it is, why it happens, how it is mended."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Severity = Literal["error", "warning", "hint"]


class Finding(BaseModel):
    """One mistake that a rule of the doctor has found."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    rule: str  # file name of the rule
    severity: Severity
    file: str | None = None  # a person's own file, where there is one
    line: int | None = None  # where the layer is made, or the line of forward that goes wrong
    layer: str | None = None  # as in named_modules; of a function: the module that calls it, a dot and the function's name
    what: str  # what was given and what was needed
    why: str  # the arithmetic that leads there
    fix: str  # the corrected line, or what to do
    patch: str | None = None  # the correction as a unified diff; tried before it is offered

    @property
    def sentence(self) -> str:
        """Returns place, mistake and remedy in one line."""
        place = f"{self.file}:{self.line}: " if self.file and self.line else ""
        return " ".join(f"{place}{self.what} {self.fix}".split())
