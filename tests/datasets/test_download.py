"""Downloads: whole, interrupted, continued, wrong, refused."""

from pathlib import Path

import pytest
from making import Server

from konv.core.errors import BadData
from konv.datasets._download import Unreachable, download
from konv.datasets._progress import reporting

CONTENT = bytes(range(256)) * 10_000  # 2.56 MB


def is_content(path: Path) -> bool:
    return path.read_bytes() == CONTENT


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_whole_download_reports_progress_and_leaves_one_file(server: Server, tmp_path: Path) -> None:
    server.content["a.gz"] = CONTENT
    seen: list[tuple[str, int, int]] = []
    with reporting(lambda what, done, total: seen.append((what, done, total))):
        download(f"{server.address}/a.gz", tmp_path / "new" / "a.gz", is_content)
    assert (tmp_path / "new" / "a.gz").read_bytes() == CONTENT
    assert names(tmp_path / "new") == ["a.gz"]
    assert seen[-1] == ("downloading a.gz", len(CONTENT), len(CONTENT))
    assert [done for _, done, _ in seen] == sorted({done for _, done, _ in seen})


def test_a_download_that_breaks_off_is_continued_by_the_next_call(server: Server, tmp_path: Path) -> None:
    server.content["a.gz"], server.break_after = CONTENT, 1_000_000
    with pytest.raises(BadData, match=r"broke off after 1\.0 of 2\.6 MB .*run the same command again"):
        download(f"{server.address}/a.gz", tmp_path / "a.gz", is_content)
    assert names(tmp_path) == ["a.gz.part"]
    with pytest.raises(BadData, match=r"broke off after 2\.0 of 2\.6 MB"):
        download(f"{server.address}/a.gz", tmp_path / "a.gz", is_content)
    server.break_after = None
    download(f"{server.address}/a.gz", tmp_path / "a.gz", is_content)
    assert is_content(tmp_path / "a.gz")
    assert [wanted for _, wanted in server.asked] == [None, "bytes=1000000-", "bytes=2000000-"]


def test_a_server_without_ranges_sends_everything_again(server: Server, tmp_path: Path) -> None:
    server.content["a.gz"], server.ranges = CONTENT, False
    (tmp_path / "a.gz.part").write_bytes(CONTENT[:500])
    download(f"{server.address}/a.gz", tmp_path / "a.gz", is_content)
    assert is_content(tmp_path / "a.gz")


def test_a_part_that_is_already_whole_is_used(server: Server, tmp_path: Path) -> None:
    server.content["a.gz"] = CONTENT
    (tmp_path / "a.gz.part").write_bytes(CONTENT)
    download(f"{server.address}/a.gz", tmp_path / "a.gz", is_content)
    assert names(tmp_path) == ["a.gz"]
    assert len(server.asked) == 1


@pytest.mark.parametrize("part", [b"other" * 100, CONTENT + b"more"], ids=["of another file", "too long"])
def test_a_part_that_does_not_fit_is_fetched_anew(server: Server, tmp_path: Path, part: bytes) -> None:
    server.content["a.gz"] = CONTENT
    (tmp_path / "a.gz.part").write_bytes(part)
    download(f"{server.address}/a.gz", tmp_path / "a.gz", is_content)
    assert is_content(tmp_path / "a.gz")
    assert server.asked[-1] == ("/a.gz", None)


def test_wrong_content_is_thrown_away_and_said(server: Server, tmp_path: Path) -> None:
    server.content["a.gz"] = b"<html>please log in</html>"
    with pytest.raises(BadData, match=r"another content than a\.gz should have"):
        download(f"{server.address}/a.gz", tmp_path / "a.gz", is_content)
    assert names(tmp_path) == []


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "http://name.invalid", "nonsense", ""])
def test_an_address_that_gives_nothing_is_unreachable(address: str, tmp_path: Path) -> None:
    with pytest.raises(Unreachable):
        download(f"{address}/a.gz", tmp_path / "a.gz", is_content)
    assert names(tmp_path) == []


def test_a_missing_file_names_the_answer(server: Server, tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="answered 404"):
        download(f"{server.address}/b.gz", tmp_path / "b.gz", is_content)


def test_a_folder_that_cannot_be_made_is_named(server: Server, tmp_path: Path) -> None:
    server.content["a.gz"] = CONTENT
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(BadData, match=r"cannot be written .*KONV_DATA"):
        download(f"{server.address}/a.gz", tmp_path / "taken" / "a.gz", is_content)
