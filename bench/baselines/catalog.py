"""Models that are given and not searched: published tutorials with their recipes, and the floor. Imports no Keras."""

import difflib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.baselines import tutorials as _references
from bench.errors import SpecError
from bench.records.record import DatasetFacts, Published, Reference
from bench.records.spec import Budget, RunSpec
from search_spaces import code_digest

FOREST_TREES = 100
LOGISTIC_C = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """A classifier of scikit-learn; bench.baselines.classifiers fits it."""

    recipe: str
    deterministic: bool


TUTORIALS = {reference.name: reference for reference in _references.REFERENCES}
CLASSIFIERS = {
    "baseline-majority": Classifier(recipe="always the most frequent class", deterministic=True),
    "baseline-logistic-regression": Classifier(
        recipe=f"multinomial logistic regression of the pixels, L2 penalty with C = {LOGISTIC_C}, L-BFGS",
        deterministic=True,
    ),
    "baseline-random-forest": Classifier(
        recipe=f"random forest of {FOREST_TREES} fully grown trees", deterministic=False
    ),
}
NAMES = (*TUTORIALS, *CLASSIFIERS)


def select(asked: Sequence[str]) -> tuple[str, ...]:
    """The names that are asked for, each once: "tutorials", "floor" and "all" stand for several.

    Raises:
        SpecError: there is no reference of a name.
    """
    groups = {"tutorials": tuple(TUTORIALS), "floor": tuple(CLASSIFIERS), "all": NAMES}
    found = [name for one in asked for name in groups.get(one, (one,))]
    for name in found:
        if name not in NAMES:
            nearest = difflib.get_close_matches(name, NAMES, n=1, cutoff=0.5)
            hint = f". Did you mean {nearest[0]}?" if nearest else ""
            raise SpecError(f"unknown reference {name!r}: valid names are {', '.join((*groups, *NAMES))}{hint}")
    return tuple(dict.fromkeys(found))


def reference_spec(name: str, dataset: str, seed: int, seeds: int) -> RunSpec:
    """What training and judging the reference `name` asks for; a deterministic one has a single seed.

    Raises:
        SpecError: a number is impossible.
    """
    return RunSpec(
        dataset=dataset,
        family=name,
        family_source=source(name),
        tuner="fixed",
        budget=Budget(trials=1, epochs=TUTORIALS[name].epochs if name in TUTORIALS else 1),
        seed=seed,
        seeds=1 if describe(name).deterministic else seeds,
        precision="float32",
        lookahead=1,
    )


def unsuitable(name: str, dataset: DatasetFacts) -> str | None:
    """Why a reference cannot be built for the images of `dataset`; None where it can."""
    height, width, _ = dataset.image_shape
    needed = TUTORIALS[name].smallest_side if name in TUTORIALS else 1
    if min(height, width) >= needed:
        return None
    return f"{name} needs images of at least {needed} x {needed} pixels, {dataset.name} has {height} x {width}"


def source(name: str) -> str:
    """The digest of the code of a reference."""
    if name in TUTORIALS:
        return code_digest(str(_references.__file__))
    code = code_digest(Path(__file__).with_name("classifiers.py"))
    return hashlib.sha256(f"{code} {CLASSIFIERS[name].recipe}".encode()).hexdigest()[: len(code)]


def describe(name: str) -> Reference:
    """What a record keeps of a reference beside its predictions."""
    if name in CLASSIFIERS:
        floor = CLASSIFIERS[name]
        return Reference(kind="floor", recipe=floor.recipe, deterministic=floor.deterministic, published=None)
    tutorial = TUTORIALS[name]
    fitted = (
        "all development images"
        if tutorial.validation_share == 0
        else f"all development images but the last {100 * tutorial.validation_share:.0f} %"
    )
    published = tutorial.published
    return Reference(
        kind="tutorial",
        recipe=f"Adam, {tutorial.output}, {tutorial.labels} labels, batches of {tutorial.batch_size}, "
        f"{tutorial.epochs} epochs on {fitted}, weights after the last epoch",
        deterministic=False,
        published=None if published is None else Published(text=published.text, low=published.low, high=published.high),
    )
