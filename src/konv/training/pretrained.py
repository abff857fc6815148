"""What a recipe with pretrained weights means for data and start: pictures are seen as the weights saw theirs."""

import hashlib
from dataclasses import replace

from konv import models
from konv.core.compose import shelf_of
from konv.core.errors import BadRecipe
from konv.core.recipe import Choice, DataOptions, Recipe
from konv.datasets import Data


def read_as_trained(recipe: Recipe) -> Recipe:
    """Returns the recipe with the path of its weights made whole and, for a folder of pictures, with the size, crop and
    interpolation of published weights wherever it does not name its own. Raises BadRecipe where the weights would be lost.
    """
    file = models.weights_file(recipe.model)
    if recipe.model.options.get("weights", "none") != "none" and recipe.fit.initialization != "default":
        raise BadRecipe(
            f"fit.initialization = {recipe.fit.initialization!r} would overwrite model.weights; leave one of them out."
        )
    model = recipe.model if file is None else Choice(name=recipe.model.name, **{**recipe.model.options, "weights": str(file)})
    view = models.view_of(model)
    data = recipe.data
    if view is not None and shelf_of(data.source) == "folder":
        seen = {"size": view.space[0], "resize": view.resize, "centre": view.centre, "interpolation": view.interpolation}
        data = DataOptions.model_validate({**seen, **data.model_dump()})
    return recipe.model_copy(update={"model": model, "data": data})


def seen_as_trained(data: Data, model: Choice) -> Data:
    """Returns the data with mean and std of published weights in its View; what are no pictures of bytes stay as they are."""
    view = models.view_of(model, data.view.channels)
    if view is None or data.view.scale != view.scale or len(data.view.space) != 2:
        return data
    return replace(data, view=data.view.model_copy(update={"mean": view.mean, "std": view.std}))


def weights_digest(model: Choice) -> str | None:
    """Returns the sha256 of the file the first weights come from; published ones belong to their name."""
    file = models.weights_file(model)
    if file is None or not file.is_file():
        return None
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
