"""`--profile`: a table in the terminal, a section of the report, and a training that does not notice."""

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import sample_run
from rich.console import Console

import konv
from konv.app import report
from konv.app.cli import main
from konv.app.figures import _sheet
from konv.app.figures import profile as figure
from konv.app.profiling import table
from konv.app.report import page, readings, words
from konv.core.profile import Bound, LayerTime, PartTime, Profile
from konv.core.recipe import Recipe
from konv.core.run import Run

QUICK = ["--threads", "1", "--set", "fit.epochs=2", "--set", "data.pictures=120", "--set", "fit.batch_size=32"]


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("konv.training.profile.BUDGET", 0.0)
    monkeypatch.setattr("konv.training.roofline.BUDGET", 0.0)


def layer(name: str, *, ms: float = 10.0, bound: Bound = "arithmetic", roof: float = 0.8) -> LayerTime:
    return LayerTime(
        name=name,
        kind="Conv2d",
        output=(256, 32, 14, 14),
        calls=1,
        milliseconds_forward=ms / 2,
        milliseconds_backward=ms / 2,
        gflop=1.5 if bound == "arithmetic" else 0.0,
        megabytes=22.5,
        gflops=150.0 if bound == "arithmetic" else 0.0,
        gigabytes_per_second=2.25,
        bound=bound,
        roof=roof,
    )


def made(*layers: LayerTime, share: float = 0.5, spread: float = 0.02, **parts: float) -> Profile:
    whole = sum(one.milliseconds for one in layers) + sum(parts.values())
    return Profile(
        model="plain",
        source="fashion_mnist",
        batch_size=256,
        precision="float32",
        device="cpu",
        threads=1,
        steps=25,
        layers=layers,
        parts=tuple(PartTime.model_validate({"name": name, "milliseconds": value}) for name, value in parts.items()),
        milliseconds=whole,
        milliseconds_undisturbed=whole,
        spread=spread,
        pictures_per_second=256_000 / whole,
        gflop=1.8,
        gflops=45.0,
        gemm_gflops=45.0 / share,
        copy_gigabytes_per_second=20.0,
        gemm_share=share,
    )


USUAL = made(
    layer("conv1", ms=3.0, bound="memory", roof=1.04),
    layer("features.block3.residual.conv2", ms=22.0),
    layer("dropout", ms=0.01, bound="overhead", roof=0.0),
    inputs=1.2,
    between=0.4,
    loss=0.2,
    gradient=0.5,
    optimizer=0.4,
    rest=0.3,
)


def printed(profile: Profile, width: int = 80) -> list[str]:
    stream = StringIO()
    Console(width=width, file=stream).print(table(profile))
    return stream.getvalue().splitlines()


# ---- the terminal ----


def test_the_table_fits_a_terminal_of_80_columns() -> None:
    lines = printed(USUAL)
    assert max(map(len, lines)) <= 80
    rows = {line.split("  ")[0].strip(): line.split() for line in lines}
    assert rows["conv1"] == ["conv1", "1.50", "1.50", "11%", "22.5", "2.25", "104%", "memory"]
    assert rows["features.bl…conv2"][1:] == ["11.0", "11.0", "79%", "150", "22.5", "2.25", "80%", "arithmetic"]
    assert rows["dropout"][-1] == "overhead"
    assert rows["optimizer"] == ["optimizer", "0.40", "1%"]
    assert rows["whole step"] == ["whole", "step", "28.0"]


def test_numbers_of_any_size_keep_the_columns() -> None:
    huge = made(layer("conv", ms=123_456.0).model_copy(update={"gflops": 61_234.5, "megabytes": 98_765.4}), rest=0.0)
    lines = printed(huge)
    assert max(map(len, lines)) <= 80
    assert any(line.split()[-1:] == ["arithmetic"] for line in lines)
    assert not [line for line in lines if "…" in line]


def test_below_the_table_stand_the_reasons() -> None:
    text = " ".join(" ".join(printed(USUAL)).split())
    assert "90 GFLOP/s in a large matrix product, 20.0 GB/s in a large copy. Below 4.5 operations per byte" in text
    assert "“features.block3.residual.conv2”: 79% of the step" in text
    assert "50% of the large matrix product" in text


# ---- what to make of it ----


