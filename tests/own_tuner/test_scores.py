"""The progress of a search counts trials as soon as they end."""

import keras_tuner
import pytest

from bench.own_tuner.scores import Scores
from bench.training.own_tuner.exchange import Execution, TrialRun

pytestmark = pytest.mark.slow


def completed(*accuracies: float) -> TrialRun:
    executions = tuple(
        Execution(metrics={"val_accuracy": accuracy}, best_epoch=0, epochs=1, seconds=1.0, curves={})
        for accuracy in accuracies
    )
    return TrialRun(status="COMPLETED", executions=executions)


def test_trials_count_before_the_oracle_has_their_results() -> None:
    oracle = keras_tuner.oracles.RandomSearchOracle(keras_tuner.Objective("val_accuracy", "max"), max_trials=4)
    scores = Scores(oracle)
    assert (scores.ended, scores.total, scores.best_text) == (0, 4, None)
    scores.update((), [completed(0.5, 0.75), completed(0.25), TrialRun(status="INVALID", message="ValueError")])
    assert (scores.ended, scores.best_text) == (3, "val_accuracy 0.625")
    scores.update((), [completed(float("nan"))])
    assert scores.best_text == "val_accuracy 0.625"
