"""What every augmentation on the shelf keeps: shape, dtype, labels, its own draw for each sample, the generator's word."""

import math
from itertools import product

import pytest
import torch
from torch import Tensor

from konv.core.errors import BadRecipe
from konv.core.recipe import Choice
from konv.core.shelves import AUGMENTATIONS
from konv.training.augmentations import affine, make_augment

NAMES = AUGMENTATIONS.names()
SPACES = [(12,), (10, 12), (6, 8, 10)]
REFUSED = {("affine", 1), ("affine", 3)}  # turning needs a plane
CASES = [case for case in product(NAMES, SPACES) if (case[0], len(case[1])) not in REFUSED]
AT_REST = {  # options under which nothing changes, where there are such
    "flip": {"probability": 0.0},
    "erase": {"probability": 0.0},
    "affine": {"degrees": 0.0, "shift": 0.0, "scale": 0.0, "shear": 0.0},
    "colour": {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0},
}


def batch(size: int, channels: int, space: tuple[int, ...], seed: int = 0) -> tuple[Tensor, Tensor]:
    values = torch.rand(size, channels, *space, generator=torch.Generator().manual_seed(seed))
    return values * 0.8 + 0.1, torch.arange(size) % 3


def changed(name: str, inputs: Tensor, labels: Tensor, seed: int = 0, **options: object) -> tuple[Tensor, Tensor]:
    augment = make_augment([Choice(name=name, **options)])
    assert augment is not None
    return augment(inputs, labels, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("name", "space"), CASES)
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_shape_dtype_labels_and_the_caller_s_own_batch_are_kept(name: str, space: tuple[int, ...], channels: int) -> None:
    inputs, labels = batch(9, channels, space)
    before = inputs.clone()
    outputs, kept = changed(name, inputs, labels)
    assert (outputs.shape, outputs.dtype) == (inputs.shape, torch.float32)
    assert torch.equal(kept, labels)
    assert outputs.isfinite().all()
    assert (outputs >= -1e-6).all()
    assert (outputs <= 1 + 1e-6).all()
    assert torch.equal(inputs, before)


@pytest.mark.parametrize(("name", "space"), CASES)
def test_the_generator_alone_decides(name: str, space: tuple[int, ...]) -> None:
    inputs, labels = batch(16, 3, space)
    state = torch.get_rng_state()
    first = changed(name, inputs, labels, seed=1)[0]
    torch.rand(7)
    assert torch.equal(first, changed(name, inputs, labels, seed=1)[0])
    assert not torch.equal(first, changed(name, inputs, labels, seed=2)[0])
    torch.set_rng_state(state)
    changed(name, inputs, labels)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(("name", "space"), CASES)
def test_each_sample_has_its_own_draw(name: str, space: tuple[int, ...]) -> None:
    one, labels = batch(1, 3, space)
    outputs = changed(name, one.expand(32, *one.shape[1:]).contiguous(), labels.expand(32))[0]
    assert len({tuple(sample.flatten().tolist()) for sample in outputs}) > 1


@pytest.mark.parametrize(("name", "space"), CASES)
def test_a_batch_of_one_is_taken(name: str, space: tuple[int, ...]) -> None:
    assert changed(name, *batch(1, 1, space))[0].shape == (1, 1, *space)


@pytest.mark.parametrize(("name", "space"), [case for case in CASES if case[0] in AT_REST])
def test_without_strength_nothing_changes(name: str, space: tuple[int, ...]) -> None:
    inputs, labels = batch(9, 3, space)
    torch.testing.assert_close(changed(name, inputs, labels, **AT_REST[name])[0], inputs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("name", "dimensions"), sorted(REFUSED))
def test_data_it_cannot_take_is_refused_in_one_sentence(name: str, dimensions: int) -> None:
    with pytest.raises(BadRecipe, match=rf"^fit\.augment {name} works on pictures .*; take .*\.$"):
        changed(name, *batch(2, 1, SPACES[dimensions - 1]))


@pytest.mark.parametrize(
    ("name", "option"), [(entry.name, option) for entry in AUGMENTATIONS.entries() for option in entry.options], ids=str
)
def test_every_default_is_a_value_its_option_allows(name: str, option: object) -> None:
    assert AUGMENTATIONS.check_options(name, {option.name: option.default}, "fit.augment") == {option.name: option.default}


# ---- several ----


def test_none_is_nothing() -> None:
    assert make_augment([]) is None


