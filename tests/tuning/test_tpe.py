"""TPE: valid candidates of every kind of space, what Optuna is told, few duplicates, better scores than random search.

tests/tuning/test_tuners.py and test_search.py cover what all tuners have in common.
"""

import importlib
import math
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import optuna
import pytest
from keras_tuner import HyperParameters
from optuna.trial import TrialState

import spaces
from bench.errors import SpecError
from bench.records.spec import Budget, Value
from bench.tuning import tuners
from bench.tuning.proposer import Proposer
from bench.tuning.space import parameters
from bench.tuning.trials import Proposal
from builders import make_spec

pytestmark = pytest.mark.slow

PENDING = 4

Objective = Callable[[Mapping[str, Any]], float | None]


def start(hyperparameters: HyperParameters, trials: int, seed: int = 1, tuner: str = "tpe") -> Proposer:
    spec = make_spec(tuner=tuner, budget=Budget(trials=trials, epochs=3), seed=seed)
    return Proposer(tuners.load(tuner).oracle(spec, hyperparameters), epochs=3)


def propose(proposer: Proposer) -> Proposal:
    proposal = proposer.propose()
    assert isinstance(proposal, Proposal)
    return proposal


def search(proposer: Proposer, objective: Objective) -> list[Mapping[str, Value]]:
    """The values of all trials; PENDING of them wait for their results, as in the search loop."""
    proposals: list[Proposal] = []
    reported = 0
    while isinstance(proposal := proposer.propose(), Proposal):
        proposals.append(proposal)
        if len(proposals) - reported == PENDING:
            oldest = proposals[reported]
            proposer.report(oldest.trial_id, objective(oldest.values))
            reported += 1
    return [proposal.values for proposal in proposals]


def quadratic(values: Mapping[str, Any]) -> float:
    """At most 0.9, near rate 0.01, momentum 0.5, and two layers of kind "b" whose widths are near 64."""
    score: float = 0.9 - 0.1 * (math.log10(values["rate"]) + 2) ** 2 - 0.3 * (values["momentum"] - 0.5) ** 2
    score -= 0.05 * (values["kind"] != "b") + 0.05 * abs(values["layers"] - 2)
    widths = [values[f"units_{layer}"] for layer in range(1, values["layers"] + 1)]
    return score - 0.05 * sum((math.log2(width) - 6) ** 2 for width in widths) / len(widths)


def network() -> HyperParameters:
    """One to three layers, each with a width of its own, and three more hyperparameters."""
    hp = HyperParameters()
    hp.Int("layers", 1, 3)
    for layer in range(1, 4):
        with hp.conditional_scope("layers", list(range(layer, 4))):
            hp.Int(f"units_{layer}", 8, 512, step=2, sampling="log")
    hp.Choice("kind", ["a", "b", "c"])
    hp.Float("rate", 1e-4, 1e-1, sampling="log")
    hp.Float("momentum", 0.0, 1.0)
    return hp


# Candidates


def test_every_candidate_is_valid_in_the_declared_space() -> None:
    space = spaces.every_kind()
    drawn = search(start(space, trials=60), lambda values: values["momentum"])
    for values in drawn:
        for parameter in parameters(space):
            assert (parameter.name in values) == parameter.is_active(values)
            if parameter.name not in values:
                continue
            value: Any = values[parameter.name]
            if parameter.finite:
                assert value in parameter.values
            else:
                low, high = parameter.values
                assert low <= value <= high
            assert type(value) is type(parameter.values[0])
        assert set(values) <= {parameter.name for parameter in parameters(space)}
    # Both branches of both conditions, and every value of every small hyperparameter.
    assert {(values["kind"], values.get("decays"), "rate" in values) for values in drawn} == {
        ("small", None, False),
        ("large", False, False),
        ("large", True, True),
    }
    for parameter in parameters(space):
        if parameter.finite:
            assert {values[parameter.name] for values in drawn if parameter.name in values} == set(parameter.values)


def test_optuna_is_told_the_coordinates_that_it_sampled() -> None:
    oracle = start(spaces.every_kind(), trials=60).oracle
    for _ in range(50):
        trial = oracle._study().ask()
        values = oracle._suggest(trial)
        told = {name: dimension(oracle, name).to_coordinate(value) for name, value in values.items()}
        assert told == pytest.approx(trial.params, rel=1e-12)


