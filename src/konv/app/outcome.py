"""What a command prints when its work is done: tables for people, one JSON object for programs."""

import json
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from konv.app.session import Interrupted, Several, Watcher, watcher
from konv.core.memory import keep_freed_memory
from konv.core.recipe import Recipe
from konv.core.results import Prediction, Report

RESUME = {
    "accuracy": "accuracy",
    "precision_macro": "precision, macro",
    "recall_macro": "recall, macro",
    "f1_macro": "F1, macro",
    "expected_calibration_error": "calibration error",
}


def run_to_the_end(
    recipe: Recipe,
    out: Path | None,
    trackers: Sequence[str],
    *,
    as_json: bool,
    quiet: bool,
    language: str | None,
    profile: bool = False,
) -> int:
    """Trains, prints the final table or JSON and returns the exit code."""
    keep_freed_memory()
    from konv.app.trackers import watchers
    from konv.app.verbs import trained
    from konv.datasets import reporting
    from konv.training.distribution import leads

    if not leads():  # of several processes one speaks
        as_json, quiet, profile, trackers = False, True, False, []
    shown = watcher(quiet)
    try:
        with reporting(shown.loading), redirect_stdout(sys.stderr):  # what a person's network prints is no result
            watching = Several([shown, *watchers(trackers), *_profiling(profile, quiet)])
            finished = trained(recipe, out, None, watching, language, redraw=profile)
    except Interrupted as stopped:
        if leads():
            print(f"konv: {stopped}", file=sys.stderr)
        return stopped.exit_code
    report = finished.report
    facts: dict[str, Any] = {"run": str(finished.run.path), "resumed": finished.resumed, "seconds": report.seconds_training}
    if profile and finished.run.profile is not None:
        facts["profile"] = finished.run.profile.model_dump(mode="json")
    if as_json:
        print_json({**report.model_dump(mode="json"), **facts, "report": str(finished.run.report_page)})
    elif not quiet:
        print_table(report)
        print(f"report  {finished.run.report_page}")
    return 0


def _profiling(wanted: bool, quiet: bool) -> list[Watcher]:
    if not wanted:
        return []
    from konv.app.profiling import Profiling

    return [Profiling(quiet=quiet)]


def print_json(content: Any) -> None:
    print(json.dumps(content, ensure_ascii=False))


def print_table(report: Report) -> None:
    """Prints the final scores; an interval stands where one was computed."""
    table = Table(title=f"{report.model} on {report.source}: {report.pictures:,} {report.split} pictures", title_justify="left")
    table.add_column("score")
    table.add_column("value", justify="right")
    table.add_column("95 % interval", justify="right")
    for name, words in RESUME.items():
        interval = getattr(report, f"{name}_interval", None)
        table.add_row(words, f"{getattr(report, name):.2%}", f"{interval[0]:.2%} … {interval[1]:.2%}" if interval else "")
    for k, share in report.top_k.items():
        if k > 1:
            table.add_row(f"top-{k} accuracy", f"{share:.2%}", "")
    table.add_section()
    for words, cost in _costs(report):
        table.add_row(words, cost, "")
    Console(highlight=False).print(table)


def _costs(report: Report) -> list[tuple[str, str]]:
    rows = [("parameters", f"{report.parameters:,}")]
    if report.seconds_training:
        rows.append(("training", f"{report.seconds_training:.1f} s, {report.epochs} epochs"))
    one = f"{report.milliseconds_one:.2f} ms (p95 {report.milliseconds_one_p95:.2f})"
    rows += [("one picture", one), (f"batches of {report.batch_size}", f"{report.images_per_second:,.0f} pictures/s")]
    return rows + ([("test split opened", f"{report.test_openings} ×")] if report.test_openings else [])


def print_predictions(predictions: list[Prediction]) -> None:
    """Prints file, label, confidence and the runner-up, one picture per row."""
    table = Table()
    for column in ("file", "label", "confidence", "next best"):
        table.add_column(column, justify="right" if column == "confidence" else "left", overflow="fold")
    for item in predictions:
        ranked = sorted(item.probabilities.items(), key=lambda pair: -pair[1])
        second = f"{ranked[1][0]} {ranked[1][1]:.1%}" if len(ranked) > 1 else ""
        label = f"{item.label} (rejected)" if item.rejected else item.label
        table.add_row(item.file, label, f"{item.confidence:.1%}", second)
    Console(highlight=False, markup=False).print(table)
