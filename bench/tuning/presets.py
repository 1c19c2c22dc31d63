"""Presets: what a run of about 1, 10 or 60 minutes per family on two cores trains.

Every family gets the same time, not the same number of epochs: an epoch of one family may cost ten times that of
another, and what a user gives up for a better model is time. This is why AutoML benchmarks fix the time of a search. A
preset nevertheless names trials and epochs, not seconds, so that the same command trains the same trials on every
machine. The plans were chosen so that each run takes about CORE_SECONDS on one machine, named on the page
results/benchmarks/recipes.md; other families and datasets get a plan from a cost model. The default and long plans of
linear, resnet and mixer are estimates until runs of them are published. Changing a plan changes the protocol: raise
`PROTOCOL_VERSION`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from bench.records.choices import Preset
from bench.records.spec import Budget

# Two cores for 1, 10 and 60 minutes.
CORE_SECONDS: Mapping[Preset, int] = {"quick": 120, "default": 1_200, "long": 7_200}


@dataclass(frozen=True, slots=True, kw_only=True)
class PresetPlan:
    """The budget of a search and the number of refits."""

    trials: int  # of full length; the budget in epochs is trials * epochs
    epochs: int  # of a full-length trial and of a refit
    refit_seeds: int
    multiply_adds: int | None = None  # of the largest candidate, per image; None for the family's default

    @property
    def budget(self) -> Budget:
        """The budget of the search."""
        return Budget(trials=self.trials, epochs=self.epochs, multiply_adds=self.multiply_adds)


def _plan(trials: int, epochs: int, refit_seeds: int, million_multiply_adds: float | None = None) -> PresetPlan:
    cap = None if million_multiply_adds is None else round(million_multiply_adds * 1e6)
    return PresetPlan(trials=trials, epochs=epochs, refit_seeds=refit_seeds, multiply_adds=cap)


#    dataset, family, preset: trials, epochs, refit seeds, largest candidate in millions of multiply-adds per image
PLANS: Mapping[tuple[str, str, Preset], PresetPlan] = {
    ("fashion_mnist", "dense", "quick"): _plan(9, 5, 3),
    ("fashion_mnist", "dense", "default"): _plan(24, 20, 5),
    ("fashion_mnist", "dense", "long"): _plan(130, 40, 5),
    ("fashion_mnist", "cnn", "quick"): _plan(4, 3, 3, 1.3),
    ("fashion_mnist", "cnn", "default"): _plan(12, 6, 5, 5),
    ("fashion_mnist", "cnn", "long"): _plan(12, 20, 5, 13.5),
    # linear has 64 candidates: from 64 trials on, all of them are trained to full length.
    ("fashion_mnist", "linear", "quick"): _plan(18, 9, 3),
    ("fashion_mnist", "linear", "default"): _plan(64, 44, 5),
    ("fashion_mnist", "linear", "long"): _plan(64, 340, 5),
    ("fashion_mnist", "resnet", "quick"): _plan(2, 2, 3, 1),
    ("fashion_mnist", "resnet", "default"): _plan(12, 6, 5, 1),
    ("fashion_mnist", "resnet", "long"): _plan(12, 20, 5, 3.5),
    ("fashion_mnist", "mixer", "quick"): _plan(3, 1, 3, 1),
    ("fashion_mnist", "mixer", "default"): _plan(7, 5, 5, 2),
    ("fashion_mnist", "mixer", "long"): _plan(27, 9, 5, 4),
    ("digits", "dense", "quick"): _plan(12, 20, 3),
    ("digits", "dense", "default"): _plan(30, 40, 5),
    ("digits", "dense", "long"): _plan(150, 60, 5),
    ("digits", "cnn", "quick"): _plan(12, 20, 3),
    ("digits", "cnn", "default"): _plan(30, 40, 5),
    ("digits", "cnn", "long"): _plan(100, 60, 5),
    ("digits", "linear", "quick"): _plan(12, 20, 3),
    ("digits", "linear", "default"): _plan(30, 40, 5),
    ("digits", "linear", "long"): _plan(64, 60, 5),
    ("digits", "resnet", "quick"): _plan(12, 20, 3),
    ("digits", "resnet", "default"): _plan(30, 40, 5),
    ("digits", "resnet", "long"): _plan(100, 60, 5),
    ("digits", "mixer", "quick"): _plan(12, 20, 3),
    ("digits", "mixer", "default"): _plan(30, 40, 5),
    ("digits", "mixer", "long"): _plan(100, 60, 5),
}

# The cost model. A core trains with about this many multiply-adds of the forward pass per second, backward pass
# included; every trial has a fixed cost for building and tracing its model, every optimizer step one for its overhead.
MULTIPLY_ADDS_PER_SECOND = 25e9
SECONDS_PER_TRIAL = 5.0
SECONDS_PER_STEP = 0.001
BATCH_SIZE = 128
OWN_BATCH_SIZE = 32  # of models with their own recipe
SEARCH_SHARE = 0.6  # of the time; the refits get the rest
EPOCHS: Mapping[Preset, int] = {"quick": 4, "default": 10, "long": 20}
REFIT_SEEDS: Mapping[Preset, int] = {"quick": 3, "default": 5, "long": 5}
MIN_TRIALS = 12  # enough for one iteration of Hyperband with up to 20 epochs


def cost_model_plan(preset: Preset, multiply_adds: float, images: int, batch_size: int = BATCH_SIZE) -> PresetPlan:
    """The plan of a family or a dataset that is not among PLANS.

    If even MIN_TRIALS trials of the preset's epochs do not fit, there are fewer epochs, at least one.

    Args:
        preset: names the time.
        multiply_adds: of a typical candidate, per image.
        images: number of training images.
        batch_size: of the recipe.
    """
    epoch = images * (multiply_adds / MULTIPLY_ADDS_PER_SECOND + SECONDS_PER_STEP / batch_size)
    search = SEARCH_SHARE * CORE_SECONDS[preset]
    epochs = EPOCHS[preset]
    if MIN_TRIALS * (SECONDS_PER_TRIAL + epochs * epoch) > search:
        epochs = max(1, int((search / MIN_TRIALS - SECONDS_PER_TRIAL) / epoch))
    trials = max(MIN_TRIALS, int(search / (SECONDS_PER_TRIAL + epochs * epoch)))
    return PresetPlan(trials=trials, epochs=epochs, refit_seeds=REFIT_SEEDS[preset])
