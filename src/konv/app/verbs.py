"""The verbs as functions: what `import konv; konv.train(recipe)` and the commands both call."""

from collections.abc import Sequence
from pathlib import Path

from konv.app import report as pages
from konv.app.session import Several, Silent, Watcher, follow
from konv.classifier import Classifier
from konv.core.compose import compose
from konv.core.recipe import DataOptions, Recipe
from konv.core.results import Prediction, Report
from konv.core.run import Run
from konv.datasets import Data, Samples, collect, load
from konv.evaluation import evaluate as score
from konv.evaluation import match_classes
from konv.training.distribution import leads
from konv.training.train import Finished, stream, threads


def train(
    recipe: Recipe | str | Path | None = None,
    *,
    out: Path | str | None = None,
    data: Data | None = None,
    watcher: Watcher | None = None,
    language: str | None = None,
    profile: bool = False,
) -> Run:
    """Returns the finished run of a recipe: a Recipe, the name or path of a source, or nothing for the embedded digits.

    The run folder is `out`, or runs/ with a name that follows from the recipe; an interrupted run found there is
    continued. With `profile`, its `profile` says where the time of a step goes. Raises a KonvError that says what to mend.
    """
    whole = recipe if isinstance(recipe, Recipe) else compose(None if recipe is None else str(recipe))
    watching = _watching(watcher, profile)
    return trained(whole, Path(out) if out is not None else None, data, watching, language, redraw=profile).run


def resume(run: Run | Path | str, *, watcher: Watcher | None = None, language: str | None = None, profile: bool = False) -> Run:
    """Returns the run, continued from its newest good checkpoint to its end; a finished run comes back as it is."""
    opened = _opened(run)
    watching = _watching(watcher, profile)
    return trained(opened.recipe, opened.path, None, watching, language, redraw=profile).run


def _watching(watcher: Watcher | None, profile: bool) -> Watcher:
    if not profile:
        return watcher or Silent()
    from konv.app.profiling import Profiling  # matplotlib's 0.6 s are for those who ask

    return Several([watcher or Silent(), Profiling(quiet=True)])


def trained(
    recipe: Recipe, out: Path | None, data: Data | None, watcher: Watcher, language: str | None, *, redraw: bool = False
) -> Finished:
    finished = follow(stream(recipe, out=out, data=data), watcher)
    if leads() and (redraw or not finished.run.report_page.is_file() or language is not None):
        pages.write(finished.run, pages.language(language))
    return finished


def report(run: Run | Path | str, *, language: str | None = None) -> Path:
    """Writes report.html and the figures of a finished run anew and returns the page's path; nothing is scored again."""
    return pages.write(_opened(run), pages.language(language))


def evaluate(run: Run | Path | str, source: str | None = None, *, trust_source: bool = False) -> Report:
    """Returns the scores of a run's classifier: on its own sealed test split, which is counted, or on all of a source.

    Classes of another source are matched by name. A source that holds what the run was trained on is the first case:
    only its test split is scored.
    """
    opened = _opened(run)
    classifier = Classifier.load(opened.path, trust_source=trust_source)
    with threads(opened.recipe.threads):
        samples, name, split, openings = _samples_to_score(opened, classifier, source)
        return score(classifier, samples, source=name, split=split, test_openings=openings).report


def _samples_to_score(run: Run, classifier: Classifier, source: str | None) -> tuple[Samples, str, str, int]:
    recipe = run.recipe
    if source is not None:
        collection = collect(_as_seen_by(classifier, source))
        if collection.fingerprint != run.split.get("fingerprint"):
            return match_classes(collection.samples, collection.classes, classifier.classes, source), source, source, 0
    openings = 0

    def count() -> int:
        nonlocal openings
        openings = run.count_opening("evaluate", classifier.weights_sha256)
        return openings

    data = load(recipe.data)
    run.require_same_data(data.fingerprint)
    return data.test.open(count), recipe.data.source, "test", openings


def _as_seen_by(classifier: Classifier, source: str) -> DataOptions:
    """A folder is decoded as the classifier's View says; other sources come as they are."""
    from konv.core.compose import shelf_of

    view = classifier.view
    if shelf_of(source) != "folder" or len(view.space) != 2:
        return DataOptions(source=source)
    colour = {1: "grey", 3: "colour"}.get(view.channels, "auto")
    seen = {"size": view.space[0], "resize": view.resize, "centre": view.centre, "interpolation": view.interpolation}
    return DataOptions.model_validate({"source": source, "channels": colour, **seen})


def predict(
    run: Run | Path | str | Classifier, files: Sequence[Path | str] | Path | str, *, trust_source: bool = False
) -> list[Prediction]:
    """Returns what a run's classifier says of each picture file, in the order given."""
    classifier = run if isinstance(run, Classifier) else Classifier.load(_opened(run).path, trust_source=trust_source)
    wanted = 0 if isinstance(run, Classifier) else _opened(run).recipe.threads
    with threads(wanted):
        return classifier.predict([files] if isinstance(files, (str, Path)) else files)


def _opened(run: Run | Path | str) -> Run:
    return run if isinstance(run, Run) else Run.open(run)
