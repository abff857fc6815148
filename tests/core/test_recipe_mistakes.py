"""Every wrong key, value and type in a recipe is one sentence that says what would work."""

import re
import subprocess
import sys

import pytest

from konv.core.compose import compose
from konv.core.errors import BadRecipe, KonvError, UnknownName

UNKNOWN = [  # setting, what was meant
    ("fit.epoch=3", "fit.epochs"),
    ("fit.momentun=0.9", "fit.momentum"),
    ("fit.lerning_rate=1", "fit.learning_rate"),
    ("sead=1", "seed"),
    ("treads=1", "threads"),
    ("data.vald=0.2", "valid"),
    ("model.wdth=3", "width"),
    ("model.actvation=tanh", "activation"),
    ("fit.augment=[{name='crop', pading=1}]", "padding"),
    ("fit.augment=[{name='affine', degree=1}]", "degrees"),
    ("fit.augment=flp", "flip"),
    ("model=mpl", "mlp"),
    ("data.source=digitz", "digits"),
    ("fit.optimizer=adm", "adam"),
    ("fit.loss=crossentropy", "cross_entropy"),
    ("fit.schedule=cosin", "cosine"),
    ("fit.class_weights=balancd", "balanced"),
    ("fit.batch_size=al", "all"),
    ("device=cud", "cuda"),
    ("model.activation=rellu", "relu"),
]

OUT_OF_RANGE = [  # setting, part of the allowed range
    ("fit.epochs=0", "1 or more"),
    ("fit.epochs=100001", "100,000 or less"),
    ("fit.epochs=1.5", "a whole number"),
    ("fit.epochs=many", "a whole number"),
    ("fit.epochs=", "a whole number"),
    ("fit.epochs=[1]", "a whole number"),
    ("fit.epochs.more=1", "a whole number"),
    ("fit.batch_size=0", "1 or more or one of all"),
    ("fit.batch_size=-1", "1 or more or one of all"),
    ("fit.learning_rate=0", "more than 0"),
    ("fit.learning_rate=101", "100 or less"),
    ("fit.learning_rate=nan", "a number"),
    ("fit.learning_rate=inf", "a number"),
    ("fit.momentum=1", "less than 1"),
    ("fit.momentum=-0.1", "0 or more"),
    ("fit.weight_decay=-1", "0 or more"),
    ("fit.optimizer=5", "sgd, momentum, nesterov, adagrad, adadelta, rmsprop, adam, adamw"),
    ("fit.schedule=linear", "constant, step, plateau, cosine, one_cycle"),
    ("fit.step_every=0", "1 or more"),
    ("fit.step_factor=1", "less than 1"),
    ("fit.initialization=zero", "default, kaiming, xavier, normal, whitening"),
    ("fit.init_std=0", "more than 0"),
    ("fit.focal_gamma=-1", "0 or more"),
    ("fit.label_smoothing=1", "less than 1"),
    ("fit.class_weights=[1, 0]", "more than 0"),
    ("fit.class_weights=[1, 'a']", "a number"),
    ("fit.patience=-1", "0 or more"),
    ("fit.keep=first", "best, last"),
    ("fit.clip_norm=0", "more than 0"),
    ("fit.weight_average=1", "less than 1"),
    ("fit.precision=int8", "float32, bfloat16"),
    ("fit.augment=3", "a name, or a table of a name and its options"),
    ("fit.augment=[{padding=1}]", "a name, or a table of a name and its options"),
    ("fit.augment=[{name='crop', padding=0}]", "1 or more"),
    ("fit.augment=[{name='flip', axis='z'}]", "horizontal, vertical"),
    ("seed=-1", "0 or more"),
    ("seed=1.5", "a whole number"),
    ("threads=-1", "0 or more"),
    ("device=tpu", "auto, cpu, cuda, mps"),
    ("data.valid=0", "more than 0"),
    ("data.test=1", "less than 1"),
    ("data.valid=nan", "a number"),
    ("data.split_seed=-1", "0 or more"),
    ("data.source=3", "a text"),
    ("model.name=3", "a text"),
    ("model.dropout=1", "less than 1"),
    ("model.width=wide", "a whole number"),
    ("model.activation=step", "relu, leaky_relu, elu, gelu, silu, tanh, sigmoid"),
    ("fit=3", "a table of keys"),
    ("data=3", "a table of keys"),
]


