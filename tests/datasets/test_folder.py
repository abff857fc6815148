"""A folder of class folders: what is taken, what is refused, what is remembered."""

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from making import encoded, png
from PIL import Image

from konv.core.errors import BadData
from konv.core.recipe import DataOptions
from konv.datasets import collect, folder, load


def tree(root: Path, files: dict[str, bytes]) -> str:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return str(root)


# ---- what is taken ------------------------------------------------------------------------------------------------


def test_class_folders_become_classes(pictures: Path) -> None:
    data = load(DataOptions(source=str(pictures), size=16, resize="pad"))
    assert data.classes == ("dark", "light")
    assert data.view.shape == (1, 16, 16)
    assert data.view.resize == "pad"
    ids = {*data.train.ids, *data.valid.ids, *data.test.ids}
    assert ids == {f"{name}/{index}.png" for name in ("dark", "light") for index in range(6)}


def test_labels_belong_to_their_pictures(pictures: Path) -> None:
    samples = folder.load(str(pictures), size=8).samples
    assert np.array_equal(samples.inputs.mean(axis=(1, 2, 3)) > 128, samples.labels == 1)


def test_names_sort_as_people_count(tmp_path: Path) -> None:
    files = {f"{name}/{index}.png": png() for name in ("10", "2", "b1", "B02", "1") for index in (10, 9)}
    collection = folder.load(tree(tmp_path / "n", files))
    assert collection.classes == ("1", "2", "10", "B02", "b1")
    assert collection.samples.ids[:2] == ("1/9.png", "1/10.png")


def test_nested_files_count_and_hidden_ones_do_not(tmp_path: Path) -> None:
    source = tree(
        tmp_path / "n",
        {
            "a/deep/er/1.png": png(),
            "a/2.png": png(),
            "b/1.png": png(),
            "a/.DS_Store": b"x",
            "a/.hidden/1.png": png(),
            "b/Thumbs.db": b"x",
            ".git/config": b"x",
            "__MACOSX/a/1.png": b"x",
            "readme.txt": b"x",
        },
    )
    collection = folder.load(source)
    assert collection.classes == ("a", "b")
    assert set(collection.samples.ids) == {"a/deep/er/1.png", "a/2.png", "b/1.png"}


def test_links_to_folders_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    source = tree(tmp_path / "n", {"a/1.png": png(), "b/1.png": png()})
    tree(tmp_path / "elsewhere", {"2.png": png()})
    (tmp_path / "n" / "a" / "more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "n" / "b" / "loop").symlink_to(tmp_path / "n" / "b")
    assert folder.load(source).samples.ids == ("a/1.png", "a/more/2.png", "b/1.png")


def test_class_names_are_stored_in_one_unicode_form(tmp_path: Path) -> None:
    source = tree(tmp_path / "n", {unicodedata.normalize("NFD", "café/1.png"): png(), "고양이/1.png": png()})
    assert folder.load(source).classes == ("café", "고양이")


def test_names_that_are_no_text_are_readable_all_the_same(tmp_path: Path) -> None:
    source = tree(tmp_path / "n", {"a/1.png": png(), "b/1.png": png()})
    with open(os.fsencode(tmp_path) + b"/n/a/\xff.png", "wb") as stream:
        stream.write(png())
    assert "a/\ufffd.png" in folder.load(source).samples.ids


@pytest.mark.parametrize(
    ("channels", "colours", "expected"),
    [("auto", False, 1), ("auto", True, 3), ("grey", True, 1), ("colour", False, 3)],
)
def test_channels(channels: str, colours: bool, expected: int, tmp_path: Path) -> None:
    second = png((1, 2, 3), mode="RGB") if colours else png()
    source = tree(tmp_path / "n", {"a/1.png": png(), "b/1.png": second})
    assert folder.load(source, channels=channels).samples.inputs.shape == (2, expected, 64, 64)


# ---- what is refused ----------------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda root: None, "there is no folder .*one folder of pictures per class"),
    "a file": (lambda root: root.write_bytes(png()), "is a file, not a folder"),
    "empty": (Path.mkdir, "is empty"),
    "only hidden": (lambda root: tree(root, {".git/a": b"x"}), "is empty"),
    "only files": (lambda root: tree(root, {"1.png": png()}), "holds files but no class folders"),
    "one class": (lambda root: tree(root, {"cats/1.png": png()}), r"one class folder only \('cats'\)"),
    "an empty class": (lambda root: (tree(root, {"cats/1.png": png()}), (root / "dogs").mkdir()), "folder 'dogs' .* is empty"),
    "only hidden files": (lambda root: tree(root, {"a/1.png": png(), "b/.x": b""}), "folder 'b' .* is empty"),
    "capitals": (lambda root: tree(root, {"Cats/1.png": png(), "cats/1.png": png()}), "'Cats' and 'cats'"),
    "accents": (
        lambda root: tree(root, {unicodedata.normalize(form, "é/1.png"): png() for form in ("NFC", "NFD")}),
        "how accents are stored",
    ),
    "splits": (lambda root: tree(root, {"train/a/1.png": png(), "Test/a/1.png": png()}), "are splits .*, not classes"),
    "none readable": (lambda root: tree(root, {"a/1.png": b"x", "b/1.png": b"y"}), "1 more file"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_folder_of_classes_is_one_sentence(case: str, tmp_path: Path) -> None:
    make, words = REFUSED[case]
    make(tmp_path / "n")
    with pytest.raises(BadData, match=words) as caught:
        collect(DataOptions(source=str(tmp_path / "n")))
    assert str(tmp_path / "n") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("source", ["~nobody-of-that-name/x", "a\0b/c", "x/" + "y" * 5000])
def test_odd_paths_are_missing_folders(source: str) -> None:
    with pytest.raises(BadData, match="there is no folder"):
        folder.load(source)


# ---- broken files -------------------------------------------------------------------------------------------------


@pytest.fixture
def spoilt(pictures: Path) -> Path:
    """As `pictures`, with four files more that are none."""
    whole = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 255, (50, 50), dtype=np.uint8)))
    tree(
        pictures,
        {"dark/0cut.png": whole[:1500], "dark/3x.jpg": b"", "light/notes.txt": b"words", "light/2b.png": b"\x89PNG\r\n"},
    )
    return pictures


