"""Recipes: layers of values, TOML in and out, a key that names them, the words that explain them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from konv.core.compose import check, compose, explain, fields, read, to_toml
from konv.core.errors import BadRecipe
from konv.core.recipe import Choice, Fit, Recipe

numbers = st.floats(allow_nan=False, allow_infinity=False, width=64)
shares = st.floats(0, 1, exclude_max=True)
positive = st.floats(0, 50, exclude_min=True)

fits = st.fixed_dictionaries(
    {},
    optional={
        "epochs": st.integers(1, 100_000),
        "batch_size": st.one_of(st.integers(1), st.just("all")),
        "learning_rate": positive,
        "weight_decay": st.floats(0, 10),
        "schedule": st.sampled_from(["constant", "step", "plateau", "cosine", "one_cycle"]),
        "initialization": st.sampled_from(["default", "kaiming", "xavier", "normal", "whitening"]),
        "init_mean": numbers,
        "loss": st.sampled_from(["cross_entropy", "mean_squared_error", "focal"]),
        "label_smoothing": shares,
        "class_weights": st.one_of(st.sampled_from(["none", "balanced"]), st.lists(positive, max_size=4)),
        "clip_norm": st.one_of(st.none(), positive),
        "weight_average": shares,
        "augment": st.lists(
            st.one_of(
                st.sampled_from(["flip", "crop", "erase", "affine", "colour"]),
                st.builds(lambda size: {"name": "crop", "padding": size}, st.integers(1, 9)),
                st.builds(lambda turn: {"name": "affine", "degrees": turn}, st.floats(0, 90)),
            ),
            max_size=3,
        ),
    },
)
models = st.one_of(
    st.sampled_from(["plain", "mlp", "fashion_cnn"]),
    st.builds(lambda widths, out: {"name": "mlp", "hidden": widths, "dropout": out}, st.lists(st.integers(1, 99)), shares),
    st.builds(lambda width: {"width": width}, st.integers(1, 99)),
)
sources = st.one_of(
    st.just({"source": "digits"}),
    st.builds(lambda side, noise: {"source": "shapes", "side": side, "noise": noise}, st.integers(1, 99), shares),
    st.builds(lambda valid: {"valid": valid}, st.floats(0, 1, exclude_min=True, exclude_max=True)),
    st.builds(
        lambda name: {"source": f"pictures/{name}"}, st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=9)
    ),
)
recipes = st.fixed_dictionaries(
    {},
    optional={"seed": st.integers(0, 2**32 - 1), "threads": st.integers(0, 64), "fit": fits, "model": models, "data": sources},
)


@given(recipes)
def test_a_recipe_comes_back_from_toml_as_it_was(tmp_path_factory: pytest.TempPathFactory, values: dict) -> None:
    recipe = check(values)
    path = tmp_path_factory.getbasetemp() / "recipe.toml"
    path.write_text(to_toml(recipe), encoding="utf-8")
    again = read(path)
    assert again == recipe
    assert again.key == recipe.key


def test_later_layers_win(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[data]\nsource = "fashion-mnist"\n[fit]\nepochs = 7\nbatch_size = 32\n', encoding="utf-8")
    recipe = compose(file=file, settings=["fit.epochs=3"])
    assert recipe.fit.epochs == 3  # a setting over the file
    assert recipe.fit.batch_size == 32  # the file over the ready recipe
    assert recipe.fit.weight_decay == compose("fashion_mnist").fit.weight_decay  # the ready recipe over the defaults
    assert recipe.fit.optimizer == Recipe().fit.optimizer  # the defaults


def test_the_source_and_the_model_named_apart_win_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('model = "mlp"\n[data]\nsource = "fashion_mnist"\n', encoding="utf-8")
    recipe = compose("digits", file=file, model="fashion-cnn")
    assert (recipe.data.source, recipe.model.name) == ("digits", "fashion_cnn")
    assert recipe.fit.epochs == compose("digits").fit.epochs


def test_a_source_without_a_ready_recipe_takes_the_defaults() -> None:
    assert compose("shapes").fit == Recipe().fit


def test_a_ready_recipe_is_found_by_name() -> None:
    assert compose(file="fashion-mnist") == compose(file="fashion_mnist")


@pytest.mark.parametrize("name", ["quick", "balanced", "best"])
def test_a_ready_recipe_is_named_in_short_beside_its_source(name: str) -> None:
    assert compose("fashion-mnist", file=name) == compose(file=f"fashion_mnist_{name}")
    assert compose("fashion-mnist", file=name).data.source == "fashion_mnist"


def test_the_usual_recipe_of_a_source_with_several_is_the_balanced_one() -> None:
    assert compose("fashion-mnist") == compose("fashion-mnist", file="balanced") == compose(file="fashion_mnist")


def test_a_ready_recipe_asked_for_by_name_takes_nothing_from_the_usual_one() -> None:
    quick, balanced = (compose("fashion-mnist", file=name) for name in ("quick", "balanced"))
    assert balanced.fit.augment
    assert not quick.fit.augment


def test_a_short_name_needs_its_source() -> None:
    with pytest.raises(BadRecipe, match=r"no recipe file .quick.; .* or a ready recipe: .*fashion_mnist_quick"):
        compose(file="quick")


def test_what_was_tuned_for_one_network_does_not_carry_over_to_another() -> None:
    usual, other = compose("fashion-mnist"), compose("fashion-mnist", model="mlp")
    assert usual.fit.initialization == "whitening"
    assert (other.fit.initialization, other.fit.learning_rate) == (Fit().initialization, Fit().learning_rate)
    assert other.fit.epochs == usual.fit.epochs
    assert compose("fashion-mnist", settings=["model.dropout=0.2"]).fit == usual.fit


def test_options_of_a_model_may_come_before_after_and_without_its_name() -> None:
    wanted = Choice(name="mlp", dropout=0.3)
    assert compose(settings=["model.dropout=0.3", "model=mlp"]).model == wanted
    assert compose(settings=["model=mlp", "model.dropout=0.3"]).model == wanted
    assert compose(model="mlp", settings=["model.dropout=0.3"]).model == wanted
    assert compose(settings=["model.dropout=0.3"]).model == Choice(name="plain", dropout=0.3)


def test_british_spellings_are_keys_too() -> None:
    recipe = compose(settings=["fit.optimiser=sgd", "fit.initialisation=kaiming"])
    assert (recipe.fit.optimizer, recipe.fit.initialization) == ("sgd", "kaiming")


@pytest.mark.parametrize("text", ["flip,crop", "flip, crop", "['flip', 'crop']", "[{name='flip'}, 'crop']"])
def test_augmentations_are_a_list_however_they_are_typed(text: str) -> None:
    assert compose(settings=[f"fit.augment={text}"]).fit.augment == [Choice(name="flip"), Choice(name="crop")]


def test_values_of_options_take_the_type_the_option_has() -> None:
    recipe = compose("shapes", model="mlp", settings=["model.hidden=[30, 20]", "model.dropout=0", "data.side=12"])
    assert recipe.model.options == {"hidden": (30, 20), "dropout": 0.0}
    assert isinstance(recipe.model.options["dropout"], float)
    assert recipe.data.options == {"side": 12}


def test_an_own_network_is_taken_with_any_options() -> None:
    recipe = compose(model="my_net.py:Net", settings=["model.depth=3"])
    assert (recipe.model.name, recipe.model.options) == ("my_net.py:Net", {"depth": 3})


def test_a_recipe_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Recipe().seed = 3


def test_the_key_tells_recipes_apart_but_not_machines() -> None:
    key = compose(settings=[]).key
    assert compose(settings=["seed=1"]).key != key
    assert compose(settings=["model.dropout=0.1"]).key != key
    assert compose(settings=["fit.augment=flip"]).key != compose(settings=["fit.augment=crop"]).key
    assert compose(settings=["device=cpu", "threads=2"]).key == compose(settings=["device=cpu", "threads=1"]).key


# ---- explain ----


@pytest.mark.parametrize("key", fields())
def test_every_key_is_explained_with_meaning_unit_range_and_default(key: str) -> None:
    name, meaning, *facts = explain(key).splitlines()
    assert name == key
    assert meaning.strip().endswith(".")
    assert [line.split()[0] for line in facts] == ["unit:", "range:", "default:"]
    assert all(len(line.split()) > 1 for line in facts)
    assert "Undefined" not in facts[-1]
    assert "Choice" not in facts[1]


def test_an_explanation_says_what_the_course_asks() -> None:
    text = explain("fit.momentum")
    assert "unit:    share" in text
    assert "range:   a number, 0 or more, less than 1" in text
    assert "default: left out" in text
    assert "default: 'plain'" in explain("model.name")
    assert explain("fit.optimiser") == explain("fit.optimizer")


def test_a_table_and_an_option_are_explained_too() -> None:
    assert "fit.epochs" in explain("fit")
    assert "mlp" in explain("model.dropout")
    assert "default 0.25" in explain("model.dropout")
    assert "crop" in explain("fit.augment.padding")
    assert "shapes" in explain("data.side")


def test_explaining_an_unknown_key_guesses() -> None:
    with pytest.raises(BadRecipe, match=r"did you mean fit\.momentum\?"):
        explain("fit.momentun")
