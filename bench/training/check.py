"""Check a candidate without training it: build it, and time a training step."""

import time
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

from bench.compat.tensorflow import release_graphs, silence_graph_reports
from bench.records.spec import TrialSpec
from bench.training.candidate import prepare, training
from bench.training.epochs import NonFiniteLossError
from bench.training.precision import prepare_process
from bench.training.size import multiply_adds

if TYPE_CHECKING:
    from bench.data.catalog import DatasetLocation

TIMED_STEPS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateCost:
    """What a candidate costs."""

    parameters: int
    multiply_adds: int  # per image, in the forward pass
    step_seconds: float  # after tracing


def check_candidate(spec: TrialSpec, location: "DatasetLocation") -> CandidateCost:
    """Build the candidate of `spec` and train a few steps.

    Raises:
        Exception: whatever building or training it raises.
    """
    prepare_process(spec.precision)
    candidate = prepare(spec, location)
    model, data = candidate.model, candidate.data
    batches = iter(data.training_batches(spec.seed, 0, 1).take(1 + TIMED_STEPS))
    seconds = []
    with silence_graph_reports(), training(spec):
        for batch in batches:
            started = time.perf_counter()
            logs = model.train_on_batch(*batch, return_dict=True)
            seconds.append(time.perf_counter() - started)
    if not isfinite(loss := float(logs.get("loss", 0))):  # a train_step of the model's own may report none
        raise NonFiniteLossError(f"the loss is {loss} after {len(seconds)} steps")
    cost = CandidateCost(
        parameters=model.count_params(),
        multiply_adds=multiply_adds(model),
        step_seconds=min(seconds[1:] or seconds),
    )
    del candidate, model
    release_graphs()
    return cost
