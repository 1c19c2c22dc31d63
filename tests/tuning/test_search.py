"""The search with real oracles and instant results: order, resuming, duplicates, failures, the winner."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import keras_tuner
import msgspec
import numpy as np
import pytest
from keras_tuner import HyperParameters

import spaces
from bench.errors import SearchError
from bench.records.ledger import RefitEnded, TrialEnded, TrialProposed
from bench.records.record import Curve, TrialRecord
from bench.records.spec import Budget, SearchSpec, Value, trial_seed
from bench.records.store import RunFolder, now
from bench.seeds import derive_seed
from bench.tuning import tuners
from bench.tuning.search import Search
from bench.tuning.trials import PendingTrial
from bench.tuning.tuner import Tuner, settings
from builders import make_curve, make_refit, make_spec

pytestmark = pytest.mark.slow

TRIALS = {"grid": 12, "random": 12, "hyperband": 8, "bayesian": 7, "tpe": 12}
EPOCHS = 3
FAILURE = "ValueError: this candidate cannot be trained"

Score = Callable[[Mapping[str, Value]], float | None]

every_tuner = pytest.mark.parametrize("tuner", sorted(TRIALS))


def spec(tuner: str, **changes: Any) -> SearchSpec:
    return make_spec(tuner=tuner, budget=Budget(trials=TRIALS[tuner], epochs=EPOCHS), **changes)


def score(values: Mapping[str, Value]) -> float | None:
    """Validation accuracy after the last epoch, a function of the candidate; None, a failure, for one in four."""
    number = derive_seed(0, spaces.key(values))
    return None if number % 4 == 0 else number % 1000 / 1000


@dataclass
class Workers:
    """Instant training: up to `count` trials are in flight, and they end in random order."""

    count: int = 1
    seed: int = 0
    score: Score = score
    trained: list[PendingTrial] = field(default_factory=list)
    max_in_flight: int = 0

    def run(self, search: Search, until: int = 10_000) -> list[TrialRecord]:
        """Run the search until it is done or `until` trials have been trained; returns records without times."""
        random = np.random.default_rng(self.seed)
        in_flight: dict[str, PendingTrial] = {}
        while len(self.trained) < until:
            while len(in_flight) < self.count and (trial := search.next_trial(in_flight)) is not None:
                in_flight[trial.name] = trial
            self.max_in_flight = max(self.max_in_flight, len(in_flight))
            if not in_flight:
                assert search.is_done(in_flight)
                break
            trial = in_flight.pop(list(in_flight)[random.integers(len(in_flight))])
            self.trained.append(trial)
            search.finish(self.train(trial))
        return [without_times(record) for record in search.results]

    def train(self, trial: PendingTrial) -> TrialRecord:
        final = self.score(trial.spec.values)
        curve = make_curve(trial.spec.epochs, final or 0.0)
        return trial.record(
            error=FAILURE if final is None else None,
            curve=Curve() if final is None else from_epoch(curve, trial.spec.initial_epoch),
            parameters=None if final is None else 1000,
            fit_seconds=0.5,
            task_seconds=0.7,
            ended_seconds=float(len(self.trained)),
        )


def from_epoch(curve: Curve, epoch: int) -> Curve:
    return Curve(**{name: getattr(curve, name)[epoch:] for name in Curve.__slots__})


def without_times(trial: TrialRecord) -> TrialRecord:
    return replace(trial, fit_seconds=0.0, task_seconds=0.0, ended_seconds=0.0)


def start(search_spec: SearchSpec, folder: RunFolder, hyperparameters: HyperParameters | None = None) -> Search:
    """A search as a session starts it: resumed from the ledger in `folder`."""
    space = hyperparameters or (spaces.flat() if search_spec.tuner == "grid" else spaces.layered())
    proposer = tuners.choose(search_spec, space).proposer(search_spec, space)
    return Search(search_spec, proposer, folder, folder.events())


def next_trial(search: Search, *in_flight: PendingTrial) -> PendingTrial:
    trial = search.next_trial([trial.name for trial in in_flight])
    assert trial is not None
    return trial


# Order does not matter


@every_tuner
def test_search_is_the_same_for_any_number_of_workers_in_any_order(tuner: str, tmp_path: Path) -> None:
    search_spec = spec(tuner)
    single = Workers(count=1).run(start(search_spec, RunFolder(tmp_path / "single")))
    assert {trial.status for trial in single} == {"ok", "failed"}
    for seed, count in enumerate((2, 3, 16)):
        workers = Workers(count=count, seed=seed)
        assert workers.run(start(search_spec, RunFolder(tmp_path / str(seed)))) == single
        # Random and grid search propose all 12 trials at once, Hyperband all candidates of its first rungs.
        assert workers.max_in_flight == min(count, {"bayesian": 4, "tpe": 4, "hyperband": 10}.get(tuner, 12))


@dataclass
class Promotions(Workers):
    """Workers with which one in four promoted trials fails too."""

    def train(self, trial: PendingTrial) -> TrialRecord:
        if trial.parent is not None and derive_seed(0, trial.trial_id) % 4 == 0:
            return trial.record(error=FAILURE, ended_seconds=float(len(self.trained)))
        return super().train(trial)


def test_hyperband_with_failed_and_promoted_trials_is_the_same_for_any_number_of_workers(tmp_path: Path) -> None:
    outcomes = set()
    for seed in range(4):
        search_spec = make_spec(tuner="hyperband", budget=Budget(trials=18, epochs=9), seed=seed)
        folder = tmp_path / str(seed)
        single = Promotions(count=1).run(start(search_spec, RunFolder(folder / "1"), spaces.continuous()))
        for count in (2, 3, 16):
            workers = Promotions(count=count, seed=seed)
            assert workers.run(start(search_spec, RunFolder(folder / str(count)), spaces.continuous())) == single
            assert workers.max_in_flight == count
        # Two iterations of brackets of 9 candidates for 1 epoch, 5 for 3 epochs, and 3 for 9 epochs.
        assert sum(trial.parent is None for trial in single) == 34
        outcomes |= {(trial.initial_epoch, trial.epochs, trial.status) for trial in single}
    # Every rung has trials that succeed, and trials that fail.
    rungs = {(0, 1), (1, 3), (3, 9), (0, 3), (0, 9)}
    assert outcomes == {(*rung, status) for rung in rungs for status in ("ok", "failed")}


@every_tuner
def test_trials_are_trained_as_they_are_recorded(tuner: str, tmp_path: Path) -> None:
    search_spec = spec(tuner)
    workers = Workers()
    results = workers.run(start(search_spec, RunFolder(tmp_path)))
    assert [trial.number for trial in results] == list(range(len(results)))
    trained = sorted(workers.trained, key=lambda trial: trial.number)
    for pending, record in zip(trained, results, strict=True):
        assert pending.number == record.number
        assert pending.spec.values == record.values
        assert pending.spec.seed == record.seed == trial_seed(search_spec.seed, record.values)
        assert (pending.spec.initial_epoch, pending.spec.epochs) == (record.initial_epoch, record.epochs)
        assert (pending.spec.part, pending.spec.horizon) == ("train", EPOCHS)
        assert pending.spec.keep_state == (record.epochs < EPOCHS)
        assert pending.parent == record.parent


@pytest.mark.parametrize("tuner", ["random", "bayesian"])
def test_hyperparameters_are_recorded_as_numbers_of_python(tuner: str, tmp_path: Path) -> None:
    space = HyperParameters()
    space.Float("dropout", 0.0, 0.5)  # for which Bayesian optimization proposes numbers of NumPy, from the eighth on
    space.Choice("rate", list(np.logspace(-4, -2, 3)))
    search_spec = make_spec(tuner=tuner, budget=Budget(trials=10, epochs=EPOCHS))
    folder = RunFolder(tmp_path)
    workers = Workers(score=lambda values: float(values["dropout"]))
    results = workers.run(start(search_spec, folder, space))
    assert {type(value) for trial in results for value in trial.values.values()} == {float}
    assert start(search_spec, folder, space).is_done()


def test_queries_change_nothing_and_write_nothing(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    search = start(spec("hyperband"), folder)
    ledger = folder.ledger.read_bytes()
    first = next_trial(search)
    for _ in range(2):
        assert search.next_trial() == first
        assert search.next_trial(max_epochs=0) is None
        assert search.is_out_of_time([], 0.5)
        assert not search.is_done()
    assert search.next_trial([first.name]) != first
    assert folder.ledger.read_bytes() == ledger


def test_promoted_trial_has_the_curves_of_its_parents(tmp_path: Path) -> None:
    search_spec = make_spec(tuner="hyperband", budget=Budget(trials=9, epochs=9))
    workers = Workers(score=lambda values: float(values["units_1"]) / 200)
    results = workers.run(start(search_spec, RunFolder(tmp_path)))
    by_id = {trial.trial_id: trial for trial in results}
    promoted = [trial for trial in results if trial.parent is not None]
    assert len(promoted) == 6
    for trial in promoted:
        earlier = by_id[trial.parent or ""].curve.training_loss
        assert trial.curve.training_loss[: len(earlier)] == earlier
        assert len(trial.curve.training_loss) == trial.epochs


@pytest.mark.parametrize("workers", [1, 4])
def test_states_are_kept_while_they_may_be_promoted_and_never_more_than_the_largest_rung(
    workers: int, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path)
    folder.states_dir.mkdir()
    # Brackets of 9, 3, 1 and of 5, 2 and of 3 candidates.
    search = start(make_spec(tuner="hyperband", budget=Budget(trials=9, epochs=9)), folder)
    train = Workers(score=lambda values: float(values["units_1"]) / 200).train
    in_flight: dict[str, PendingTrial] = {}
    promoted = 0
    while not search.is_done(in_flight):
        while len(in_flight) < workers and (trial := search.next_trial(in_flight)) is not None:
            in_flight[trial.name] = trial
            if trial.parent is not None:
                assert folder.state_file(trial.parent).exists()
                promoted += 1
        trial = in_flight.pop(next(iter(in_flight)))
        record = train(trial)
        if trial.spec.keep_state and record.status == "ok":
            folder.state_file(record.trial_id).write_bytes(b"weights")
        search.finish(record)
        assert len(list(tmp_path.glob("states/*"))) <= 9
        if trial.parent is not None:
            assert not folder.state_file(trial.parent).exists()
    assert promoted == 6
    assert list(tmp_path.glob("states/*")) == []


def test_longest_waiting_trial_is_next(tmp_path: Path) -> None:
    search_spec = make_spec(tuner="hyperband", budget=Budget(trials=9, epochs=9))
    search = start(search_spec, RunFolder(tmp_path))
    in_flight: dict[str, int] = {}
    while (trial := search.next_trial(in_flight)) is not None:
        in_flight[trial.name] = trial.spec.epochs
    assert len(set(in_flight.values())) > 1
    assert list(in_flight.values()) == sorted(in_flight.values(), reverse=True)


# Time limits


def test_stopped_search_starts_no_trial_and_is_done_once_none_is_in_flight(tmp_path: Path) -> None:
    search = start(spec("random"), RunFolder(tmp_path))
    first = next_trial(search)
    second = next_trial(search, first)
    search.stop()
    assert search.next_trial([first.name, second.name]) is None
    search.finish(Workers().train(first))
    assert not search.is_done([second.name])
    search.finish(Workers().train(second))
    assert search.is_done()
    assert len(search.results) == 2


def test_search_that_was_stopped_is_not_continued_once_its_winner_has_a_refit(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    search = start(spec("random"), folder)
    first = next_trial(search)
    search.finish(replace(Workers().train(first), status="ok", error=None, curve=make_curve(EPOCHS, 0.5)))
    search.stop()
    assert not start(spec("random"), folder).is_done()
    folder.append(RefitEnded(time=now(), refit=make_refit(0)))
    resumed = start(spec("random"), folder)
    assert resumed.is_done()
    assert resumed.next_trial() is None
    assert resumed.winner() == search.winner()


def test_trial_that_does_not_fit_the_time_left_is_not_started(tmp_path: Path) -> None:
    search = start(spec("random"), RunFolder(tmp_path))
    assert search.next_trial(max_epochs=EPOCHS) is not None
    assert not search.is_out_of_time([], EPOCHS)
    assert search.next_trial(max_epochs=EPOCHS - 0.1) is None
    assert search.is_out_of_time([], EPOCHS - 0.1)


def test_cut_trial_keeps_its_whole_epochs_cannot_win_and_ends_the_search(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    search = start(spec("random"), folder)
    whole = next_trial(search)
    cut = next_trial(search, whole)
    search.finish(replace(Workers().train(whole), status="ok", error=None, curve=make_curve(EPOCHS, 0.5)))
    search.stop()
    curve = make_curve(EPOCHS - 1, 0.9)
    search.finish(
        cut.record(cut=True, curve=curve, parameters=1000, fit_seconds=1.0, task_seconds=1.0, ended_seconds=1.0)
    )
    assert search.is_done()
    assert (search.results[1].status, search.results[1].epochs) == ("cut", EPOCHS - 1)
    assert search.winner().number == 0
    resumed = start(spec("random"), folder)
    assert resumed.results == search.results
    assert resumed.is_done()
    assert resumed.next_trial() is None


# A tuner that waits


class Script(keras_tuner.Oracle):  # type: ignore[misc]
    """Proposes what a test lists; None stands for "wait until no trial is unreported"."""

    def __init__(self, script: Sequence[Mapping[str, Value] | None], **arguments: Any) -> None:
        super().__init__(**arguments)
        self.script = list(script)
        self.waited = 0

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        if not self.script:
            return {"status": "STOPPED"}
        if self.script[0] is None and self.ongoing_trials:
            self.waited += 1
            return {"status": "IDLE"}
        if self.script[0] is None:
            del self.script[0]
            return self.populate_space(trial_id)
        return {"status": "RUNNING", "values": dict(self.script.pop(0) or {})}


class Scripted(Tuner):
    def __init__(self, script: Sequence[Mapping[str, Value] | None], promotable: Collection[str]) -> None:
        self.script = script
        self.may_be_promoted = promotable

    def oracle(self, spec: SearchSpec, hyperparameters: HyperParameters) -> Script:
        self.last_oracle = Script(self.script, **settings(spec, hyperparameters))
        return self.last_oracle

    def promotable(self, oracle: keras_tuner.Oracle) -> set[str]:
        return {trial_id for trial_id in self.may_be_promoted if trial_id in self.last_oracle.trials}


def scripted(
    folder: Path,
    *script: Mapping[str, Value] | None,
    promotable: Collection[str] = (),
    retrains: bool = False,
    **changes: Any,
) -> tuple[Search, Script]:
    tuner = Scripted(script, promotable)
    search_spec = make_spec(budget=Budget(trials=len(script), epochs=EPOCHS), **changes)
    run = RunFolder(folder)
    proposer = tuner.proposer(search_spec, HyperParameters())
    return Search(search_spec, proposer, run, run.events(), retrains=retrains), tuner.last_oracle


@pytest.mark.parametrize(("retrains", "epochs"), [(False, 2), (True, 3)])
def test_promoted_trial_that_is_retrained_needs_the_time_of_all_its_epochs(
    retrains: bool, epochs: int, tmp_path: Path
) -> None:
    promotion: Mapping[str, Value] = {"a": 1, "tuner/epochs": 3, "tuner/initial_epoch": 1, "tuner/trial_id": "0000"}
    search, _ = scripted(tmp_path, {"a": 1, "tuner/epochs": 1}, None, promotion, retrains=retrains)
    search.finish(Workers(score=lambda _: 0.5).train(next_trial(search)))
    assert next_trial(search).spec.initial_epoch == 1
    assert search.next_trial(max_epochs=epochs - 0.1) is None
    assert search.next_trial(max_epochs=epochs) is not None


def test_waiting_tuner_proposes_again_only_after_a_report(tmp_path: Path) -> None:
    # Hyperband draws random numbers before it answers that it waits: one call more would change its proposals.
    search, oracle = scripted(tmp_path, {"a": 1}, {"a": 2}, None, {"a": 3})
    first = next_trial(search)
    second = next_trial(search, first)
    for _ in range(5):
        assert search.next_trial([first.name, second.name]) is None
    assert oracle.waited == 1
    for trial in (first, second):
        search.finish(Workers().train(trial))
    assert oracle.waited == 2  # again after the first report
    assert next_trial(search).spec.values == {"a": 3}


@pytest.mark.parametrize("seed", [2, 3])  # with which an extra call of a waiting oracle changes a trial
def test_hyperband_that_runs_out_of_new_candidates_is_repeatable(seed: int, tmp_path: Path) -> None:
    # In this space nine draws in ten repeat one of nine candidates, after which Hyperband answers that it waits.
    search_spec = make_spec(tuner="hyperband", budget=Budget(trials=33, epochs=9), seed=seed)
    searches = [
        Workers(count=count, seed=count).run(start(search_spec, RunFolder(tmp_path / str(count)), spaces.uneven()))
        for count in (1, 2, 4)
    ]
    assert searches[0] == searches[1] == searches[2]


# In the space `twenty`: brackets of 20, 12, 6 and 4 candidates.
SMALL = make_spec(tuner="hyperband", budget=Budget(trials=14, epochs=27))


def test_hyperband_in_a_small_space_is_the_same_for_any_number_of_workers(tmp_path: Path) -> None:
    single = Promotions(count=1).run(start(SMALL, RunFolder(tmp_path / "1"), spaces.twenty()))
    for count in (2, 3, 16):
        workers = Promotions(count=count, seed=count)
        search = start(SMALL, RunFolder(tmp_path / str(count)), spaces.twenty())
        assert workers.run(search) == single
        trained = {trial.trial_id for trial in workers.trained}
        assert {trial.trial_id for trial in single if trial.duplicate_of is None} == trained
        # Also those that are promoted in a bracket in which they are duplicates.
        assert {trial.parent for trial in workers.trained} <= {None, *trained}
    assert any(trial.duplicate_of is not None and trial.epochs < 27 for trial in single)
    trained_to = [(str(trial.values), trial.epochs) for trial in single if trial.duplicate_of is None]
    assert len(trained_to) == len(set(trained_to))


def test_epochs_of_a_small_space_are_counted_as_planned(tmp_path: Path) -> None:
    search = start(SMALL, RunFolder(tmp_path), spaces.twenty())
    Workers(score=lambda values: float(values["size"]) / 20).run(search)
    assert search.totals.epochs == tuners.choose(SMALL, spaces.twenty()).plan(SMALL, spaces.twenty()).epochs


def test_state_is_kept_while_a_duplicate_of_its_trial_may_be_promoted(tmp_path: Path) -> None:
    script: list[Mapping[str, Value]] = [
        {"a": 1, "tuner/epochs": 1},
        {"a": 1, "tuner/epochs": 1},
        {"a": 2, "tuner/epochs": 1},
        {"a": 1, "tuner/epochs": 3, "tuner/initial_epoch": 1, "tuner/trial_id": "0001"},
    ]
    search, _ = scripted(tmp_path, *script, promotable=["0001"], max_pending=1)
    state = RunFolder(tmp_path).state_file("0000")
    state.parent.mkdir()
    state.write_bytes(b"weights")
    train = Workers(score=lambda _: 0.5).train
    search.finish(train(next_trial(search)))
    assert state.exists()
    search.finish(train(next_trial(search)))
    promoted = next_trial(search)
    assert (promoted.parent, len(promoted.parent_curve.training_loss)) == ("0000", 1)
    assert state.exists()
    search.finish(train(promoted))
    assert [trial.duplicate_of for trial in search.results] == [None, "0000", None, None]


# Resuming


@every_tuner
def test_search_resumes_from_every_prefix_of_its_ledger(tuner: str, tmp_path: Path) -> None:
    check_resuming(spec(tuner), None, tmp_path)


def test_hyperband_in_a_small_space_resumes_from_every_prefix_of_its_ledger(tmp_path: Path) -> None:
    check_resuming(SMALL, spaces.twenty(), tmp_path)


def check_resuming(search_spec: SearchSpec, space: HyperParameters | None, tmp_path: Path) -> None:
    complete = RunFolder(tmp_path / "complete")
    expected = Workers(count=3).run(start(search_spec, complete, space))
    events = complete.events()
    # Each Bayesian proposal takes a while, and other searches are long: some prefixes stand for all.
    for length in range(0, len(events) + 1, 3 if search_spec.tuner == "bayesian" or len(events) > 50 else 1):
        folder = copy_ledger(complete, tmp_path / str(length), length)
        ended = {event.trial.number for event in events[:length] if isinstance(event, TrialEnded)}
        workers = Workers(count=2, seed=length)
        search = start(search_spec, folder, space)
        assert workers.run(search) == expected
        assert search.overruled_proposals == 0
        to_train = {trial.number for trial in expected if trial.duplicate_of is None}
        assert {trial.number for trial in workers.trained} == to_train - ended
        assert search.winner().trial_id == best(expected, search_spec.budget.epochs)
        assert ledger_lines(folder) == ledger_lines(complete)


def copy_ledger(folder: RunFolder, path: Path, length: int) -> RunFolder:
    copy = RunFolder(path)
    path.mkdir()
    copy.ledger.write_bytes(b"".join(folder.ledger.read_bytes().splitlines(keepends=True)[:length]))
    return copy


def ledger_lines(folder: RunFolder) -> set[str]:
    """The events of a ledger, ignoring order and times; a repeated event is an error."""
    lines = []
    for event in folder.events():
        changes = {"trial": without_times(event.trial)} if isinstance(event, TrialEnded) else {}
        lines.append(repr(msgspec.structs.replace(event, time="", **changes)))
    assert len(set(lines)) == len(lines)
    return set(lines)


def best(trials: Sequence[TrialRecord], epochs: int) -> str:
    full = [trial for trial in trials if trial.status == "ok" and trial.epochs == epochs]
    return max(full, key=lambda trial: (trial.score, -trial.number)).trial_id


def test_complete_ledger_makes_a_search_done_at_once(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    expected = Workers().run(start(spec("hyperband"), folder))
    search = start(spec("hyperband"), folder)
    assert search.is_done()
    assert search.next_trial() is None
    assert [without_times(trial) for trial in search.results] == expected


def test_ledger_overrules_a_tuner_that_now_proposes_something_else(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    script: list[Mapping[str, Value]] = [{"a": number, "tuner/round": 0} for number in range(3)]
    Workers().run(scripted(tmp_path, *script)[0], until=1)
    # The second of three proposals was another one when the ledger was written.
    folder.ledger.write_text(folder.ledger.read_text().replace('"values":{"a":1}', '"values":{"a":7}'))
    search, oracle = scripted(tmp_path, *script)
    workers = Workers()
    results = workers.run(search)
    assert search.overruled_proposals == 1
    assert [trial.values for trial in results] == [{"a": 0}, {"a": 7}, {"a": 2}]
    assert [trial.spec.values for trial in workers.trained] == [{"a": 7}, {"a": 2}]
    assert oracle.trials["0001"].hyperparameters.values == {"a": 7, "tuner/round": 0}


def test_overruled_promotion_takes_its_epochs_and_its_parent_from_the_ledger(tmp_path: Path) -> None:
    script: list[Mapping[str, Value]] = [
        {"a": 1, "tuner/epochs": 1, "tuner/initial_epoch": 0},
        {"a": 2, "tuner/epochs": 1, "tuner/initial_epoch": 0},
        {"a": 2, "tuner/epochs": 3, "tuner/initial_epoch": 1, "tuner/trial_id": "0001"},
    ]
    Workers(score=lambda _: 0.5).run(scripted(tmp_path, *script, max_pending=1)[0], until=2)
    proposed = [event.trial_id for event in RunFolder(tmp_path).events() if isinstance(event, TrialProposed)]
    assert proposed == ["0000", "0001", "0002"]
    other = {"a": 3, "tuner/epochs": 1, "tuner/initial_epoch": 0}
    search, _ = scripted(tmp_path, script[0], script[1], other, max_pending=1)
    trial = next_trial(search)
    assert (trial.spec.initial_epoch, trial.spec.epochs, trial.parent) == (1, 3, "0001")


def test_ledger_with_other_trial_ids_is_refused(tmp_path: Path) -> None:
    RunFolder(tmp_path).append(
        TrialProposed(time=now(), trial_id="00", values={"a": 1}, initial_epoch=0, epochs=3, parent=None)
    )
    with pytest.raises(SearchError, match=r"trials\.jsonl: expected trial '0000', found '00'.* --again"):
        scripted(tmp_path, {"a": 1})


# Duplicates


def test_duplicate_proposal_gets_the_result_of_the_first_without_training(tmp_path: Path) -> None:
    search, oracle = scripted(tmp_path, {"a": 1}, {"a": 2}, {"a": 1}, {"a": 2}, {"a": 3})
    workers = Workers(count=4, seed=1, score=lambda values: 0.1 * float(values["a"]))
    results = workers.run(search)
    assert sorted(trial.number for trial in workers.trained) == [0, 1, 4]
    assert [trial.duplicate_of for trial in results] == [None, None, "0000", "0001", None]
    assert [trial.trial_id for trial in results] == ["0000", "0001", "0002", "0003", "0004"]
    assert [trial.score for trial in results] == pytest.approx([0.1, 0.2, 0.1, 0.2, 0.3])
    assert [oracle.trials[trial.trial_id].score for trial in results] == pytest.approx([0.1, 0.2, 0.1, 0.2, 0.3])


def test_same_values_for_more_epochs_are_no_duplicate(tmp_path: Path) -> None:
    search, _ = scripted(tmp_path, {"a": 1, "tuner/epochs": 1}, {"a": 1, "tuner/epochs": 3})
    workers = Workers(score=lambda _: 0.5)
    workers.run(search)
    assert sorted(trial.spec.epochs for trial in workers.trained) == [1, 3]


def test_duplicate_of_a_failed_trial_fails_too(tmp_path: Path) -> None:
    search, oracle = scripted(tmp_path, {"a": 1}, {"a": 1})
    results = Workers(score=lambda _: None).run(search)
    assert [(trial.status, trial.error) for trial in results] == [("failed", FAILURE)] * 2
    assert [trial.status for trial in oracle.trials.values()] == ["FAILED"] * 2


# Failures and the winner


def test_failed_trial_is_reported_and_recorded_with_its_reason(tmp_path: Path) -> None:
    search, oracle = scripted(tmp_path, {"a": 1}, {"a": 2})
    Workers(score=lambda values: None if values["a"] == 1 else 0.5).run(search)
    failed, completed = oracle.trials.values()
    assert (failed.status, failed.message, failed.score) == ("FAILED", FAILURE, None)
    assert (completed.status, completed.score) == ("COMPLETED", 0.5)
    ended = [event.trial for event in RunFolder(tmp_path).events() if isinstance(event, TrialEnded)]
    assert [(trial.status, trial.error) for trial in ended] == [("failed", FAILURE), ("ok", None)]
    assert (search.totals.trials, search.totals.failed, search.totals.best) == (2, 1, 0.5)


def test_winner_is_the_best_full_length_trial(tmp_path: Path) -> None:
    search, _ = scripted(tmp_path, {"a": 1}, {"a": 2}, {"a": 3, "tuner/epochs": 1}, {"a": 4})
    scores = {1: 0.6, 2: 0.7, 3: 0.9, 4: None}
    Workers(score=lambda values: scores[int(values["a"])]).run(search)
    assert search.winner().values == {"a": 2}


@pytest.mark.parametrize(
    ("parameters", "winner"),
    [
        ((300, 200, 100), "0001"),  # of those with the best score, the one with fewer parameters
        ((300, 300, 300), "0000"),  # the earlier one
        ((200, 300, 100), "0000"),
    ],
)
def test_ties_go_to_fewer_parameters_then_to_the_earlier_trial(
    parameters: tuple[int, ...], winner: str, tmp_path: Path
) -> None:
    search, _ = scripted(tmp_path, *({"a": number} for number in range(3)))
    workers = Workers(score=lambda values: (0.8, 0.8, 0.7)[int(values["a"])])
    for size in parameters:
        search.finish(replace(workers.train(next_trial(search)), parameters=size))
    assert search.winner().trial_id == winner


def test_winner_has_the_best_last_epoch_not_the_best_epoch(tmp_path: Path) -> None:
    search, _ = scripted(tmp_path, {"a": 1}, {"a": 2})
    for accuracies in ((0.9,) * (EPOCHS - 1) + (0.6,), (0.1,) * (EPOCHS - 1) + (0.7,)):
        record = Workers(score=lambda _: 0.5).train(next_trial(search))
        search.finish(replace(record, curve=replace(record.curve, validation_accuracy=accuracies)))
    assert search.winner().values == {"a": 2}


def test_search_in_which_all_trials_fail_names_the_reasons(tmp_path: Path) -> None:
    search, _ = scripted(tmp_path, {"a": 1}, {"a": 2})
    Workers(score=lambda _: None).run(search)
    with pytest.raises(SearchError, match=rf"none of 2 trials of 'dense' completed .* Reasons: {FAILURE}$"):
        search.winner()


def test_of_many_reasons_of_failures_the_most_frequent_are_named_and_where_the_others_are(tmp_path: Path) -> None:
    search, _ = scripted(tmp_path, *({"a": number} for number in range(6)))
    while (trial := search.next_trial()) is not None:
        reason = max(2, int(trial.spec.values["a"]))  # 2, 2, 2, 3, 4, 5
        search.finish(trial.record(error=f"ValueError: {reason}", ended_seconds=1.0))
    reasons = "Reasons: ValueError: 2; ValueError: 3; ValueError: 4; and 1 more in "
    with pytest.raises(SearchError, match=rf"{reasons}.*/trials\.jsonl$"):
        search.winner()