def test_integers_of_a_wide_range_are_proposed_in_steps() -> None:
    hp = HyperParameters()
    hp.Int("number", 3, 100_000, step=7)
    drawn = [values["number"] for values in search(start(hp, trials=20), lambda values: values["number"] / 100_000)]
    assert all(type(number) is int and 3 <= number <= 100_000 and number % 7 == 3 for number in drawn)
    assert len(set(drawn)) == 20


def dimension(oracle: Any, name: str) -> Any:
    (found,) = (each for each in oracle._dimensions if each.name == name)
    return found


def test_sampling_is_as_dense_as_in_keras_tuner() -> None:
    # In Keras Tuner's measure, under which its own draws are uniform in [0, 1], quarters have 50 of 200 draws; the
    # standard deviation is 6.1.
    space = spaces.every_kind()
    oracle = start(space, trials=60).oracle
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    drawn = [oracle._suggest(study.ask()) for _ in range(200)]
    for hp in space.space:
        if hp.name in ("filters", "bottleneck", "momentum", "smoothing"):
            quarters = Counter(int(4 * hp.value_to_prob(values[hp.name])) for values in drawn)
            assert all(26 <= quarters[quarter] <= 74 for quarter in range(4)), (hp.name, quarters)


# What Optuna is told


def test_optuna_is_told_results_failures_and_pending_trials() -> None:
    proposer = start(spaces.layered(), trials=12)
    proposals = [propose(proposer) for _ in range(4)]
    proposer.report(proposals[0].trial_id, 0.75)
    proposer.report(proposals[1].trial_id, None, "out of memory")
    told = proposer.oracle._study().trials
    assert [(trial.state, trial.value) for trial in told] == [
        (TrialState.COMPLETE, 0.75),
        (TrialState.FAIL, None),
        (TrialState.RUNNING, None),
        (TrialState.RUNNING, None),
    ]
    assert [set(trial.params) for trial in told] == [set(proposal.values) for proposal in proposals]


def test_optuna_is_told_overruled_values() -> None:
    proposer = start(spaces.layered(), trials=12)
    trial_id = propose(proposer).trial_id
    # The last digit of a rate may differ on another machine.
    proposer.overrule(trial_id, {"layers": 2, "units_1": 64, "units_2": 32, "rate": math.nextafter(0.002, 1)})
    proposer.report(trial_id, 0.5)
    (told,) = proposer.oracle._study().trials
    assert told.params == {"layers": 1, "units_1": 1, "units_2": 0, "rate": 1}


def test_logging_level_of_optuna_is_left_alone() -> None:
    level = optuna.logging.get_verbosity()
    propose(start(spaces.layered(), trials=12))
    assert optuna.logging.get_verbosity() == level == optuna.logging.INFO


# Duplicates


@pytest.mark.parametrize("seed", range(5))
def test_most_of_a_small_space_is_proposed_without_a_duplicate(seed: int) -> None:
    drawn = search(start(spaces.layered(), trials=24, seed=seed), lambda values: 0.5 + 0.1 * values["layers"])
    assert len({tuple(sorted(values.items())) for values in drawn}) == 24


def test_duplicate_is_accepted_if_there_is_nothing_else() -> None:
    drawn = search(start(spaces.single(), trials=3), lambda _: 0.5)
    assert drawn == [{"kind": "only"}] * 3


# Quality


def test_tpe_finds_better_candidates_than_random_search_on_average() -> None:
    best: dict[str, list[float]] = {"tpe": [], "random": []}
    for tuner, scores in best.items():
        for seed in range(10):
            scores.append(max(map(quadratic, search(start(network(), trials=30, seed=seed, tuner=tuner), quadratic))))
    means = {tuner: sum(scores) / len(scores) for tuner, scores in best.items()}
    assert means["tpe"] > means["random"] + 0.01


# Installation


def test_missing_optuna_is_an_error_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    tuners.load("tpe")
    monkeypatch.delitem(sys.modules, "bench.tuning.tuners.tpe")
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(SpecError, match=r"Optuna, which is not installed: run `python -m pip install 'optuna>=5\S+,<5"):
        tuners.load("tpe")
    monkeypatch.undo()
    assert importlib.import_module("bench.tuning.tuners.tpe").TUNER is tuners.load("tpe")
