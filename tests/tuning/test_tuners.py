"""The tuners: how they spend a budget, and proposals that are repeatable, clean and quiet."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from keras_tuner import HyperParameters

import spaces
from bench.errors import SearchError, SpecError
from bench.records.spec import Budget, SearchSpec, Value
from bench.seeds import derive_seed
from bench.tuning import tuners
from bench.tuning.proposer import Proposer
from bench.tuning.space import enumerate_candidates, parameters
from bench.tuning.trials import NoProposal, Plan, Proposal
from builders import make_spec
from processes import python
from spaces import key

pytestmark = pytest.mark.slow

BUDGETS = {"grid": 36, "random": 8, "hyperband": 8, "bayesian": 8, "tpe": 16}  # trials, for the space `layered`

every_tuner = pytest.mark.parametrize("tuner", sorted(BUDGETS))


def spec(tuner: str, trials: int | None = None, epochs: int = 3, seed: int = 1) -> SearchSpec:
    return make_spec(tuner=tuner, budget=Budget(trials=trials or BUDGETS[tuner], epochs=epochs), seed=seed)


def start(search_spec: SearchSpec, hyperparameters: HyperParameters | None = None) -> Proposer:
    hyperparameters = hyperparameters or spaces.layered()
    oracle = tuners.choose(search_spec, hyperparameters).oracle(search_spec, hyperparameters)
    return Proposer(oracle, search_spec.budget.epochs)


def plan(search_spec: SearchSpec, hyperparameters: HyperParameters) -> Plan:
    return tuners.choose(search_spec, hyperparameters).plan(search_spec, hyperparameters)


def play(proposer: Proposer, ahead: int = 4) -> list[Proposal]:
    """All proposals of a search in which up to `ahead` trials wait to be reported."""
    proposals: list[Proposal] = []
    unreported: list[Proposal] = []
    while True:
        proposal = proposer.propose() if len(unreported) < ahead else NoProposal.WAIT
        if isinstance(proposal, Proposal):
            proposals.append(proposal)
            unreported.append(proposal)
        elif unreported:
            oldest = unreported.pop(0)
            # An arbitrary score that depends on nothing but the candidate.
            proposer.report(oldest.trial_id, derive_seed(0, key(oldest.values)) % 1000 / 1000)
        else:
            return proposals


# Names


def test_every_file_is_a_tuner_that_loads_by_its_name() -> None:
    assert tuners.names() == tuple(sorted([*BUDGETS, "default"]))
    for name in tuners.names():
        assert type(tuners.load(name)).__module__ == f"bench.tuning.tuners.{name}"


@pytest.mark.parametrize("trials", [4, 36])  # 36 would cover the space
def test_default_trains_the_default_of_every_active_hyperparameter_once(trials: int) -> None:
    search_spec = make_spec(tuner="default", budget=Budget(trials=trials, epochs=3))
    (proposal,) = play(start(search_spec))
    # One layer by default, so that the second one's width is not active.
    assert dict(proposal.values) == {"layers": 1, "units_1": 32, "rate": 0.001}
    assert plan(search_spec, spaces.layered()) == Plan(candidates=1, trials=1, epochs=3)


def test_unknown_tuner_is_refused_with_the_valid_names() -> None:
    with pytest.raises(
        SpecError, match=r"unknown tuner 'sobol': valid names are bayesian, default, grid, hyperband, random, tpe"
    ):
        tuners.load("sobol")


def test_names_and_search_import_no_keras() -> None:
    code = (
        "import sys; import bench.tuning.search, bench.tuning.trials; from bench.tuning import tuners; tuners.names();"
        "print([name for name in sys.modules if name.startswith(('keras', 'tensorflow'))])"
    )
    assert python(code) == "[]\n"


# Spaces within the budget


@every_tuner
def test_space_within_the_budget_is_enumerated(tuner: str) -> None:
    search_spec = spec(tuner, trials=36)
    proposals = play(start(search_spec))
    assert [key(proposal.values) for proposal in proposals] == [
        key(values) for values in enumerate_candidates(parameters(spaces.layered()))
    ]
    assert {(proposal.initial_epoch, proposal.epochs, proposal.parent) for proposal in proposals} == {(0, 3, None)}
    assert plan(search_spec, spaces.layered()) == Plan(candidates=36, trials=36, epochs=108)


@pytest.mark.parametrize(
    ("space", "trials", "count"), [(spaces.layered, 35, "36"), (spaces.continuous, 1000, "infinitely many")]
)
def test_grid_search_refuses_a_space_beyond_the_budget(space: object, trials: int, count: str) -> None:
    assert callable(space)
    with pytest.raises(SearchError, match=rf"'dense' has {count} candidates, but the budget is {trials} trials; raise"):
        start(spec("grid", trials), space())


# Budgets


@pytest.mark.parametrize("tuner", ["random", "bayesian", "tpe"])
def test_budget_is_spent_on_full_length_trials(tuner: str) -> None:
    trials = BUDGETS[tuner]
    assert plan(spec(tuner), spaces.layered()) == Plan(candidates=trials, trials=trials, epochs=3 * trials)
    assert len(play(start(spec(tuner)))) == trials


@pytest.mark.parametrize(
    ("trials", "epochs", "planned"),
    [
        # Brackets at 3 epochs: three candidates of 1 epoch, one of them for 2 more; two of 3 epochs. 3 + 2 + 6 = 11
        # epochs, so a budget of 12 has one iteration.
        (4, 3, Plan(candidates=5, trials=6, epochs=11)),
        # 24 epochs have two iterations.
        (8, 3, Plan(candidates=10, trials=12, epochs=22)),
        # At 9 epochs: 9 of 1, 3 of them for 2 more, 1 of them for 6 more: 21; 5 of 3, 2 of them for 6 more: 27;
        # 3 of 9: 27.
        (9, 9, Plan(candidates=17, trials=23, epochs=75)),
    ],
)
@pytest.mark.parametrize("ahead", [1, 4])
def test_hyperband_trains_as_planned(trials: int, epochs: int, planned: Plan, ahead: int) -> None:
    search_spec = spec("hyperband", trials, epochs)
    assert plan(search_spec, spaces.layered()) == planned
    proposals = play(start(search_spec), ahead)
    assert planned == Plan(
        candidates=len({key(proposal.values) for proposal in proposals}),
        trials=len(proposals),
        epochs=sum(proposal.epochs - proposal.initial_epoch for proposal in proposals),
    )


def test_promoted_trial_continues_its_parent_with_the_same_hyperparameters() -> None:
    proposals = {proposal.trial_id: proposal for proposal in play(start(spec("hyperband", 9, 9)))}
    promoted = [proposal for proposal in proposals.values() if proposal.parent is not None]
    assert len(promoted) == 6
    for proposal in promoted:
        parent = proposals[proposal.parent or ""]
        assert proposal.values == parent.values
        assert (proposal.initial_epoch, proposal.epochs) == (parent.epochs, 3 * parent.epochs)


def test_hyperband_refuses_a_budget_below_one_iteration() -> None:
    with pytest.raises(
        SearchError,
        # 11 epochs at 3 a trial: 4 trials.
        match=r"iteration .* trains 11 epochs, but the budget is 3 trials x 3 = 9: raise --trials to 4 or",
    ):
        start(spec("hyperband", trials=3))


@pytest.mark.parametrize(
    ("space", "trials", "epochs", "rungs"),
    [
        # Two iterations draw 10 of 12 candidates.
        (spaces.flat, 8, 3, [3, 2, 3, 2]),
        # One iteration would draw 17 of 12 candidates: 9, 5 and 3.
        (spaces.flat, 9, 9, [9, 5, 3]),
        # One iteration would draw 27, 12, 6 and 4 of 20 candidates.
        (spaces.twenty, 14, 27, [20, 12, 6, 4]),
    ],
)
def test_hyperband_draws_the_candidates_of_a_small_space_in_turn(
    space: Callable[[], HyperParameters], trials: int, epochs: int, rungs: list[int]
) -> None:
    search_spec = spec("hyperband", trials, epochs)
    proposals = play(start(search_spec, space()))
    drawn = [key(proposal.values) for proposal in proposals if proposal.parent is None]
    assert len(drawn) == sum(rungs)
    for rung in rungs:
        in_rung, drawn = drawn[:rung], drawn[rung:]
        assert len(set(in_rung)) == rung
    candidates = {key(values) for values in enumerate_candidates(parameters(space()))}
    assert {key(proposal.values) for proposal in proposals} <= candidates
    planned = plan(search_spec, space())
    assert planned.candidates == min(sum(rungs), len(candidates)) == len({key(each.values) for each in proposals})
    assert planned.trials == len(proposals)
    assert planned.epochs == sum(proposal.epochs - proposal.initial_epoch for proposal in proposals)
    assert planned.epochs <= search_spec.budget.total_epochs


def test_seed_decides_the_order_in_a_small_space() -> None:
    orders = [play(start(spec("hyperband", seed=seed), spaces.flat())) for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]


def test_random_candidates_are_distinct_and_no_more_than_the_space_has() -> None:
    search_spec = spec("hyperband")
    drawn = tuners.random_candidates(search_spec, spaces.layered(), 6)
    assert len({key(values) for values in drawn}) == 6
    assert len(tuners.random_candidates(search_spec, spaces.nested(), 6)) == 5


# Repeatable, clean, quiet


@every_tuner
def test_proposals_are_repeatable_clean_and_quiet(
    tuner: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = (play(start(spec(tuner))) for _ in range(2))
    assert first == second
    declared = {parameter.name: parameter.values for parameter in parameters(spaces.layered())}
    for proposal in first:
        assert json.loads(json.dumps(proposal.values)) == proposal.values
        assert all(value in declared[name] for name, value in proposal.values.items())
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("tuner", ["random", "hyperband", "bayesian", "tpe"])
def test_seed_decides_the_proposals(tuner: str) -> None:
    # 0 too, which Keras Tuner itself replaces by a random number.
    by_seed = [play(start(spec(tuner, seed=seed))) for seed in (0, 0, 1, 2)]
    assert by_seed[0] == by_seed[1]
    drawn = [{key(proposal.values) for proposal in proposals} for proposals in by_seed[1:]]
    assert drawn[0] != drawn[1] != drawn[2] != drawn[0]


@pytest.mark.parametrize("tuner", ["random", "hyperband", "bayesian", "tpe"])
def test_hyperparameters_with_the_same_name_have_their_own_ranges(tuner: str) -> None:
    proposals, again = (play(start(spec(tuner, trials=12), spaces.same_names())) for _ in range(2))
    assert proposals == again
    found = {(proposal.values["kind"], float(proposal.values["size"]) > 1) for proposal in proposals}
    assert found == {("a", False), ("b", True)}


@every_tuner
def test_failed_trials_are_never_promoted_and_do_not_end_a_search(tuner: str) -> None:
    proposer = start(spec(tuner))
    failed = 0
    while isinstance(proposal := proposer.propose(), Proposal):
        assert proposal.parent is None
        proposer.report(proposal.trial_id, None, "out of memory")
        failed += 1
    # Hyperband: two iterations of 3 + 2.
    assert failed == (10 if tuner == "hyperband" else BUDGETS[tuner])


def test_tuner_learns_from_overruled_values_and_keeps_its_own_bookkeeping() -> None:
    proposer = start(spec("hyperband", trials=4))
    proposals = [proposal for _ in range(3) if isinstance(proposal := proposer.propose(), Proposal)]
    before = proposer.oracle.get_trial(proposals[0].trial_id).hyperparameters.values
    bookkeeping = {name: value for name, value in before.items() if name.startswith("tuner/")}
    trained: dict[str, Value] = {"layers": 1, "units_1": 32, "rate": 0.001}
    proposer.overrule(proposals[0].trial_id, trained)
    assert proposer.oracle.get_trial(proposals[0].trial_id).hyperparameters.values == trained | bookkeeping
    assert bookkeeping["tuner/epochs"] == 1
    for proposal, value in zip(proposals, (0.9, 0.2, 0.1), strict=True):
        proposer.report(proposal.trial_id, value)
    promoted = proposer.propose()
    assert promoted == Proposal(
        trial_id="0003", values=trained, initial_epoch=1, epochs=3, parent=proposals[0].trial_id
    )
