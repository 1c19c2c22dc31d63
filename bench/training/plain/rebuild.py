"""The model of a refit, built again without images."""

import keras

from bench.baselines.tutorials import TUTORIALS
from bench.records.record import DatasetFacts
from bench.records.spec import TrialSpec
from bench.training.batches import Batching, reference_batching, reference_held_back
from bench.training.fit import build_model
from bench.training.plain.script import FitSettings


def rebuild(spec: TrialSpec, dataset: DatasetFacts) -> tuple[keras.Model, FitSettings]:
    """The compiled model of a refit with its initial weights, and the arguments of its `fit`.

    Args:
        spec: of the refit.
        dataset: the facts of its dataset.
    """
    n, classes = dataset.n_train + dataset.n_validation, len(dataset.class_names)
    batching, share = Batching(), 0.0
    if spec.part == "reference":
        batching, share = reference_batching(spec.model, classes), TUTORIALS[spec.model].validation_share
        n -= reference_held_back(spec.model, n)
    steps, _ = batching.steps(n)
    settings = FitSettings(
        seed=spec.seed, epochs=spec.epochs, batch_size=batching.size(n), steps=steps, validation_share=share
    )
    return build_model(spec, dataset.image_shape, classes, steps), settings