def complaint(*settings: str, **layers: object) -> str:
    with pytest.raises((BadRecipe, UnknownName)) as caught:
        compose(settings=settings, **layers)
    return str(caught.value)


def is_one_sentence(text: str) -> bool:
    return "\n" not in text and text.endswith(".") and "pydantic" not in text.lower() and "Traceback" not in text


@pytest.mark.parametrize(("setting", "meant"), UNKNOWN)
def test_a_misspelt_name_is_guessed(setting: str, meant: str) -> None:
    text = complaint(setting)
    assert f"did you mean {meant}?" in text
    assert is_one_sentence(text)


@pytest.mark.parametrize(("setting", "range_"), OUT_OF_RANGE)
def test_a_wrong_value_is_shown_with_the_allowed_range(setting: str, range_: str) -> None:
    text = complaint(setting)
    assert range_ in text
    assert setting.partition("=")[0].split(".")[0] in text
    assert is_one_sentence(text)


@pytest.mark.parametrize("setting", ["nokey", "=3", " =3"])
def test_a_setting_without_key_or_value_shows_how_to_write_one(setting: str) -> None:
    assert "key=value" in complaint(setting)


def test_a_wrong_option_of_a_source_is_refused_by_type_and_range() -> None:
    assert "data.sid is no option of data source shapes, did you mean side?" in complaint("data.sid=9", source="shapes")
    assert "must be a whole number, 1 or more" in complaint("data.side=0", source="shapes")
    assert "one of 2, 3, 4" in complaint("data.classes=5", source="shapes")
    assert "less than 1" in complaint("data.noise=nan", source="shapes")


@pytest.mark.parametrize("optimizer", ["adagrad", "adadelta", "adam", "adamw"])
def test_momentum_is_refused_where_it_has_no_effect(optimizer: str) -> None:
    assert "no effect" in complaint(f"fit.optimizer={optimizer}", "fit.momentum=0.5")


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "nesterov", "rmsprop"])
def test_momentum_is_taken_where_it_has_an_effect(optimizer: str) -> None:
    assert compose(settings=[f"fit.optimizer={optimizer}", "fit.momentum=0.5"]).fit.momentum == 0.5


def test_nesterov_without_momentum_is_refused() -> None:
    assert "Nesterov" in complaint("fit.optimizer=nesterov", "fit.momentum=0")


def test_a_recipe_file_that_is_missing_or_broken_is_named(tmp_path) -> None:
    broken, binary = tmp_path / "broken.toml", tmp_path / "binary.toml"
    broken.write_text("fit = {", encoding="utf-8")
    binary.write_bytes(b"\xff\xfe")
    assert "ready recipe: digits, fashion_mnist" in complaint(file="digitz")
    assert "no recipe file" in complaint(file=tmp_path / "none.toml")
    assert "broken.toml is not valid TOML" in complaint(file=broken)
    assert "binary.toml is not valid TOML" in complaint(file=binary)
    assert re.search(r"recipe\.d\.toml", complaint(file=tmp_path / "recipe.d.toml"))


def test_mistakes_are_named_before_torch_is_loaded() -> None:
    code = (
        "import sys\n"
        "from konv.core.compose import compose\n"
        "from konv.core.errors import KonvError\n"
        "for text in ('fit.epoch=3', 'model.width=0', 'data.side=0', 'fit.augment=flp', 'model=mpl'):\n"
        "    try: compose('shapes', settings=[text])\n"
        "    except KonvError: continue\n"
        "    sys.exit(text)\n"
        "sys.exit(', '.join({'torch', 'numpy', 'sklearn'} & sys.modules.keys()) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (0, "")


def test_every_error_is_a_konv_error() -> None:
    assert issubclass(BadRecipe, KonvError)
    assert issubclass(UnknownName, KonvError)
