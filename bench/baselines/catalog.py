"""Names, specs and descriptions of reference models; imports neither Keras nor scikit-learn."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from bench.baselines import tutorials
from bench.baselines.tutorials import TUTORIALS
from bench.records.dataset import DatasetFacts
from bench.records.record import ReferenceModel
from bench.records.spec import ReferenceSpec
from search_spaces import code_digest

FOREST_TREES = 100
LOGISTIC_C = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Classifier:
    """A scikit-learn classifier; bench.baselines.classifiers fits it."""

    recipe: str  # in words
    deterministic: bool  # whether every seed gives the same model


CLASSIFIERS: Mapping[str, Classifier] = MappingProxyType(
    {
        "baseline-majority": Classifier(recipe="always the most frequent class", deterministic=True),
        "baseline-logistic-regression": Classifier(
            recipe=f"multinomial logistic regression of the pixels, L2 penalty with C = {LOGISTIC_C}, L-BFGS",
            deterministic=True,
        ),
        "baseline-random-forest": Classifier(
            recipe=f"random forest of {FOREST_TREES} fully grown trees", deterministic=False
        ),
    }
)
NAMES = (*TUTORIALS, *CLASSIFIERS)
GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"tutorials": tuple(TUTORIALS), "classifiers": tuple(CLASSIFIERS), "all": NAMES}
)


def reference_spec(name: str, dataset: str, seed: int, refit_seeds: int, data: str | None = None) -> ReferenceSpec:
    """The spec of the reference model `name`; a deterministic model is trained once, regardless of `refit_seeds`.

    `data` is the digest of a dataset that is not identified by its name.

    Raises:
        SpecError: a number is out of range.
    """
    return ReferenceSpec(
        dataset=dataset,
        data=data,
        model=name,
        source=source(name),
        epochs=TUTORIALS[name].epochs if name in TUTORIALS else 0,
        seed=seed,
        refit_seeds=1 if reference_model(name).deterministic else refit_seeds,
    )


def unsuitable(name: str, dataset: DatasetFacts) -> str | None:
    """Why the reference model `name` cannot be built for the images of `dataset`; None if it can."""
    height, width, _ = dataset.image_shape
    side = TUTORIALS[name].min_side if name in TUTORIALS else 1
    if min(height, width) >= side:
        return None
    return f"{name} needs images of at least {side} x {side} pixels, {dataset.name} has {height} x {width}"


def source(name: str) -> str:
    """The code digest of the reference model `name`."""
    if name in TUTORIALS:
        return code_digest(Path(tutorials.__file__))
    code = code_digest(Path(__file__).with_name("classifiers.py"))
    return hashlib.sha256(f"{code} {CLASSIFIERS[name].recipe}".encode()).hexdigest()[: len(code)]


def reference_model(name: str) -> ReferenceModel:
    """The description of the reference model `name` for its record."""
    if name in CLASSIFIERS:
        classifier = CLASSIFIERS[name]
        return ReferenceModel(
            group="classifier", recipe=classifier.recipe, deterministic=classifier.deterministic, published=None
        )
    tutorial = TUTORIALS[name]
    images = "all development images"
    if tutorial.validation_share > 0:
        images += f" but the last {100 * tutorial.validation_share:.0f}%"
    return ReferenceModel(
        group="tutorial",
        recipe=f"Adam, {tutorial.output}, {tutorial.labels} labels, batches of {tutorial.batch_size}, "
        f"{tutorial.epochs} epochs on {images}, weights after the last epoch",
        deterministic=False,
        published=tutorial.published,
    )