@pytest.mark.parametrize(
    ("profile", "keys"),
    [
        (made(layer("a")), ["profile_arithmetic", "profile_far"]),
        (made(layer("a", roof=0.3)), ["profile_arithmetic_far", "profile_far"]),
        (made(layer("a", bound="memory"), layer("b", ms=1.0)), ["profile_memory", "profile_far"]),
        (made(layer("a", bound="overhead", roof=0.02)), ["profile_overhead", "profile_far"]),
        (made(layer("a"), share=0.8), ["profile_arithmetic", "profile_near"]),
        (made(layer("a"), inputs=5.0, rest=4.0), ["profile_arithmetic", "profile_inputs"]),
        (made(layer("a"), optimizer=1.0, average=1.0, gradient=1.0), ["profile_arithmetic", "profile_optimizer"]),
        (made(layer("a"), between=2.0, rest=1.0), ["profile_arithmetic", "profile_gaps"]),
        (made(rest=1.0), ["profile_gaps"]),
        (made(layer("a"), spread=0.4), ["profile_arithmetic", "profile_far", "profile_busy"]),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_advice_follows_from_the_numbers(profile: Profile, keys: list[str]) -> None:
    found = readings.of_profile(profile)
    assert [reading.key for reading in found] == keys
    for language in ("en", "ko"):
        for reading in (*found, readings.roofs(profile), readings.whole_step(profile)):
            assert reading.say(words.load(language))


# ---- the report ----


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made_run = sample_run.make_run(tmp_path / "run", ("cat", "dog"), epochs=2, examples=0)
    made_run.write("profile.json", USUAL.model_dump(mode="json"))
    return made_run


@pytest.mark.parametrize(
    ("language", "texts"),
    [
        ("en", ["Where the time goes", "input preparation", "MaxPool2d", "arithmetic", "overhead", "104%"]),
        ("ko", ["시간은 어디에 쓰이나", "입력 준비", "MaxPool2d", "연산", "오버헤드", "메모리가 먼저 한계에 닿습니다"]),
    ],
)
def test_the_report_shows_the_profile(run: Run, language: Any, texts: list[str]) -> None:
    pool = layer("pool", ms=1.0, bound="memory").model_copy(update={"kind": "MaxPool2d", "calls": 3})
    run.write("profile.json", USUAL.model_copy(update={"layers": (*USUAL.layers, pool)}).model_dump(mode="json"))
    html = report.write(run, language).read_text(encoding="utf-8")
    assert not [text for text in texts if text not in html]
    assert 'href="#profile"' in html
    assert html.count("<svg") == 6
    assert (run.figures / "profile.svg").is_file()
    assert not [colour for colour in _sheet.INKS.values() if colour in html.split("<main>")[1]]


def test_a_run_without_a_profile_has_no_such_section(tmp_path: Path) -> None:
    plain = sample_run.make_run(tmp_path / "run", ("cat", "dog"), epochs=2, examples=0)
    assert plain.profile is None
    html = page.render(plain, "en", page.draw(plain, words.load("en")))
    assert 'id="profile"' not in html


def test_of_many_layers_the_slowest_are_drawn_in_their_order() -> None:
    layers = [layer(f"layer {number:03}", ms=1.0 + number % 7) for number in range(100)]
    labels = [text.get_text() for text in figure.draw(made(*layers, rest=1.0)).axes[0].get_yticklabels()]
    assert len(labels) == figure.MOST + 1
    assert labels[:-1] == sorted(labels[:-1])
    assert "layer 000" not in labels


# ---- a training with it and without ----


def test_a_training_does_not_notice(toy: Callable[..., Recipe], tmp_path: Path) -> None:
    recipe = toy(model={"name": "plain", "width": 4, "head": 8, "dropout": 0.3}, augment=[{"name": "flip"}], weight_average=0.5)
    one = konv.train(recipe, out=tmp_path / "one")
    two = konv.train(recipe, out=tmp_path / "two", profile=True)
    assert one.profile is None
    assert two.profile is not None
    assert two.profile.model == "plain"
    assert one.report.weights_sha256 == two.report.weights_sha256
    timed = {"seconds", "pictures_per_second"}
    assert [epoch.model_dump(exclude=timed) for epoch in one.history] == [
        epoch.model_dump(exclude=timed) for epoch in two.history
    ]
    clock = {"seconds_training", "images_per_second"} | {name for name in one.report.model_dump() if "milliseconds" in name}
    assert one.report.model_dump(exclude=clock) == two.report.model_dump(exclude=clock)


def test_train_prints_the_table_and_keeps_it(in_tmp: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "shapes", *QUICK, "--profile", "--json", "--out", "run"]) == 0
    printed_out = capfd.readouterr()
    facts = json.loads(printed_out.out)
    assert Profile.model_validate(facts["profile"]) == Run.open("run").profile
    assert "bound by" in printed_out.err
    assert "input preparation" in printed_out.err
    assert 'id="profile"' in Path("run/report.html").read_text(encoding="utf-8")


def test_a_finished_run_can_be_profiled_too(in_tmp: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "shapes", *QUICK, "--quiet", "--out", "run"]) == 0
    before = Run.open("run").report
    assert 'id="profile"' not in Path("run/report.html").read_text(encoding="utf-8")
    assert main(["resume", "run", "--profile", "--quiet", "--lang", "ko"]) == 0
    assert capfd.readouterr() == ("", "")
    assert "시간은 어디에 쓰이나" in Path("run/report.html").read_text(encoding="utf-8")
    assert Run.open("run").report == before
    assert konv.resume("run", profile=True).profile is not None


def test_a_damaged_profile_is_named(run: Run) -> None:
    run.write("profile.json", {"format": 1, "model": "plain"})
    with pytest.raises(konv.BadRun, match="damaged profile"):
        _ = run.profile
