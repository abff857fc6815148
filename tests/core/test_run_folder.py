"""A run folder: made whole or not at all, one writer, rows and openings that are never doubled, damage named."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from konv.core.errors import BadRun
from konv.core.recipe import Recipe
from konv.core.results import Epoch
from konv.core.run import Run, runs_below

ENVIRONMENT = {"torch": "2", "threads": 1}
SPLIT = {"fingerprint": "abc", "classes": ["a", "b"], "train": ["0"], "valid": ["1"], "test": ["2"]}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.create(tmp_path / "runs" / "first", Recipe(seed=4), ENVIRONMENT, SPLIT)


def epoch(number: int) -> Epoch:
    return Epoch(
        epoch=number, step=10 * number, loss=1 / number, accuracy=0.5, valid_loss=0.1, valid_accuracy=0.5,
        learning_rate=1e-3, gradient_norm=1.0, seconds=0.1, pictures_per_second=100.0,
    )  # fmt: skip


# ---- made and opened ----


def test_a_new_run_holds_what_it_is_to_be(run: Run) -> None:
    again = Run.open(run.path)
    assert again.recipe == Recipe(seed=4)
    assert again.environment["torch"] == "2"
    assert again.split == SPLIT
    assert (again.history, again.examples, again.finished, again.accuracy) == ([], [], False, None)


def test_an_empty_folder_becomes_a_run_and_any_other_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert Run.create(tmp_path / "empty", Recipe(), {}).recipe == Recipe()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("keep me")
    with pytest.raises(BadRun, match="exists and is no run folder"):
        Run.create(tmp_path / "full", Recipe(), {})
    with pytest.raises(BadRun, match="exists and is no run folder"):
        Run.create(tmp_path / "full" / "letter.txt", Recipe(), {})
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["letter.txt"]


def test_a_run_that_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("konv.core.run.write_sealed", full)
    with pytest.raises(BadRun, match="cannot be written: No space left on device"):
        Run.create(tmp_path / "run", Recipe(), {})
    assert list(tmp_path.iterdir()) == []


def test_a_run_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadRun, match="cannot be written"):
        Run.create(tmp_path / "file" / "run", Recipe(), {})


def test_what_is_no_run_of_this_version_is_named(run: Run, tmp_path: Path) -> None:
    with pytest.raises(BadRun, match="there is no run at"):
        Run.open(tmp_path / "nowhere")
    with pytest.raises(BadRun, match="is not a run folder"):
        Run.open(tmp_path)
    run.write("environment.json", {"format": 99})
    with pytest.raises(BadRun, match="is a run of format 99; this konv reads format 1"):
        Run.open(run.path)


@pytest.mark.parametrize("text", ["{", "[1]", '"text"', "null"])
def test_a_damaged_environment_is_named(run: Run, text: str) -> None:
    (run.path / "environment.json").write_text(text)
    with pytest.raises(BadRun, match=r"environment\.json is damaged"):
        Run.open(run.path)


def test_damaged_files_are_named(run: Run) -> None:
    (run.path / "environment.json").write_bytes(b"\xff")
    with pytest.raises(BadRun, match="is not UTF-8"):
        Run.open(run.path)
    (run.path / "report.json").write_text("{")
    with pytest.raises(BadRun, match=r"report\.json is damaged"):
        _ = run.report
    (run.path / "report.json").write_text("{}")
    with pytest.raises(BadRun, match="holds a damaged report: model"):
        _ = run.report
    run.write("examples.json", [{}])
    with pytest.raises(BadRun, match="holds a damaged example: id"):
        _ = run.examples
    (run.path / "history.jsonl").write_text("{}\n")
    with pytest.raises(BadRun, match="holds a damaged epoch: epoch"):
        _ = run.history
    (run.path / "history.jsonl").write_bytes(b"\xff\n")
    with pytest.raises(BadRun, match="is not UTF-8"):
        _ = run.history
    (run.path / "split.json").unlink()
    with pytest.raises(BadRun, match=r"split\.json cannot be read: No such file"):
        _ = run.split


def test_an_unfinished_run_says_how_to_finish_it(run: Run) -> None:
    with pytest.raises(BadRun, match=f"konv resume {run.path}"):
        _ = run.report


def test_changed_data_is_refused(run: Run) -> None:
    run.require_same_data("abc")
    with pytest.raises(BadRun, match="has changed since that run began"):
        run.require_same_data("abd")


def test_runs_are_listed_by_name(tmp_path: Path) -> None:
    for name in ("b", "a"):
        Run.create(tmp_path / name, Recipe(), {})
    (tmp_path / "c").mkdir()
    (tmp_path / "d").touch()
    assert [found.name for found in runs_below(tmp_path)] == ["a", "b"]
    assert [found.name for found in runs_below(tmp_path / "a")] == ["a"]
    assert runs_below(tmp_path / "none") == []


# ---- history ----


def test_history_is_made_what_a_checkpoint_holds(run: Run) -> None:
    for number in (1, 2, 3):
        run.record_epoch(epoch(number))
    run.write_history([epoch(1), epoch(2)])
    assert run.history == [epoch(1), epoch(2)]
    run.record_epoch(epoch(3))
    assert run.history == [epoch(1), epoch(2), epoch(3)]


def test_a_torn_last_row_does_not_count(run: Run) -> None:
    run.record_epoch(epoch(1))
    with open(run.path / "history.jsonl", "a", encoding="utf-8") as stream:
        stream.write('{"epoch": 2, "st')
    assert run.history == [epoch(1)]


@pytest.mark.parametrize("change", [lambda text: text[:-1], lambda text: text.replace("0.5", "0.7", 1)], ids=["torn", "number"])
def test_the_history_of_a_finished_run_may_not_change(run: Run, change: Callable[[str], str]) -> None:
    run.record_epoch(epoch(1))
    run.write("report.json", {})
    assert run.history == [epoch(1)]
    path = run.path / "history.jsonl"
    path.write_text(change(path.read_text()))
    with pytest.raises(BadRun, match=r"history\.jsonl is damaged or was changed: its checksum does not hold"):
        _ = run.history


def test_a_kill_between_checksum_and_file_leaves_the_old_file_good(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run.write("examples.json", [])
    for number in range(3):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr("konv.core.run.write_text", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            run.write("examples.json", [{"a": number}])
        assert run.examples == []
    run.count_opening("evaluate", "w")
    assert run.count_opening("evaluate", "w") == 2


def test_a_changed_environment_is_read_and_named(run: Run) -> None:
    assert run.environment["altered"] == []
    for name, old, new in [("environment.json", '"threads": 1', '"threads": 3'), ("recipe.toml", "threads = 0", "threads = 2")]:
        path = run.path / name
        path.write_text(path.read_text().replace(old, new))
    assert (run.environment["threads"], run.environment["altered"]) == (3, ["recipe.toml", "environment.json"])
    assert run.recipe.threads == 2  # no part of what is trained


def test_changed_checksums_are_named(run: Run) -> None:
    path = run.path / "checksums.json"
    path.write_text(path.read_text().replace("split", "splat"))
    with pytest.raises(BadRun, match=r"checksums\.json is damaged or was changed"):
        _ = run.split


def test_a_run_from_before_there_were_checksums_is_read(run: Run) -> None:
    (run.path / "checksums.json").unlink()
    assert (run.recipe, run.split, run.environment["altered"]) == (Recipe(seed=4), SPLIT, [])


def test_an_environment_without_the_key_of_the_recipe_does_not_vouch_for_it(run: Run) -> None:
    path = run.path / "environment.json"
    path.write_text(path.read_text().replace("recipe_key", "recipe_kez"))
    with pytest.raises(BadRun, match="is not what the run was begun with"):
        _ = run.recipe


@pytest.mark.parametrize("change", ["record_epoch", "write_history", "write", "count_opening", "writing"])
def test_a_disk_that_refuses_is_told_in_one_sentence(run: Run, change: str) -> None:
    """Where the name that is to be written is a folder: refused for everyone, the superuser too."""
    for name in ("history.jsonl", "facts.json", "test_openings.json", ".writer"):
        (run.path / name).mkdir()
    calls = {
        "record_epoch": lambda: run.record_epoch(epoch(1)),
        "write_history": lambda: run.write_history([epoch(1)]),
        "write": lambda: run.write("facts.json", {}),
        "count_opening": lambda: run.count_opening("final score", "w"),
        "writing": lambda: run.writing().__enter__(),
    }
    with pytest.raises(BadRun, match=r"cannot be written: Is a directory\. What it holds is intact"):
        calls[change]()


def test_numbers_come_back_from_history_as_they_were(run: Run) -> None:
    exact = epoch(3).model_copy(update={"loss": 0.1 + 0.2, "valid_loss": 1e-300})
    run.record_epoch(exact)
    assert run.history == [exact]


# ---- openings of the test split ----


def test_the_final_score_of_the_same_weights_counts_once(run: Run) -> None:
    assert [run.count_opening("final score", "w1") for _ in range(3)] == [1, 1, 1]
    assert run.count_opening("final score", "w2") == 2


def test_every_other_opening_counts(run: Run) -> None:
    run.count_opening("final score", "w1")
    assert [run.count_opening("evaluate", "w1") for _ in range(3)] == [2, 3, 4]
    assert run.count_opening("final score", "w1") == 4


# ---- one writer ----

HOLD = """
import sys
from collections.abc import Callable
from pathlib import Path
from konv.core.run import Run
with Run(Path(sys.argv[1])).writing():
    print("held", flush=True)
    input()
"""


def test_a_second_writer_is_refused_with_the_number_of_the_first(run: Run) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(BadRun, match=f"is being written by process {other.pid}; wait for it"), run.writing():
            pass
        assert Run.open(run.path).recipe == Recipe(seed=4)  # reading is free
        other.communicate("\n")
    with run.writing():
        pass


def test_the_lock_is_gone_after_an_error(run: Run) -> None:
    with pytest.raises(KeyboardInterrupt), run.writing():
        raise KeyboardInterrupt
    with run.writing():
        pass


def test_the_environment_file_is_plain_json(run: Run) -> None:
    assert json.loads((run.path / "environment.json").read_text())["format"] == 1
