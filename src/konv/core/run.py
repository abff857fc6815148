"""Run: a folder with the recipe, the environment, the history, checkpoints, weights and report of one training."""

import fcntl
import hashlib
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
from konv.core.files import replacing_folder, to_json, write_sealed, write_text
from konv.core.profile import Profile
from konv.core.recipe import Recipe
from konv.core.results import Epoch, Example, Report
from konv.core.seals import BrokenSeal, unsealed

FORMAT = 1  # of the run folder; raised when an older konv could no longer read it
CHECKSUMS = "checksums.json"  # sha256 of the other files, two where the newer may not have been written yet
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
                texts = {
                    "recipe.toml": compose.to_toml(recipe),
                    "split.json": to_json(split or {}),
                    "environment.json": to_json({"format": FORMAT, **environment, "recipe_key": recipe.key}),
                }
                for name, text in texts.items():
                    write_text(temporary / name, text)
                write_sealed(temporary / CHECKSUMS, {name: [_digest(text)] for name, text in texts.items()})
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
        """What the run was begun with; `altered` names the files that are not as they were then, for its reader to tell."""
        path = self.path / "environment.json"
        found = self._checked_table(self._parsed(self._text(path), path), path)
        return {**found, "altered": [name for name in ("recipe.toml", path.name) if not self._as_written(name)]}

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
        whole = (self._text(path) if path.is_file() else "").split("\n")[:-1]  # a row torn by a kill has no line end yet
        rows = [self._result(Epoch, self._parsed(line, path)) for line in whole]
        if self.finished:  # before that, rows are added, and a checkpoint holds them too
            self._require_as_written(path.name)
        return rows

    @property
    def examples(self) -> list[Example]:
        """The scored pictures chosen for the report's grid; empty where none were kept."""
        path = self.path / "examples.json"
        return [self._result(Example, item) for item in self._json("examples.json")] if path.is_file() else []

    @property
    def profile(self) -> Profile | None:
        """Where the time of a training step went; None where it was not measured."""
        path = self.path / "profile.json"
        return self._result(Profile, self._json(path.name)) if path.is_file() else None

    @property
    def accuracy(self) -> float | None:
        return self.report.accuracy if self.finished else None

    # ---- changes ----

    def record_epoch(self, epoch: Epoch) -> None:
        """Adds one row to history.jsonl."""
        row = epoch.model_dump_json() + "\n"
        with self._told(), open(self.path / "history.jsonl", "a", encoding="utf-8") as stream:
            reached("history.before")
            stream.write(row[: len(row) // 2])
            stream.flush()
            reached("history.half")
            stream.write(row[len(row) // 2 :])

    def write_history(self, epochs: Sequence[Epoch]) -> None:
        """Makes history.jsonl hold these rows and no others: those of a checkpoint, so that none is doubled, torn or lost."""
        with self._told():
            write_text(self.path / "history.jsonl", "".join(epoch.model_dump_json() + "\n" for epoch in epochs))

    def require_same_data(self, fingerprint: str) -> None:
        """Raises BadRun where the data is not what this run was trained on."""
        if self.split.get("fingerprint") != fingerprint:
            raise BadRun(
                f"the data of {self.path} has changed since that run began; choose another --out to use it as it is now."
            )

    def write(self, name: str, content: Any) -> None:
        """Writes one of the run's JSON files and notes its checksum; report.json ends a run, so the history's is noted too."""
        text, history = to_json(content), self.path / "history.jsonl"
        with self._told():
            ended = {history.name: self._text(history)} if name == "report.json" and history.is_file() else {}
            self._note_checksums({**ended, name: text})
            write_text(self.path / name, text)

    def _note_checksums(self, texts: dict[str, str]) -> None:
        """Notes them before the files are written; a kill in between leaves the old file, whose checksum stays as well."""
        known = self._checksums()
        for name, text in texts.items():
            now = [_digest(self._text(self.path / name))] if (self.path / name).is_file() else []
            known[name] = list(dict.fromkeys([digest for digest in now if digest in known.get(name, ())] + [_digest(text)]))
        write_sealed(self.path / CHECKSUMS, known)

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
        return self._checked_table(self._json(name), self.path / name)

    @staticmethod
    def _checked_table(content: Any, path: Path) -> dict[str, Any]:
        if not isinstance(content, dict):
            raise BadRun(f"{path} is damaged: it holds no table of names and values.")
        return content

    def _json(self, name: str) -> Any:
        path = self.path / name
        content = self._parsed(self._text(path), path)
        self._require_as_written(name)
        return content

    def _require_as_written(self, name: str) -> None:
        if not self._as_written(name):
            raise BadRun(f"{self.path / name} is damaged or was changed: its checksum does not hold.")

    def _as_written(self, name: str) -> bool:
        """True where a file has its noted checksum; one that nobody noted is taken as it is."""
        known = self._checksums()
        return name not in known or _digest(self._text(self.path / name)) in known[name]

    def _checksums(self) -> dict[str, list[str]]:
        path = self.path / CHECKSUMS
        if not path.is_file():  # a run made before there were any
            return {}
        text = self._text(path)
        self._parsed(text, path)
        try:
            found: dict[str, list[str]] = unsealed(text)
        except BrokenSeal as error:
            raise BadRun(f"{path} is damaged or was changed: {error}.") from None
        return found

    @staticmethod
    def _text(path: Path) -> str:
        try:
            return path.read_bytes().decode("utf-8")  # as it is: read_text would let \r\n pass for \n
        except OSError as error:
            raise BadRun(f"{path} cannot be read: {error.strerror}.") from None
        except UnicodeDecodeError:
            raise BadRun(f"{path} is damaged: it is not UTF-8 text.") from None

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


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def runs_below(folder: Path) -> list[Run]:
    """Returns the runs in a folder and one level below, in the order of their names."""
    if Run.is_run(folder):
        return [Run(folder.absolute())]
    if not folder.is_dir():
        return []
    return [Run(path.absolute()) for path in sorted(folder.iterdir()) if path.is_dir() and Run.is_run(path)]
