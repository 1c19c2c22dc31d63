"""The model of a refit, built again without images."""

import keras

from bench.baselines.tutorials import TUTORIALS
from bench.errors import ModelError
from bench.records.dataset import DatasetFacts
from bench.records.spec import TrialSpec
from bench.training.batches import Batching, reference_batching, reference_held_back
from bench.training.candidate import build
from bench.training.custom.family import CustomFamily
from bench.training.family import family_of
from bench.training.plain.script import FitSettings


def rebuild(spec: TrialSpec, dataset: DatasetFacts) -> tuple[keras.Model, FitSettings]:
    """The compiled model of a refit with its initial weights, and the arguments of its `fit`.

    Args:
        spec: of the refit.
        dataset: the facts of its dataset.

    Raises:
        ModelError: it is trained by a `fit` of its own.
    """
    n, classes = dataset.n_train + dataset.n_validation, len(dataset.class_names)
    batching, share, inputs = Batching(), 0.0, None
    family = None if spec.part == "reference" else family_of(spec, dataset.image_shape, classes)
    if isinstance(family, CustomFamily):
        if family.fit is not None:
            raise ModelError(f"{spec.model} is trained by the fit of its own hypermodel, {spec.definition}")
        built = family.build(spec.values, spec.seed)
        model, inputs, batching = built.model, built.interface, family.batching(built.interface)
    elif family is None:
        batching, share = reference_batching(spec.model, classes), TUTORIALS[spec.model].validation_share
        n -= reference_held_back(spec.model, n)
    steps, _ = batching.steps(n)
    if not isinstance(family, CustomFamily):
        model = build(spec, family, dataset.image_shape, classes, steps)
    settings = FitSettings(
        seed=spec.seed,
        epochs=spec.epochs,
        images=n,
        batch_size=batching.size(n),
        steps=steps,
        validation_share=share,
        inputs=inputs,
        class_weights=spec.class_weights is not None,
    )
    return model, settings