def test_by_default_broken_files_are_refused_by_name(spoilt: Path) -> None:
    with pytest.raises(BadData) as caught:
        folder.load(str(spoilt))
    message = str(caught.value)
    assert str(spoilt / "dark" / "0cut.png") in message
    assert "it is cut short" in message
    assert "3 more files" in message
    assert "--set data.bad=skip" in message


def test_skipped_files_are_listed_and_the_rest_is_right(spoilt: Path) -> None:
    for _ in range(2):  # decoded, then remembered
        collection = folder.load(str(spoilt), size=8, bad="skip")
        assert [row["file"] for row in collection.broken] == ["dark/0cut.png", "dark/3x.jpg", "light/2b.png", "light/notes.txt"]
        assert all(row["cause"] for row in collection.broken)
        assert len(collection.samples) == len(collection.samples.inputs) == 12
        assert np.array_equal(collection.samples.inputs.mean(axis=(1, 2, 3)) > 128, collection.samples.labels == 1)
    for name in collection.broken:
        (spoilt / name["file"]).unlink()
    assert np.array_equal(folder.load(str(spoilt), size=8).samples.inputs, collection.samples.inputs)


def test_a_class_without_any_good_picture_is_named(tmp_path: Path) -> None:
    source = tree(tmp_path / "n", {"a/1.png": png(), "b/1.png": b"x", "b/2.png": b""})
    with pytest.raises(BadData, match=r"folder 'b' .* no usable picture; of its first file, it is no picture"):
        folder.load(source, bad="skip")


def test_a_bomb_and_a_pipe_are_listed_without_being_opened(pictures: Path) -> None:
    tree(pictures, {"dark/bomb.pgm": b"P5 30000 30000 255\n"})
    os.mkfifo(pictures / "dark" / "pipe.png")
    causes = {row["file"]: row["cause"] for row in folder.load(str(pictures), bad="skip").broken}
    assert "pixels" in causes["dark/bomb.pgm"]
    assert "no regular file" in causes["dark/pipe.png"]


# ---- remembered by content ----------------------------------------------------------------------------------------


@pytest.fixture
def decodes(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files decoded so far."""
    done: list[Path] = []
    original = folder.decode
    monkeypatch.setattr(folder, "decode", lambda file, *rest: (done.append(file), original(file, *rest))[1])
    return done


def test_unchanged_pictures_are_decoded_once(pictures: Path, decodes: list[Path], tmp_path: Path) -> None:
    first = folder.load(str(pictures), size=16)
    for path in pictures.rglob("*.png"):
        os.utime(path, (1, 1))
    pictures.rename(tmp_path / "moved")
    second = folder.load(str(tmp_path / "moved"), size=16)
    assert len(decodes) == 12
    assert first.fingerprint == second.fingerprint
    assert np.array_equal(first.samples.inputs, second.samples.inputs)


def test_a_changed_picture_is_seen_even_with_the_same_size_and_time(pictures: Path, decodes: list[Path]) -> None:
    path = pictures / "dark" / "0.png"
    path.write_bytes(png(40))
    facts = path.stat()
    first = folder.load(str(pictures), size=16)
    path.write_bytes(png(41))
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert path.stat().st_size == facts.st_size
    second = folder.load(str(pictures), size=16)
    assert second.samples.inputs[0].tolist() == np.full((1, 16, 16), 41).tolist()
    assert first.fingerprint != second.fingerprint
    assert len(decodes) == 24


@pytest.mark.parametrize(
    "change", [{"size": 17}, {"resize": "pad"}, {"channels": "colour"}, {"centre": 0.5}, {"interpolation": "bicubic"}]
)
def test_other_options_are_another_memory(change: dict[str, object], pictures: Path, decodes: list[Path]) -> None:
    folder.load(str(pictures), size=16)
    folder.load(str(pictures), **{"size": 16, **change})
    assert len(decodes) == 24


def test_a_renamed_class_is_another_collection(pictures: Path) -> None:
    first = folder.load(str(pictures), size=16)
    (pictures / "light").rename(pictures / "lit")
    assert folder.load(str(pictures), size=16).fingerprint != first.fingerprint


def test_a_damaged_memory_is_made_again(pictures: Path, decodes: list[Path], data_folder: Path) -> None:
    first = folder.load(str(pictures), size=16)
    expected = first.samples.inputs.copy()
    del first
    stored = next((data_folder / "cache").glob("folder-*.npy"))
    stored.write_bytes(stored.read_bytes()[:-100])
    assert np.array_equal(folder.load(str(pictures), size=16).samples.inputs, expected)
    assert len(decodes) == 24


def test_without_a_place_to_write_it_works_from_memory(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KONV_DATA", str(pictures / "dark" / "0.png"))
    assert len(folder.load(str(pictures)).samples) == 12
