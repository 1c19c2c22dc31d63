"""What a user asks for, by command or from Python, as specifications of searches."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bench.data.catalog import DatasetLocation
from bench.data.dataset import Notify, quiet
from bench.errors import check_name
from bench.execution.models import family_source
from bench.execution.plans import choose_plan
from bench.machine import supports_bfloat16
from bench.records.choices import PRESETS, ClassWeights, Objective, PixelRange, Precision, Preset
from bench.records.limits import DEFAULT_PRESET, DEFAULT_TUNER
from bench.records.spec import SearchSpec
from bench.tuning import tuners
from search_spaces import FamilyLocation


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRequest:
    """Searches of several families on one dataset; None stands for the plan of the preset."""

    families: Sequence[FamilyLocation]
    dataset: DatasetLocation
    preset: Preset = DEFAULT_PRESET
    tuner: str = DEFAULT_TUNER
    trials: int | None = None
    epochs: int | None = None
    refit_seeds: int | None = None
    seed: int = 0
    searches: int = 1  # of each family, with successive seeds and splits
    precision: Literal["auto"] | Precision = "auto"
    max_pending: int | None = None
    time_limit: int | None = None  # seconds per search
    objective: Objective | None = None  # None for accuracy
    class_weights: ClassWeights | None = None
    pixel_range: PixelRange | None = None  # None if the model decides

    def __post_init__(self) -> None:
        check_name("preset", self.preset, PRESETS)
        check_name("tuner", self.tuner, tuners.names())

    def specs(self, notify: Notify = quiet) -> list[SearchSpec]:
        """One spec for each search; `notify` is called with a one-line message before steps longer than a second.

        Raises:
            SpecError: a name is unknown, or a number out of range.
            SearchError: a family cannot be built, which a plan by the cost model requires.
            DataError: the data cannot be read, which a plan by the cost model requires.
        """
        numbers = {"trials": self.trials, "epochs": self.epochs, "refit_seeds": self.refit_seeds}
        plans = [
            choose_plan(self.preset, family, self.dataset, pixel_range=self.pixel_range, notify=notify, **numbers)
            for family in self.families
        ]
        precision = self.precision
        if precision == "auto":
            precision = "bfloat16" if supports_bfloat16() else "float32"
        return [
            SearchSpec(
                dataset=self.dataset.name,
                data=self.dataset.digest,
                family=family.name,
                definition=family.definition,
                source=family_source(family),
                tuner=self.tuner,
                budget=plan.budget,
                seed=self.seed + number,
                refit_seeds=plan.refit_seeds,
                precision=precision,
                preset=self.preset if set(numbers.values()) == {None} else None,
                split=number,
                max_pending=self.max_pending,
                time_limit=self.time_limit,
                objective=self.objective,
                class_weights=self.class_weights,
                pixel_range=self.pixel_range,
            )
            for family, plan in zip(self.families, plans, strict=True)
            for number in range(self.searches)
        ]
