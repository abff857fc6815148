"""A recipe put together from its layers: konv's defaults, the source's ready recipe, a file, single settings."""

import tomllib
from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any, get_args

import tomli_w
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from konv.core.errors import BadRecipe, KonvError, UnknownName, did_you_mean
from konv.core.options import allowed, show
from konv.core.recipe import Choice, DataOptions, Fit, Recipe
from konv.core.shelves import AUGMENTATIONS, DATASETS, MODELS, is_own_network

SPELLINGS = {"fit.optimiser": "fit.optimizer", "fit.initialisation": "fit.initialization"}
OTHER_NAMES = {
    "lr": "fit.learning_rate",
    "bs": "fit.batch_size",
    "wd": "fit.weight_decay",
    "batch": "fit.batch_size",
    "augmentation": "fit.augment",
    "dropout": "model.dropout",
    "activation": "model.activation",
}
READY = Path(__file__).parents[1] / "recipes"
USUAL = "balanced"  # the recipe a source takes where it has several, such as quick and balanced
TUNED = ("learning_rate", "initialization")  # chosen for the ready recipe's own network; another one starts without


def compose(
    source: str | None = None, *, model: str | None = None, file: Path | str | None = None, settings: Sequence[str] = ()
) -> Recipe:
    """Returns the checked recipe; later layers win: defaults < ready recipe of the source < file < settings.

    `file` is a path or the name of a ready recipe: `fashion_mnist_quick`, or `quick` beside the source. A ready recipe asked
    for by name takes the place of the source's usual one.

    A setting is a text `key=value` with a dotted key, such as `fit.epochs=5`. Raises BadRecipe with the key, the value
    and the allowed range. Nothing heavy is loaded.
    """
    path = _ready_or_file(file, source) if file is not None else None
    given: dict[str, Any] = _read_toml(path) if path is not None else {}
    named = path is not None and path.parent == READY
    for setting in settings:
        _place(given, *_key_and_value(setting))
    if source is not None:
        _place(given, "data.source", source)
    if model is not None:
        _place(given, "model.name", model)
    usual = None if named else _ready(str(_table(given, "data").get("source", "digits")))
    return check(_merged(_suiting(_read_toml(usual), given), given) if usual else given)


