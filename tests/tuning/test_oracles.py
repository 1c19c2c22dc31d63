"""Keras Tuner's oracles behind ask and tell: spaces, budgets, and proposals that can be repeated."""

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras_tuner
import pytest
from keras_tuner import HyperParameters

import spaces
from bench.errors import SearchError
from bench.records.spec import TUNERS, Budget, RunSpec, Value, candidate_values
from bench.seeds import derive_seed
from bench.tuning.oracles import (
    Answer,
    Oracle,
    Plan,
    Proposal,
    count,
    enumerate_space,
    make,
    parameters,
    plan,
    rehearse,
)
from builders import make_spec

pytestmark = pytest.mark.slow

Space = Callable[[], HyperParameters]


def spec(tuner: str, trials: int, epochs: int = 3, seed: int = 1) -> RunSpec:
    return make_spec(tuner=tuner, budget=Budget(trials=trials, epochs=epochs), seed=seed)


def key(values: Mapping[str, Value]) -> str:
    return json.dumps(candidate_values(values), sort_keys=True)


def score(values: Mapping[str, Value]) -> float:
    """Some number in [0, 1) that depends on the candidate and on nothing else."""
    return derive_seed(0, key(values)) % 1000 / 1000


def play(oracle: Oracle, ahead: int = 1) -> list[Proposal]:
    """All proposals where up to `ahead` of them wait to be told; closes the oracle."""
    proposals: list[Proposal] = []
    waiting: list[Proposal] = []
    while True:
        answer = oracle.ask() if len(waiting) < ahead else Answer.WAIT
        if isinstance(answer, Proposal):
            proposals.append(answer)
            waiting.append(answer)
        elif waiting:
            told = waiting.pop(0)
            oracle.tell(told.trial_id, score(told.values))
        else:
            oracle.close()
            return proposals


# The declared space

SIZES = [
    # By hand, as the docstring of each space works it out.
    (spaces.flat, 12),
    (spaces.layered, 36),
    (spaces.nested, 5),
    (spaces.uneven, 109),
    (spaces.single, 1),
]


@pytest.mark.parametrize(("space", "size"), SIZES)
def test_count_is_that_of_all_candidates(space: Space, size: int) -> None:
    space_parameters = parameters(space())
    assert count(space_parameters) == size
    assert len({key(values) for values in enumerate_space(space_parameters)}) == size


@pytest.mark.parametrize("space", [spaces.flat, spaces.layered, spaces.nested])
def test_enumeration_is_what_keras_tuner_would_draw(space: Space) -> None:
    listed = {key(values) for values in enumerate_space(parameters(space()))}
    # Keras Tuner gives up after 20 repeats, so one draw each: 36 candidates are missed by 2,000 draws never.
    drawn = set()
    for seed in range(1, 2001):
        oracle = keras_tuner.oracles.RandomSearchOracle(
            objective=keras_tuner.Objective("val_accuracy", "max"), hyperparameters=space(), seed=seed * 1000
        )
        drawn.add(key(oracle.populate_space("0")["values"]))
    assert drawn == listed


def test_count_is_none_where_a_hyperparameter_is_continuous() -> None:
    assert count(parameters(spaces.continuous())) is None


def test_parameters_tell_values_and_conditions() -> None:
    found = {parameter.name: parameter for parameter in parameters(spaces.nested())}
    assert found["kind"].values == ("small", "large")
    assert [(parent.name, parent.values) for parent in found["rate"].conditions] == [
        ("kind", ("large",)),
        ("dropout", (True,)),
    ]
    rate = parameters(spaces.continuous())[1]
    assert (rate.kind, rate.values, rate.finite) == ("Float", (0.001, 0.1), False)


# Grid and spaces no larger than the budget


