"""Run: a folder with the recipe, the environment, the history, checkpoints, weights and report of one training."""

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, TypeVar

from pydantic import BaseModel, ValidationError

from konv.core import compose
from konv.core.errors import BadRun
from konv.core.failpoints import reached
from konv.core.files import replacing_folder, write_sealed, write_text
from konv.core.recipe import Recipe
from konv.core.results import Epoch, Example, Report
from konv.core.seals import BrokenSeal, sealed, unsealed, without_seal

FORMAT = 1  # of the run folder; raised when an older konv could no longer read it
Result = TypeVar("Result", bound=BaseModel)


@dataclass(frozen=True)
class Run:
    """One training on disk. Knows file names and what they hold, nothing of networks."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def classifier(self) -> Path:
        return self.path / "classifier"

    @property
    def figures(self) -> Path:
        return self.path / "figures"

    @property
    def report_page(self) -> Path:
        return self.path / "report.html"

    @property
    def finished(self) -> bool:
        """True once the final score is written."""
        return (self.path / "report.json").is_file()

    # ---- start and open ----

    @classmethod
    def create(cls, path: Path, recipe: Recipe, environment: dict[str, Any], split: dict[str, Any] | None = None) -> "Run":
        """Makes the folder with what the training is to be, all of it or nothing; raises BadRun where that cannot be done."""
        run = cls(path.expanduser().absolute())
        if run.path.exists() and (not run.path.is_dir() or any(run.path.iterdir())):
            raise BadRun(f"{path} exists and is no run folder; choose another --out.")
        try:
            run.path.parent.mkdir(parents=True, exist_ok=True)
            with replacing_folder(run.path) as temporary:
                (temporary / "checkpoints").mkdir()
                write_text(temporary / "recipe.toml", compose.to_toml(recipe))
                write_sealed(temporary / "split.json", split or {})
                write_sealed(temporary / "environment.json", {"format": FORMAT, **environment, "recipe_key": recipe.key})
        except OSError as error:
            raise BadRun(f"the run folder {path} cannot be written: {error.strerror}; choose another --out.") from None
        return run

    @classmethod
    def open(cls, path: Path | str) -> "Run":
        """Returns the run in a folder, or raises BadRun in one sentence."""
        run = cls(Path(path).expanduser().absolute())
        if not run.path.exists():
            raise BadRun(f"there is no run at {path}; `konv runs` lists those below a folder.")
        if not cls.is_run(run.path):
            raise BadRun(f"{path} is not a run folder: it holds no recipe.toml and environment.json of konv.")
        version = run.environment.get("format")
        if version != FORMAT:
            raise BadRun(f"{path} is a run of format {version!r}; this konv reads format {FORMAT}. Use the konv that made it.")
        return run

    @staticmethod
    def is_run(path: Path) -> bool:
        return (path / "recipe.toml").is_file() and (path / "environment.json").is_file()

    # ---- what it holds ----

    @property
    def recipe(self) -> Recipe:
        """The recipe as it was when the run began; one that has been changed since is refused."""
        recipe = compose.read(self.path / "recipe.toml")
        if self.environment.get("recipe_key") != recipe.key:
            raise BadRun(
                f"{self.path / 'recipe.toml'} is not what the run was begun with; restore it, or train it in another --out."
            )
        return recipe

    @property
    def environment(self) -> dict[str, Any]:
        """What the run was begun with; a changed file is read all the same, with `unaltered` False for its reader to tell."""
        path = self.path / "environment.json"
        text = self._text(path)
        try:
            return {**self._unsealed(text, path), "unaltered": True}
        except BadRun:
            return {**self._whole_table(self._parsed(text, path), path), "unaltered": False}

    @property
    def split(self) -> dict[str, Any]:
        """Ids of the pictures of each split and the fingerprint of the data."""
        return self._table("split.json")

    @property
    def report(self) -> Report:
        if not self.finished:
            raise BadRun(f"{self.path} has no report yet; `konv resume {self.path}` finishes the run.")
        return self._result(Report, self._json("report.json"))

    @property
    def history(self) -> list[Epoch]:
        """The finished epochs, oldest first."""
        path = self.path / "history.jsonl"
        *rows, torn = (self._text(path) if path.is_file() else "").split("\n")
        if torn and self.finished:
            raise BadRun(f"{path} is damaged: its last row is torn, although the run is finished.")
        return [self._result(Epoch, self._unsealed(f"{row}\n", path, indent=None)) for row in rows]

    @property
    def examples(self) -> list[Example]:
        """The scored pictures chosen for the report's grid; empty where none were kept."""
        path = self.path / "examples.json"
        return [self._result(Example, item) for item in self._json("examples.json")] if path.is_file() else []

    @property
    def accuracy(self) -> float | None:
        return self.report.accuracy if self.finished else None

    # ---- changes ----

    def record_epoch(self, epoch: Epoch) -> None:
        """Adds one row to history.jsonl."""
        row = _row(epoch)
        with self._told(), open(self.path / "history.jsonl", "a", encoding="utf-8") as stream:
            reached("history.before")
            stream.write(row[: len(row) // 2])
            stream.flush()
            reached("history.half")
            stream.write(row[len(row) // 2 :])

    def write_history(self, epochs: Sequence[Epoch]) -> None:
        """Makes history.jsonl hold these rows and no others: those of a checkpoint, so that none is doubled, torn or lost."""
        with self._told():
            write_text(self.path / "history.jsonl", "".join(map(_row, epochs)))

    def require_same_data(self, fingerprint: str) -> None:
        """Raises BadRun where the data is not what this run was trained on."""
        if self.split.get("fingerprint") != fingerprint:
            raise BadRun(
                f"the data of {self.path} has changed since that run began; choose another --out to use it as it is now."
            )

    def write(self, name: str, content: Any) -> None:
        """Writes one of the run's JSON files, a table or a list of tables, with a checksum of itself."""
        with self._told():
            write_sealed(self.path / name, content)

    def count_opening(self, purpose: str, weights: str) -> int:
        """Notes that the sealed test split is opened and returns how often it has been.

        The final score of the same weights counts once however often a run is taken up again; every other opening counts.
        """
        path = self.path / "test_openings.json"
        if self.finished and not path.is_file():
            raise BadRun(f"{path} is missing, so the openings of the test split cannot be counted; restore it, or train anew.")
        openings = self._json(path.name) if path.is_file() else []
        opening = {"purpose": purpose, "weights_sha256": weights}
        if purpose != "final score" or opening not in openings:
            openings.append(opening)
            self.write(path.name, openings)
        if self.finished:  # so that the report, drawn again, tells of it
            self.write("report.json", {**self._table("report.json"), "test_openings": len(openings)})
        return len(openings)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Holds the run for one writer; a second one is refused with the holder's process number."""
        with self._lock_file() as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                stream.seek(0)
                holder = stream.read().strip() or "unknown"
                raise BadRun(
                    f"{self.path} is being written by process {holder}; wait for it or choose another --out."
                ) from None
            with self._told():
                stream.truncate(0)
                stream.write(str(os.getpid()))
                stream.flush()
            yield

    def _lock_file(self) -> TextIO:
        with self._told():
            reached("lock.before")
            return open(self.path / ".writer", "a+", encoding="ascii")

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turns what the disk says against a write into one sentence."""
        try:
            yield
        except OSError as error:
            raise BadRun(
                f"the run folder {self.path} cannot be written: {error.strerror}. What it holds is intact; "
                "make it writable or make room, then run the same command again."
            ) from error

    # ---- reading ----

    def _table(self, name: str) -> dict[str, Any]:
        return self._whole_table(self._json(name), self.path / name)

    @staticmethod
    def _whole_table(content: Any, path: Path) -> dict[str, Any]:
        if not isinstance(content, dict):
            raise BadRun(f"{path} is damaged: it holds no table of names and values.")
        return without_seal(content)

    def _json(self, name: str) -> Any:
        path = self.path / name
        return self._unsealed(self._text(path), path)

    @staticmethod
    def _text(path: Path) -> str:
        try:
            return path.read_bytes().decode("utf-8")  # read_text would let \r\n pass for \n
        except OSError as error:
            raise BadRun(f"{path} cannot be read: {error.strerror}.") from None
        except UnicodeDecodeError:
            raise BadRun(f"{path} is damaged: it is not UTF-8 text.") from None

    def _unsealed(self, text: str, path: Path, indent: int | None = 1) -> Any:
        self._parsed(text, path)
        try:
            return unsealed(text, indent)
        except BrokenSeal as error:
            raise BadRun(f"{path} is damaged or was changed: {error}.") from None

    @staticmethod
    def _parsed(text: str, path: Path) -> Any:
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise BadRun(f"{path} is damaged: {error}.") from None

    def _result(self, kind: type[Result], content: Any) -> Result:
        try:
            return kind.model_validate(content)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise BadRun(f"{self.path} holds a damaged {kind.__name__.lower()}: {where}: {first['msg']}.") from None

    # ---- in a notebook ----

    def _repr_html_(self) -> str:
        from html import escape

        if not self.report_page.is_file():
            return f"<p>Run <code>{escape(str(self.path))}</code>: not finished, {len(self.history)} epochs done.</p>"
        page = escape(self.report_page.read_text(encoding="utf-8"), quote=True)
        return f'<iframe srcdoc="{page}" style="width:100%;height:720px;border:0" title="{escape(self.name)}"></iframe>'


def _row(epoch: Epoch) -> str:
    return sealed(epoch.model_dump(mode="json"), indent=None)


def runs_below(folder: Path) -> list[Run]:
    """Returns the runs in a folder and one level below, in the order of their names."""
    if Run.is_run(folder):
        return [Run(folder.absolute())]
    if not folder.is_dir():
        return []
    return [Run(path.absolute()) for path in sorted(folder.iterdir()) if path.is_dir() and Run.is_run(path)]