def _suiting(ready: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Returns a ready recipe without what was tuned for its network where another network is wanted."""
    own, wanted = (_table(layer, "model").get("name", Recipe().model.name) for layer in (ready, given))
    if "model" not in given or str(wanted).replace("-", "_") == own:
        return ready
    return {**ready, "fit": {key: value for key, value in ready["fit"].items() if key not in TUNED}}


def check(values: Mapping[str, Any]) -> Recipe:
    """Returns the recipe of nested values, or raises BadRecipe (or UnknownName) in one sentence."""
    try:
        recipe = Recipe.model_validate(_with_model_name(values))
    except ValidationError as error:
        raise BadRecipe(_sentence(error.errors()[0])) from None
    source = recipe.data.source
    known = shelf_of(source)
    options = DATASETS.check_options(known, recipe.data.options, "data", beside=DataOptions.model_fields)
    name = source if known in ("folder", "arrays") else known  # `fashion-mnist` is `fashion_mnist`
    data = {**recipe.data.model_dump(), **options, "source": name}
    if recipe.model.name.endswith(".py"):
        raise UnknownName(f"--model {recipe.model.name} names a file; say which class of it: {recipe.model.name}:ClassName.")
    model = recipe.model if is_own_network(recipe.model.name) else checked_choice(recipe.model, MODELS, "model")
    augment = [checked_choice(choice, AUGMENTATIONS, f"fit.augment.{choice.name}") for choice in recipe.fit.augment]
    _check_momentum(recipe.fit)
    fit = recipe.fit.model_copy(update={"augment": augment})
    return recipe.model_copy(update={"data": DataOptions(**data), "model": model, "fit": fit})


def _with_model_name(values: Mapping[str, Any]) -> dict[str, Any]:
    """`model.width = 32` alone is an option of the default model."""
    table = values.get("model")
    named = {"model": {"name": Recipe().model.name, **table}} if isinstance(table, Mapping) else {}
    return {**values, **named}


def shelf_of(source: str) -> str:
    """Returns the shelf name that serves a source: its own name, `folder` for a folder, `arrays` for an .npz file."""
    if not source.strip():
        raise UnknownName(f"data.source is empty; give a name ({', '.join(DATASETS.names())}), a folder or an .npz file.")
    path = Path(source).expanduser()
    plain = source.lower().replace("-", "_")
    if plain in DATASETS.names() and plain not in ("folder", "arrays"):
        return plain
    if path.suffix == ".npz":
        return "arrays"
    looks_like_path = any(mark in source for mark in "/\\.~") or path.exists()
    if looks_like_path:
        return "folder"
    known = [name for name in DATASETS.names() if name not in ("folder", "arrays")]
    raise UnknownName(
        f"there is no data source named {source!r}{did_you_mean(source, known) or '.'} "
        f"Known: {', '.join(known)}; or give a folder of class folders, or an .npz file."
    )


def checked_choice(choice: Choice, shelf: Any, where: str) -> Choice:
    name = shelf.find(choice.name)
    return Choice(name=name, **shelf.check_options(name, choice.options, where))


def _check_momentum(fit: Fit) -> None:
    takers = ("sgd", "momentum", "nesterov", "rmsprop")
    if fit.momentum is not None and fit.optimizer not in takers:
        raise BadRecipe(
            f"fit.momentum = {fit.momentum:g} has no effect with fit.optimizer = {fit.optimizer!r}; "
            f"leave it out, or take one of {', '.join(takers)}."
        )
    if fit.optimizer == "nesterov" and fit.momentum == 0:
        raise BadRecipe("fit.momentum = 0 leaves nothing of Nesterov's rule; take a value above 0, or fit.optimizer = 'sgd'.")


# ---- reading -----------------------------------------------------------------------------------------------------


def _ready(name: str) -> Path | None:
    """Returns the file of a ready recipe; that of a source is its usual one."""
    plain = name.replace("-", "_")
    return next((path for end in ("", f"_{USUAL}") if (path := READY / f"{plain}{end}.toml").is_file()), None)


def _ready_or_file(file: Path | str, source: str | None) -> Path:
    path = Path(file).expanduser()
    if path.suffix != ".toml" and not path.exists():
        path = _ready(str(file)) or _ready(f"{source}_{file}") or path
    if not path.is_file():
        ready = ", ".join(sorted(found.stem for found in READY.glob("*.toml")))
        raise BadRecipe(f"there is no recipe file {str(file)!r}; give the path of a .toml file, or a ready recipe: {ready}.")
    return path


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadRecipe(f"{path} is not valid TOML: {error}.") from None
    except OSError as error:
        raise BadRecipe(f"{path} cannot be read: {error.strerror}.") from None


def read(path: Path) -> Recipe:
    """Returns the recipe stored in a TOML file, as it stands there: no ready recipe is added."""
    return check(_read_toml(path))


def to_toml(recipe: Recipe) -> str:
    """Returns the recipe as TOML; what is None is left out, which means the same."""
    return tomli_w.dumps(recipe.model_dump(exclude_none=True))


def _key_and_value(setting: str) -> tuple[str, Any]:
    key, equals, text = setting.partition("=")
    if not equals or not key.strip():
        raise BadRecipe(f"--set {setting!r} has no value; write it as key=value, for example --set fit.epochs=5.")
    return key.strip(), _value(text.strip())


def _value(text: str) -> Any:
    """A setting's value is TOML where it parses (5, 0.1, true, [1, 2], "a"), else the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _table(values: dict[str, Any], name: str) -> dict[str, Any]:
    table = values.get(name, {})
    return table if isinstance(table, dict) else {"name": table}


def _place(values: dict[str, Any], key: str, value: Any) -> None:
    key = SPELLINGS.get(key, key)
    *tables, last = key.split(".")
    if key == "model":
        tables, last = ["model"], "name"
    for table in tables:
        inner = values.setdefault(table, {})
        if isinstance(inner, str) and table == "model":  # model = "mlp" is short for its name
            inner = values[table] = {"name": inner}
        if not isinstance(inner, dict):
            raise BadRecipe(f"{key} cannot be set: {table} holds the single value {show(inner)}.")
        values = inner
    values[last] = value


def _merged(base: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, Mapping) else value
    if base.get("name") not in (None, merged.get("name")):  # options of another model do not carry over
        return dict(above)
    return merged


# ---- words -------------------------------------------------------------------------------------------------------


def fields() -> dict[str, FieldInfo]:
    """Returns every recipe key with its pydantic field: `seed`, `data.valid`, `fit.epochs`, …"""
    found: dict[str, FieldInfo] = {}
    for name, field in Recipe.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found.update({f"{name}.{key}": value for key, value in inner.model_fields.items()})
        else:
            found[name] = field
    return found


def explain(key: str) -> str:
    """Returns what `konv train --explain KEY` prints: meaning, unit, range and default of one recipe key."""
    key = SPELLINGS.get(key, key)
    known = fields()
    if key in known:
        field = known[key]
        extra = field.json_schema_extra
        unit = extra.get("unit") if isinstance(extra, dict) else None
        default = reduce(getattr, key.split("."), Recipe())
        return _explained(key, field.description or "", unit, allowed(_annotation(field)), default)
    if key in {name.partition(".")[0] for name in known}:
        inside = [f"  {name:<24} {field.description}" for name, field in known.items() if name.startswith(f"{key}.")]
        return "\n".join([f"{key} holds:", *inside])
    return _explain_option(key, known)


def _explain_option(key: str, known: Mapping[str, Any]) -> str:
    from konv.core.options import annotation_of

    table, _, option = key.rpartition(".")
    shelf = {"model": MODELS, "data": DATASETS, "fit.augment": AUGMENTATIONS}.get(table)
    takers = [
        (entry.name, found) for entry in (shelf.entries() if shelf else []) for found in entry.options if found.name == option
    ]
    if shelf and takers:
        lines = [f"{key} is an option of {shelf.noun}:"]
        lines += [f"  {name:<16} {allowed(annotation_of(found.annotation))}; default {found.default}" for name, found in takers]
        return "\n".join(lines)
    raise BadRecipe(f"there is no recipe key {key!r}{_nearest_key(key, known) or '.'} Known: {', '.join(known)}.")


def _nearest_key(key: str, known: Mapping[str, Any]) -> str:
    other = OTHER_NAMES.get(key.rpartition(".")[2])
    return f", did you mean {other}?" if other else did_you_mean(key, known)


def _explained(key: str, meaning: str, unit: Any, range_: str, default: Any) -> str:
    shown = "left out" if default is None else show(default)
    return "\n".join([key, f"  {meaning}", f"  unit:    {unit or 'none'}", f"  range:   {range_}", f"  default: {shown}"])


def _annotation(field: FieldInfo) -> Any:
    from typing import Annotated

    return Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation


def _sentence(error: Any) -> str:
    """Turns pydantic's first complaint into the sentence a person can act on."""
    parts = [str(part) for part in error["loc"]]
    known = fields()
    key = ".".join(parts)
    while key and key not in known:
        if error["type"] == "extra_forbidden" or key in {name.partition(".")[0] for name in known}:
            break
        key = key.rpartition(".")[0]
    if error["type"] == "extra_forbidden":
        return f"there is no recipe key {key!r}{_nearest_key(key, known) or '.'} `konv train --explain fit` lists them."
    if key not in known:
        return f"recipe key {key or parts[0]!r} holds {show(error['input'])}; it must be a table of keys."
    kind = _annotation(known[key])
    value = error["input"]
    guess = did_you_mean(value, _literals(kind)) if isinstance(value, str) else ""
    where = ".".join(parts[: key.count(".") + 1])
    return f"{where} = {show(value)} is out of range{guess or ';'} it must be {allowed(kind)}."


def _literals(kind: Any) -> list[str]:
    inner = get_args(kind)
    return [value for value in inner if isinstance(value, str)] + [text for part in inner for text in _literals(part)]


__all__ = ["KonvError", "check", "compose", "explain", "fields", "read", "shelf_of", "to_toml"]