def test_several_are_applied_in_their_order_from_one_generator() -> None:
    inputs, labels = batch(8, 1, (8, 8))
    both = make_augment([Choice(name="flip"), Choice(name="crop", padding=3)])
    draws = torch.Generator().manual_seed(4)
    flip, crop = (AUGMENTATIONS.take(name).augment for name in ("flip", "crop"))
    wanted = crop(*flip(inputs, labels, draws), draws, padding=3)[0]
    assert torch.equal(both(inputs, labels, torch.Generator().manual_seed(4))[0], wanted)


# ---- what each does ----


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_flip_mirrors_whole_samples_half_of_the_time(space: tuple[int, ...]) -> None:
    inputs, labels = batch(200, 2, space)
    outputs = changed("flip", inputs, labels)[0]
    turned = (outputs == inputs.flip(-1)).flatten(1).all(dim=1)
    assert torch.equal(turned, ~(outputs == inputs).flatten(1).all(dim=1))
    assert 70 < turned.sum() < 130  # of 200, at one half
    assert changed("flip", inputs, labels, probability=0.9)[0].ne(inputs).flatten(1).any(dim=1).sum() > 160


def test_flip_can_turn_upside_down() -> None:
    inputs, labels = batch(50, 1, (6, 8))
    outputs = changed("flip", inputs, labels, axis="vertical")[0]
    assert all(torch.equal(out, given) or torch.equal(out, given.flip(-2)) for out, given in zip(outputs, inputs, strict=True))


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_crop_is_an_exact_shift_by_whole_positions(space: tuple[int, ...]) -> None:
    inputs, labels = batch(40, 2, space)
    outputs = changed("crop", inputs, labels, padding=2)[0]
    seen = set()
    for given, found in zip(inputs, outputs, strict=True):
        padded = torch.nn.functional.pad(given, [2, 2] * len(space))
        windows = {
            place: padded[(slice(None), *(slice(start, start + side) for start, side in zip(place, space, strict=True)))]
            for place in product(range(5), repeat=len(space))
        }
        fitting = [place for place, window in windows.items() if torch.equal(window, found)]
        assert len(fitting) == 1
        seen.add(fitting[0])
    assert {start for place in seen for start in place} == set(range(5))  # −2 … 2 all occur


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_erase_blanks_one_box_of_the_asked_size(space: tuple[int, ...]) -> None:
    inputs, labels = batch(100, 2, space)
    outputs = changed("erase", inputs, labels, probability=0.5, smallest=0.2, largest=0.5)[0]
    blank = (outputs == 0).all(dim=1)  # (N, *space); all channels alike
    assert torch.equal(outputs, inputs.masked_fill(blank[:, None], 0.0))
    assert 30 < blank.flatten(1).any(dim=1).sum() < 70  # of 100, at one half
    for sample in blank[blank.flatten(1).any(dim=1)]:
        extent = [sample.any(dim=[other for other in range(len(space)) if other != axis]) if len(space) > 1 else sample
                  for axis in range(len(space))]  # fmt: skip
        lengths = [int(along.sum()) for along in extent]
        assert int(sample.sum()) == math.prod(lengths)  # a full box
        assert all(round(0.2 * side) <= length <= round(0.5 * side) for length, side in zip(lengths, space, strict=True))


def test_colour_changes_brightness_within_its_share() -> None:
    inputs = torch.full((200, 1, 4, 4), 0.5)
    outputs = changed("colour", inputs, torch.zeros(200), brightness=0.4, contrast=0.0, saturation=0.0)[0]
    levels = outputs[:, 0, 0, 0]
    assert torch.equal(outputs, levels.view(-1, 1, 1, 1).expand_as(outputs))
    assert 0.3 <= levels.min() < 0.33
    assert 0.67 < levels.max() <= 0.7


def test_colour_changes_contrast_around_the_mean_and_saturation_around_grey() -> None:
    inputs, labels = batch(20, 3, (6, 6))
    inputs = inputs * 0.4 + 0.3  # stays within 0…1
    harder = changed("colour", inputs, labels, brightness=0.0, contrast=0.5, saturation=0.0)[0]
    axes = (1, 2, 3)
    torch.testing.assert_close(harder.mean(dim=axes), inputs.mean(dim=axes))
    ratio = harder.std(dim=axes) / inputs.std(dim=axes)
    assert (ratio - 1).abs().max() <= 0.5 + 1e-4
    redder = changed("colour", inputs, labels, brightness=0.0, contrast=0.0, saturation=0.5)[0]
    luma = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    torch.testing.assert_close((redder * luma).sum(dim=1), (inputs * luma).sum(dim=1))
    assert not torch.allclose(redder, inputs)


def test_colour_stays_within_0_and_1() -> None:
    outputs = changed("colour", torch.ones(50, 3, 2, 2), torch.zeros(50), brightness=0.9)[0]
    assert outputs.max() == 1