@pytest.mark.parametrize("tuner", TUNERS)
def test_space_no_larger_than_the_budget_is_enumerated(tuner: str) -> None:
    asked = play(make(spec(tuner, trials=36), spaces.layered()), ahead=4)
    assert [key(proposal.values) for proposal in asked] == [
        key(values) for values in enumerate_space(parameters(spaces.layered()))
    ]
    assert {(proposal.initial_epoch, proposal.epochs, proposal.parent) for proposal in asked} == {(0, 3, None)}
    assert plan(spec(tuner, trials=36), spaces.layered()) == Plan(candidates=36, tasks=36, epochs=108)


def test_grid_refuses_a_space_larger_than_the_budget_with_its_count() -> None:
    with pytest.raises(SearchError, match=r"all 36 candidates of 'dense', the budget is 35 trials: raise --trials"):
        make(spec("grid", trials=35), spaces.layered())


def test_grid_refuses_a_continuous_space() -> None:
    with pytest.raises(SearchError, match="all infinitely many candidates"):
        make(spec("grid", trials=1000), spaces.continuous())


# Budgets


@pytest.mark.parametrize("tuner", ["random", "bayesian"])
def test_budget_is_trials_of_full_length(tuner: str) -> None:
    asked = spec(tuner, trials=6)
    planned = plan(asked, spaces.layered())
    assert planned == Plan(candidates=6, tasks=6, epochs=18)
    assert len(play(make(asked, spaces.layered()), ahead=4)) == 6


@pytest.mark.parametrize(
    ("trials", "epochs", "planned"),
    [
        # Brackets at 3 epochs: three candidates of 1 epoch, one of them for 2 more; two of 3 epochs. 3 + 2 + 6 = 11
        # epochs, so a budget of 12 has one iteration.
        (4, 3, Plan(candidates=5, tasks=6, epochs=11)),
        # 24 epochs have two iterations.
        (8, 3, Plan(candidates=10, tasks=12, epochs=22)),
        # At 9 epochs: 9 of 1, 3 of them for 2 more, 1 of them for 6 more: 21; 5 of 3, 2 of them for 6 more: 27;
        # 3 of 9: 27.
        (9, 9, Plan(candidates=17, tasks=23, epochs=75)),
    ],
)
@pytest.mark.parametrize("ahead", [1, 4])
def test_plan_of_hyperband_is_what_is_trained(trials: int, epochs: int, planned: Plan, ahead: int) -> None:
    asked = spec("hyperband", trials, epochs)
    assert plan(asked, spaces.layered()) == planned
    proposals = play(make(asked, spaces.layered()), ahead)
    assert planned == Plan(
        candidates=len({key(proposal.values) for proposal in proposals}),
        tasks=len(proposals),
        epochs=sum(proposal.epochs - proposal.initial_epoch for proposal in proposals),
    )


def test_promoted_trial_goes_on_where_its_parent_ended() -> None:
    proposals = {proposal.trial_id: proposal for proposal in play(make(spec("hyperband", 9, 9), spaces.layered()))}
    promoted = [proposal for proposal in proposals.values() if proposal.parent is not None]
    assert len(promoted) == 6
    for proposal in promoted:
        parent = proposals[proposal.parent or ""]
        assert candidate_values(proposal.values) == candidate_values(parent.values)
        assert (proposal.initial_epoch, proposal.epochs) == (parent.epochs, 3 * parent.epochs)


def test_hyperband_refuses_a_budget_below_one_iteration() -> None:
    with pytest.raises(
        SearchError,
        # 11 epochs at 3 a trial: 4 trials.
        match=r"one iteration .* at 3 epochs trains 11 epochs, the budget is 3 trials x 3 = 9: raise --trials to 4 or",
    ):
        make(spec("hyperband", trials=3), spaces.layered())


def test_hyperband_refuses_a_space_that_it_would_draw_half_of() -> None:
    # Two iterations draw 10 candidates of 12.
    with pytest.raises(SearchError, match=r"draw 10 candidates from a space of only 12: raise --trials to 12 to"):
        make(spec("hyperband", trials=8), spaces.flat())


