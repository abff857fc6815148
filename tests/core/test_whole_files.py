"""Files and folders are whole or absent, whatever happens while they are written."""

import json
from pathlib import Path

import pytest

from konv.core.files import replacing, replacing_folder, write_bytes, write_json, write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_contents_are_written_as_given(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a", b"\0\xff")
    write_text(tmp_path / "b", "한글\n")
    write_json(tmp_path / "c", {"이름": [1, 2.5, None]})
    assert (tmp_path / "a").read_bytes() == b"\0\xff"
    assert (tmp_path / "b").read_text(encoding="utf-8") == "한글\n"
    assert json.loads((tmp_path / "c").read_text(encoding="utf-8")) == {"이름": [1, 2.5, None]}
    assert names(tmp_path) == ["a", "b", "c"]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt, SystemExit])
def test_the_old_content_stays_when_the_block_fails(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "report.json"
    write_text(path, "old")
    with pytest.raises(error), replacing(path) as temporary:
        temporary.write_text("half of the n")
        raise error
    assert path.read_text(encoding="utf-8") == "old"
    assert names(tmp_path) == ["report.json"]


def test_what_cannot_be_turned_into_json_leaves_the_old_content(tmp_path: Path) -> None:
    write_json(tmp_path / "facts.json", {"a": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "facts.json", {"a": object()})
    assert json.loads((tmp_path / "facts.json").read_text()) == {"a": 1}
    assert names(tmp_path) == ["facts.json"]


def test_a_block_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "a"):
        pass
    assert names(tmp_path) == []


def test_a_folder_appears_with_all_its_files(tmp_path: Path) -> None:
    with replacing_folder(tmp_path / "run") as temporary:
        (temporary / "a").write_text("1")
        assert not (tmp_path / "run").exists()
    assert names(tmp_path) == ["run"]
    assert names(tmp_path / "run") == ["a"]


def test_a_folder_appears_not_at_all_when_the_block_fails(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), replacing_folder(tmp_path / "run") as temporary:
        (temporary / "a").write_text("1")
        raise KeyboardInterrupt
    assert names(tmp_path) == []


def test_what_a_killed_process_left_is_cleared(tmp_path: Path) -> None:
    (tmp_path / ".run.tmp").mkdir()
    (tmp_path / ".run.tmp" / "stale").touch()
    with replacing_folder(tmp_path / "run") as temporary:
        (temporary / "a").touch()
    assert names(tmp_path / "run") == ["a"]


def test_a_folder_with_content_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "precious").touch()
    with pytest.raises(OSError, match="run"), replacing_folder(tmp_path / "run") as temporary:
        (temporary / "a").touch()
    assert names(tmp_path) == ["run"]
    assert names(tmp_path / "run") == ["precious"]
