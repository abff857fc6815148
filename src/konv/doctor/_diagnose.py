"""From a network to its findings: rules are asked in order, and a correction is offered only after it was tried."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from math import inf
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from konv.anatomy import cross
from konv.core.findings import Finding
from konv.core.shelves import RULES
from konv.doctor._case import Case, Shape, Suspicion, shown, watched
from konv.doctor._code import Edits, diff
from konv.doctor._script import Script, shown_path

TRIALS = 40  # corrections of one mistake that are tried at most
LAST = 100  # rank of the rule that takes what no other knows
CHAIN = 5  # steps of arithmetic that a finding tells


@dataclass(frozen=True)
class Diagnosis:
    """Findings of a network, and the text in which the first of them is mended; None where no correction is known."""

    findings: tuple[Finding, ...]
    network: nn.Module | None  # None: it could not be built
    mended: Script | None = None


def diagnose(
    network: nn.Module,
    shape: Shape,
    *,
    classes: int | None = None,
    labels: Tensor | None = None,
    batch: int = 3,
    language: str = "en",
) -> list[Finding]:
    """Returns what is wrong with a network for inputs of a shape (C, *space): the first mistake of its forward pass, or what a
    pass that ran did to batch and classes; labels are compared with the scores.
    """
    case = watched(network, shape, None, {}, classes=classes, labels=labels, batch=batch)
    found = first_of(case)
    return [told(case, *found, None, language)] if found else []


def diagnose_script(
    script: Script, shape: Shape, *, classes: int | None = None, batch: int = 3, language: str = "en"
) -> Diagnosis:
    """Returns the first mistake of a person's own network with its line and a correction; raises BadModel where the file
    cannot be run for a reason that no rule knows.
    """
    case = case_of(script, shape, classes=classes, batch=batch)
    found = first_of(case)
    if found is None:
        if case.error is not None:
            raise case.error
        return Diagnosis((), case.network)
    edits = _tried(case, *found)
    mended = None if edits is None else script.rewritten(script.code.applied(edits))
    return Diagnosis((told(case, *found, edits, language),), case.network, mended)


def case_of(script: Script, shape: Shape, **facts: Any) -> Case:
    """Returns the case of a person's own text, built and run once."""
    built = script.build()
    if built.network is None:
        return Case(shape, None, built.error, script, **facts)
    return watched(built.network, shape, script, built.made, **facts)


def first_of(case: Case) -> tuple[ModuleType, Suspicion] | None:
    """Returns the first rule that has something to say, and what it says."""
    return next(_suspicions(case), None)


def _suspicions(case: Case) -> Iterator[tuple[ModuleType, Suspicion]]:
    for rule in _rules():
        for suspicion in rule.check(case):
            yield rule, suspicion


@cache
def _rules() -> list[ModuleType]:
    return sorted((RULES.take(name) for name in RULES.names()), key=lambda rule: int(rule.RANK))


# ---- corrections -------------------------------------------------------------------------------------------------


def _tried(case: Case, rule: ModuleType, suspicion: Suspicion) -> Edits | None:
    """Returns the first correction after which the whole network runs; else the first after which it gets further."""
    assert case.script is not None
    further: Edits | None = None
    seen = {case.script.text}
    for edits in suspicion.candidates[:TRIALS]:
        text = case.script.code.applied(edits)
        if text in seen:
            continue
        seen.add(text)
        reached = _reached(case, text)
        if reached is None:
            continue
        after, found = reached
        if found is None and after.error is None:
            return edits
        if further is None and found is not None and _is_further(case, (rule, suspicion), after, found):
            further = edits
    return further


def _reached(case: Case, text: str) -> tuple[Case, tuple[ModuleType, Suspicion] | None] | None:
    """Returns the case of a corrected text and what is still wrong with it; None where the text is no Python."""
    assert case.script is not None
    script = case.script.rewritten(text)
    try:
        compile(text, script.path, "exec")
    except (SyntaxError, ValueError):
        return None
    after = case_of(script, case.shape, classes=case.classes, labels=case.labels, batch=case.batch)
    return after, first_of(after)


def _is_further(case: Case, before: tuple[ModuleType, Suspicion], after: Case, found: tuple[ModuleType, Suspicion]) -> bool:
    if after.error is not None or found[0].RANK == LAST:  # a correction that itself goes wrong is none
        return False
    same = (before[0].__name__, before[1].layer) == (found[0].__name__, found[1].layer)
    reached = inf if after.failure is None else len(after.steps)
    return case.error is not None or (not same and reached >= before[1].at)


# ---- words -------------------------------------------------------------------------------------------------------


def told(case: Case, rule: ModuleType, suspicion: Suspicion, edits: Edits | None, language: str) -> Finding:
    """Returns the finding: the rule's words with their numbers, the line, and the correction as a diff."""
    words = rule.WORDS[language]
    words = words.get(suspicion.words, words)
    numbers = {"layer": suspicion.layer, "steps": arithmetic(case, suspicion.at), **suspicion.numbers}
    code, script = case.code, case.script
    spans = suspicion.spans
    fix, patch, line = words["fix"].format_map(numbers), None, spans[0].line if spans else None
    if edits and code and script:
        after = script.rewritten(code.applied(edits)).code
        row = min(code.row(edit) for edit in edits)
        fix = f"{fix} {LINE[language].format(line=row, text=after.line(min(row, len(after.lines))))}"
        line = line or row
        patch = diff(script.text, after.text, shown_path(script))
    return Finding(
        rule=rule.__name__.rpartition(".")[2],
        severity=rule.SEVERITY,
        file=shown_path(script) if script else None,
        line=line,
        layer=suspicion.layer or None,
        what=_joined(words["what"].format_map(numbers)),
        why=_joined(words["why"].format_map(numbers)),
        fix=fix,
        patch=patch,
    )


LINE = {"en": "Line {line}: {text}", "ko": "{line}행: {text}"}


def arithmetic(case: Case, at: int) -> str:
    """Returns how the shape in front of a step came about: the last steps that changed it, with the formulas of their sizes."""
    start = f"N×{cross(case.shape)}"
    if not case.steps or at <= 0:
        return start
    path = [case.steps[number] for number in case.before(min(at, len(case.steps)) - 1)]
    changing = [step for step in path if step.inputs and step.outputs and step.inputs[0] != step.outputs[0]]
    parts = [f"{step.name} {step.formula if ' = ' in step.formula else ''} → {shown(step.outputs[0])}" for step in changing]
    return "; ".join([start if len(parts) <= CHAIN else "…", *reversed(parts[:CHAIN])])


def _joined(text: str) -> str:
    return " ".join(text.split())