# ---- affine against exact answers ----


def draws(monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    """Makes every draw lie at this share of its range: 1 is the highest, 0 the lowest, 0.5 the middle."""

    def fixed(inputs: Tensor, _: torch.Generator, low: float = 0.0, high: float = 1.0) -> Tensor:
        return torch.full((len(inputs), *[1] * (inputs.ndim - 1)), low + (high - low) * share)

    monkeypatch.setattr(affine, "uniform", fixed)


def moved(inputs: Tensor, **options: float) -> Tensor:
    still = {"degrees": 0.0, "shift": 0.0, "scale": 0.0, "shear": 0.0}
    return affine.augment(inputs, torch.zeros(len(inputs)), torch.Generator(), **{**still, **options})[0]


@pytest.mark.parametrize("side", [8, 9])
@pytest.mark.parametrize(("share", "quarter"), [(1.0, 1), (0.0, -1)])
def test_affine_by_90_degrees_is_a_quarter_turn(monkeypatch: pytest.MonkeyPatch, side: int, share: float, quarter: int) -> None:
    draws(monkeypatch, share)
    inputs = batch(3, 2, (side, side))[0]
    found = moved(inputs, degrees=90.0)
    turns = [torch.rot90(inputs, quarter, (2, 3)), torch.rot90(inputs, -quarter, (2, 3))]
    assert any(torch.allclose(found, turn, atol=1e-4) for turn in turns)
    torch.testing.assert_close(moved(inputs, degrees=180.0), torch.rot90(inputs, 2, (2, 3)), rtol=1e-4, atol=1e-4)


def test_affine_turns_one_way_and_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = batch(2, 1, (8, 8))[0]
    draws(monkeypatch, 1.0)
    one = moved(inputs, degrees=90.0)
    draws(monkeypatch, 0.0)
    torch.testing.assert_close(moved(one, degrees=90.0), inputs, rtol=1e-4, atol=1e-4)


def test_affine_keeps_the_shape_of_what_it_turns_in_a_picture_that_is_not_square(monkeypatch: pytest.MonkeyPatch) -> None:
    draws(monkeypatch, 1.0)
    inputs = torch.zeros(1, 1, 8, 12)
    inputs[0, 0, 1:7, 5:7] = 1.0  # a bar, six high and two wide, in the middle
    found = moved(inputs, degrees=90.0)
    wanted = torch.zeros(1, 1, 8, 12)
    wanted[0, 0, 3:5, 3:9] = 1.0  # now six wide and two high
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("space", [(8, 8), (8, 16)], ids=str)
def test_affine_shifts_by_a_share_of_the_side(monkeypatch: pytest.MonkeyPatch, space: tuple[int, int]) -> None:
    draws(monkeypatch, 1.0)
    inputs = batch(2, 1, space)[0]
    down, right = space[0] // 4, space[1] // 4
    found = moved(inputs, shift=0.25)
    torch.testing.assert_close(found[..., :-down, :-right], inputs[..., down:, right:], rtol=1e-4, atol=1e-4)
    assert (found[..., -down:, :].abs() < 1e-4).all()  # what comes in is zero


def test_affine_scales_about_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = torch.zeros(1, 1, 16, 16)
    inputs[0, 0, 4:12, 4:12] = 1.0
    areas = {}
    for share in (0.0, 0.5, 1.0):
        draws(monkeypatch, share)
        areas[share] = moved(inputs, scale=0.5).sum().item() / 64
    assert areas[0.5] == pytest.approx(1.0, abs=1e-4)
    assert sorted(areas.values()) == pytest.approx([0.25, 1.0, 2.25], rel=0.15)  # 0.5², 1, 1.5²


def test_affine_shears_rows_against_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    draws(monkeypatch, 1.0)
    inputs = torch.zeros(1, 1, 9, 9)
    inputs[0, 0, :, 4] = 1.0  # an upright line
    rows = moved(inputs, shear=45.0)[0, 0]
    places = [int(row.argmax()) for row in rows]
    assert places in ([*range(9)], [*range(8, -1, -1)])  # by 45°, one position per row


def test_affine_draws_within_its_ranges() -> None:
    """Zeros come in at one side only, and never more than the share asked for."""
    inputs = torch.ones(64, 1, 20, 20)
    outputs = changed("affine", inputs, torch.zeros(64), degrees=0.0, shift=0.2, scale=0.0)[0]
    empty = (outputs.amax(dim=(1, 2)) < 1e-4).sum(dim=1)  # columns, (N,)
    assert empty.max() <= 4
    assert empty.max() >= 3