def test_rehearsal_leaves_nothing_of_the_oracle() -> None:
    oracle = make(spec("random", trials=3), spaces.layered())
    folder = Path(oracle._folder.name)
    assert folder.exists()
    assert rehearse(oracle).tasks == 3
    assert not folder.exists()


# Repeatable and quiet


@pytest.mark.parametrize("tuner", TUNERS)
def test_same_calls_give_the_same_proposals(tuner: str) -> None:
    asked = spec(tuner, trials=40 if tuner == "grid" else 7)
    first, second = (play(make(asked, spaces.layered()), ahead=4) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("tuner", ["random", "hyperband", "bayesian"])
def test_seeds_give_other_proposals(tuner: str) -> None:
    # 0 too, which Keras Tuner itself takes for "any".
    by_seed = [play(make(spec(tuner, 6, seed=seed), spaces.layered()), ahead=4) for seed in (0, 0, 1, 2)]
    assert by_seed[0] == by_seed[1]
    drawn = [{key(proposal.values) for proposal in proposals} for proposals in by_seed[1:]]
    assert drawn[0] != drawn[1] != drawn[2] != drawn[0]


@pytest.mark.parametrize("tuner", TUNERS)
def test_failed_trials_do_not_stop_an_oracle(tuner: str) -> None:
    oracle = make(spec(tuner, trials=36 if tuner == "grid" else 8), spaces.layered())
    told = 0
    while isinstance(proposal := oracle.ask(), Proposal):
        oracle.tell(proposal.trial_id, None, "no memory")
        told += 1
        assert proposal.parent is None  # none of them is worth going on with
    oracle.close()
    # Hyperband: two iterations of 3 + 2.
    assert told == {"grid": 36, "hyperband": 10}.get(tuner, 8)


@pytest.mark.parametrize("tuner", TUNERS)
def test_proposals_can_be_kept_as_json(tuner: str) -> None:
    for proposal in play(make(spec(tuner, trials=40 if tuner == "grid" else 7), spaces.layered()), ahead=4):
        assert json.loads(json.dumps(proposal.values)) == proposal.values
        listed: dict[str, Any] = {parameter.name: parameter.values for parameter in parameters(spaces.layered())}
        assert all(value in listed[name] for name, value in candidate_values(proposal.values).items())


@pytest.mark.parametrize("tuner", TUNERS)
def test_oracle_writes_in_its_temporary_folder_only(
    tuner: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary, here = tmp_path / "temporary", tmp_path / "here"
    temporary.mkdir()
    here.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.chdir(here)
    oracle = make(spec(tuner, trials=40 if tuner == "grid" else 6), spaces.layered())
    assert [path.name.startswith("bench-oracle-") for path in temporary.iterdir()] == [True]
    play(oracle, ahead=4)
    assert set(tmp_path.rglob("*")) == {temporary, here}


@pytest.mark.parametrize("tuner", TUNERS)
def test_oracle_prints_nothing(tuner: str, capfd: pytest.CaptureFixture[str]) -> None:
    play(make(spec(tuner, trials=40 if tuner == "grid" else 6), spaces.layered()), ahead=4)
    assert capfd.readouterr() == ("", "")


def test_overruled_values_are_those_that_the_oracle_learns_from() -> None:
    oracle = make(spec("hyperband", trials=4), spaces.layered())
    proposals = [proposal for _ in range(3) if isinstance(proposal := oracle.ask(), Proposal)]
    best: dict[str, Value] = {"layers": 1, "units_1": 32, "rate": 0.001}
    oracle.overrule(proposals[0].trial_id, {**proposals[0].values, **best})
    for proposal, value in zip(proposals, (0.9, 0.2, 0.1), strict=True):
        oracle.tell(proposal.trial_id, value)
    promoted = oracle.ask()
    oracle.close()
    assert isinstance(promoted, Proposal)
    assert promoted.parent == proposals[0].trial_id
    assert best.items() <= promoted.values.items()
