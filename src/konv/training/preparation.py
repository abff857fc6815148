"""Before and after the loop: plan and untrained network from a recipe, a classifier from the trained state."""

import torch
from torch import nn

from konv import doctor, models
from konv.classifier import Classifier
from konv.core.errors import BadRecipe
from konv.core.recipe import Recipe
from konv.core.view import View
from konv.datasets import Samples
from konv.training.augmentations import make_augment
from konv.training.distribution import ALONE, Team
from konv.training.environment import choose_precision
from konv.training.fit import Plan, steps_per_epoch
from konv.training.initialization import initialize, whiten
from konv.training.objectives import make_mass, make_objective
from konv.training.randomness import seed_for
from konv.training.schedules import make_schedule
from konv.training.state import State
from konv.training.synchronization import synchronized


def prepare(
    recipe: Recipe, training: Samples, view: View, classes: int, device: torch.device, team: Team = ALONE
) -> tuple[Plan, nn.Module]:
    """Returns the plan and the network, initialised, tried on zeros and on its device; seeds torch's global generator.

    Raises BadRecipe or BadModel where recipe, network and samples do not fit each other.
    """
    fit = recipe.fit
    if fit.batch_size != "all" and fit.batch_size > len(training):
        raise BadRecipe(
            f"fit.batch_size = {fit.batch_size} is larger than the {len(training):,} training pictures; "
            "take that many at most, or `all` for one update per epoch."
        )
    batch = len(training) if fit.batch_size == "all" else fit.batch_size
    if team.size > 1 and batch < 2 * team.size:
        raise BadRecipe(
            f"fit.batch_size = {batch} is too small for {team.size} processes: each needs at least two pictures of it."
        )
    torch.manual_seed(seed_for("weights", recipe.seed))
    network = models.build(recipe.model, view.channels, view.space, classes)
    initialize(network, fit)
    if fit.initialization == "whitening":
        whiten(network, training, view)
    doctor.check(network, view.shape, classes, batch=1 if fit.batch_size == 1 else 3, model=recipe.model)
    if team.size > 1 and fit.batch_norm == "synchronized":
        network = synchronized(network)
    plan = Plan(
        fit=fit,
        seed=recipe.seed,
        view=view,
        augment=make_augment(fit.augment),
        objective=make_objective(fit, training.labels, classes, device),
        schedule=make_schedule(fit, steps_per_epoch(len(training), fit, team.size)),
        bfloat16=choose_precision(fit.precision, device) == "bfloat16",
        team=team,
        mass=make_mass(fit, training.labels, classes),
    )
    return plan, network.to(device)


def conclude(recipe: Recipe, state: State, classes: tuple[str, ...], view: View) -> Classifier:
    """Returns the classifier of a finished training, with the best weights or the last, as fit.keep says."""
    if recipe.fit.keep == "best":
        state.scored.load_state_dict(state.best)
    own = models.read_source(recipe.model.name)[2] if models.is_own(recipe.model) else None
    return Classifier(network=state.scored.eval(), model=recipe.model, classes=classes, view=view, source=own)
