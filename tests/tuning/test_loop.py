"""The search loop with real oracles and instant results: order, resuming, repeats, failures, the winner."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np
import pytest
from keras_tuner import HyperParameters

import spaces
from bench.errors import SearchError
from bench.records.record import Curve, TrialRecord
from bench.records.spec import TUNERS, Budget, RunSpec, Value, candidate_values, trial_seed
from bench.records.store import LedgerEvent, RunFolder, now
from bench.seeds import derive_seed
from bench.tuning.oracles import Oracle, make
from bench.tuning.search import Search, Work
from builders import make_curve, make_spec

pytestmark = pytest.mark.slow

TRIALS = {"grid": 12, "random": 12, "hyperband": 8, "bayesian": 7}
EPOCHS = 3
FAILURE = "ValueError: as this test wants it"

Score = Callable[[Mapping[str, Value]], float | None]

every_tuner = pytest.mark.parametrize("tuner", TUNERS)


def spec(tuner: str, **changes: Any) -> RunSpec:
    return make_spec(tuner=tuner, budget=Budget(trials=TRIALS[tuner], epochs=EPOCHS), **changes)


def score(values: Mapping[str, Value]) -> float | None:
    """Validation accuracy after the last epoch, a function of the candidate; None where it fails, one in four."""
    number = derive_seed(0, json.dumps(candidate_values(values), sort_keys=True))
    return None if number % 4 == 0 else number % 1000 / 1000


@dataclass
class Workers:
    """Trains in no time: up to `count` candidates are under way, and any of them may be the next that ends."""

    count: int = 1
    seed: int = 0
    score: Score = score
    trained: list[Work] = field(default_factory=list)
    most_under_way: int = 0

    def work(self, search: Search, until: int = 10_000) -> list[TrialRecord]:
        """Carry on the search until it is done, or until `until` trials were trained; closes it."""
        random = np.random.default_rng(self.seed)
        under_way: list[Work] = []
        while len(self.trained) < until:
            while len(under_way) < self.count and (work := search.next_work()) is not None:
                under_way.append(work)
            self.most_under_way = max(self.most_under_way, len(under_way))
            if not under_way:
                assert search.done
                break
            work = under_way.pop(random.integers(len(under_way)))
            self.trained.append(work)
            search.finish(self.result(search, work))
        search.close()
        return [without_times(trial) for trial in search.results]

    def result(self, search: Search, work: Work) -> TrialRecord:
        found = self.score(work.spec.values)
        whole = make_curve(work.spec.epochs, found or 0.0)
        return search.record(
            work,
            error=FAILURE if found is None else None,
            curve=Curve() if found is None else after(whole, work.spec.initial_epoch),
            parameters=None if found is None else 1000,
            seconds=(0.5, 0.7, float(len(self.trained))),
        )


def after(curve: Curve, epoch: int) -> Curve:
    return Curve(**{name: getattr(curve, name)[epoch:] for name in Curve.__slots__})


def without_times(trial: TrialRecord) -> TrialRecord:
    return replace(trial, fit_seconds=0.0, task_seconds=0.0, ended_seconds=0.0)


def start(asked: RunSpec, folder: RunFolder, hyperparameters: HyperParameters | None = None) -> Search:
    """A search as a session starts it, which goes on from the ledger in `folder`."""
    space = hyperparameters or (spaces.flat() if asked.tuner == "grid" else spaces.layered())
    return Search(asked, make(asked, space), folder, folder.events())


def copy_ledger(folder: RunFolder, path: Path, events: int) -> RunFolder:
    """A folder with the first `events` events of another one's ledger."""
    copy = RunFolder(path)
    path.mkdir()
    copy.ledger.write_bytes(b"".join(folder.ledger.read_bytes().splitlines(keepends=True)[:events]))
    return copy


# Order does not matter


@every_tuner
def test_search_is_the_same_for_any_number_of_workers_in_any_order(tuner: str, tmp_path: Path) -> None:
    asked = spec(tuner)
    alone = Workers(count=1).work(start(asked, RunFolder(tmp_path / "alone")))
    assert {trial.status for trial in alone} == {"ok", "failed"}
    for seed, count in enumerate((2, 3, 4, 16)):
        workers = Workers(count=count, seed=seed)
        assert workers.work(start(asked, RunFolder(tmp_path / str(seed)))) == alone
        assert workers.most_under_way == min(count, asked.lookahead)


@every_tuner
def test_each_trial_is_asked_of_workers_as_it_is_recorded(tuner: str, tmp_path: Path) -> None:
    asked = spec(tuner)
    workers = Workers()
    results = workers.work(start(asked, RunFolder(tmp_path)))
    assert [trial.number for trial in results] == list(range(len(results)))
    trained = sorted(workers.trained, key=lambda work: work.number)  # the longest were trained first
    assert [work.number for work in trained] == [trial.number for trial in results]
    for work, trial in zip(trained, results, strict=True):
        assert work.spec.values == candidate_values(trial.values)
        assert work.spec.seed == trial.seed == trial_seed(asked.seed, work.spec.values)
        assert (work.spec.initial_epoch, work.spec.epochs) == (trial.initial_epoch, trial.epochs)
        assert (work.spec.part, work.spec.horizon) == ("train", EPOCHS)
        assert work.spec.keep_state == (trial.epochs < EPOCHS)
        assert work.parent == trial.parent


def test_promoted_trial_has_the_curve_of_its_parents_too(tmp_path: Path) -> None:
    asked = make_spec(tuner="hyperband", budget=Budget(trials=9, epochs=9))
    results = Workers(score=lambda values: float(values["units_1"]) / 200).work(start(asked, RunFolder(tmp_path)))
    by_id = {trial.trial_id: trial for trial in results}
    promoted = [trial for trial in results if trial.parent is not None]
    assert len(promoted) == 6
    for trial in promoted:
        earlier = by_id[trial.parent or ""].curve.training_loss
        assert trial.curve.training_loss[: len(earlier)] == earlier
        assert len(trial.curve.training_loss) == trial.epochs


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_states_are_kept_while_they_may_be_of_use_and_never_more_than_the_largest_rung(
    workers: int, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path)
    folder.state_file("any").parent.mkdir()
    # Brackets of 9, 3, 1 and of 5, 2 and of 3 candidates.
    search = start(make_spec(tuner="hyperband", budget=Budget(trials=9, epochs=9)), folder)
    train = Workers(score=lambda values: float(values["units_1"]) / 200)
    under_way, promoted = list[Work](), 0
    while not search.done:
        while len(under_way) < workers and (work := search.next_work()) is not None:
            under_way.append(work)
            if work.parent is not None:
                assert folder.state_file(work.parent).exists()
                promoted += 1
        work = under_way.pop(0)
        record = train.result(search, work)
        if work.spec.keep_state and record.status == "ok":
            folder.state_file(record.trial_id).write_bytes(b"weights")
        search.finish(record)
        assert len(list(tmp_path.glob("states/*"))) <= 9
        if work.parent is not None:
            assert not folder.state_file(work.parent).exists()
    search.close()
    assert promoted == 6
    assert list(tmp_path.glob("states/*")) == []


# A search that is stopped since time is up


def test_stopped_search_starts_nothing_more_and_is_done_with_what_was_under_way(tmp_path: Path) -> None:
    search = start(spec("random"), RunFolder(tmp_path))
    first, second = search.next_work(), search.next_work()
    assert first is not None
    assert second is not None
    search.stop()
    assert search.next_work() is None
    done = []
    for work in (first, second):
        search.finish(Workers().result(search, work))
        done.append(search.done)
    assert done == [False, True]
    search.close()


def test_trial_that_cannot_end_in_time_is_not_started(tmp_path: Path) -> None:
    search = start(spec("random"), RunFolder(tmp_path))
    assert search.next_work(EPOCHS) is not None
    assert search.next_work(EPOCHS - 0.1) is None
    assert search.next_work() is None
    search.close()


def test_trial_that_was_cut_short_has_the_epochs_that_were_whole_and_cannot_win(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    search = start(spec("random"), folder)
    whole, cut = search.next_work(), search.next_work()
    assert whole is not None
    assert cut is not None
    search.finish(replace(Workers().result(search, whole), status="ok", error=None, curve=make_curve(EPOCHS, 0.5)))
    search.stop()
    part = make_curve(EPOCHS - 1, 0.9)
    search.finish(search.record(cut, error=None, cut=True, curve=part, parameters=1000, seconds=(1.0, 1.0, 1.0)))
    assert search.done
    record = search.results[1]
    assert (record.status, record.epochs, record.error) == ("cut", EPOCHS - 1, None)
    assert search.winner().number == 0
    search.close()
    again = start(spec("random"), folder)
    assert again.results[:2] == search.results
    again.close()


def test_longest_trial_that_waits_is_the_next(tmp_path: Path) -> None:
    search = start(make_spec(tuner="hyperband", lookahead=40, budget=Budget(trials=9, epochs=9)), RunFolder(tmp_path))
    epochs = []
    while (work := search.next_work()) is not None:
        epochs.append(work.spec.epochs)
    assert len(set(epochs)) > 1
    assert epochs == sorted(epochs, reverse=True)
    search.close()


# Waiting oracles


class Scripted(keras_tuner.Oracle):  # type: ignore[misc]
    """Proposes what a test lists; None stands for "wait until nothing is under way"."""

    def __init__(self, script: Sequence[Mapping[str, Value] | None], **common: Any) -> None:
        super().__init__(
            objective=keras_tuner.Objective("val_accuracy", "max"),
            hyperparameters=HyperParameters(),
            seed=1,
            max_consecutive_failed_trials=1000,
            **common,
        )
        self.script = list(script)
        self.waited = 0

    def save(self) -> None:
        pass

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


def scripted(tmp_path: Path, *script: Mapping[str, Value] | None, **changes: Any) -> tuple[Search, Scripted]:
    stock = Scripted(script)
    asked = make_spec(budget=Budget(trials=len(script), epochs=EPOCHS), **changes)
    folder = RunFolder(tmp_path)
    return Search(asked, Oracle(stock, EPOCHS), folder, folder.events()), stock


def test_oracle_that_waits_is_asked_again_only_after_it_was_told(tmp_path: Path) -> None:
    # Hyperband draws random numbers before it answers that it waits: one question more would change what it proposes.
    search, stock = scripted(tmp_path, {"a": 1}, {"a": 2}, None, {"a": 3})
    works = [search.next_work(), search.next_work()]
    for _ in range(5):
        assert search.next_work() is None
    assert stock.waited == 1
    for work in works:
        assert work is not None
        search.finish(Workers().result(search, work))
    assert stock.waited == 2  # once more after the first was told
    assert search.next_work() is not None
    search.close()


@pytest.mark.parametrize("seed", [2, 3])  # which, by trial, end differently where a waiting oracle is asked too often
def test_hyperband_that_runs_out_of_new_candidates_is_repeatable(seed: int, tmp_path: Path) -> None:
    # In this space nine draws of ten repeat one of nine candidates, after which Hyperband says that it waits.
    asked = make_spec(tuner="hyperband", budget=Budget(trials=33, epochs=9), seed=seed)
    found = [
        Workers(count=count, seed=count).work(start(asked, RunFolder(tmp_path / str(count)), spaces.uneven()))
        for count in (1, 2, 4)
    ]
    assert found[0] == found[1] == found[2]


# Resuming


@every_tuner
def test_search_goes_on_from_every_prefix_of_its_ledger(tuner: str, tmp_path: Path) -> None:
    asked = spec(tuner)
    whole = RunFolder(tmp_path / "whole")
    expected = Workers(count=3).work(start(asked, whole))
    events = whole.events()
    # Each proposal of bayesian costs a while: some of its prefixes stand for all.
    for kept in range(0, len(events) + 1, 3 if tuner == "bayesian" else 1):
        folder = copy_ledger(whole, tmp_path / str(kept), kept)
        told = {event.trial.number for event in events[:kept] if event.trial is not None}
        workers = Workers(count=2, seed=kept)
        search = start(asked, folder)
        assert workers.work(search) == expected
        assert search.differing_proposals == 0
        assert {work.number for work in workers.trained} == set(range(len(expected))) - told
        assert search.winner().trial_id == best(expected)
        assert ledger_facts(folder) == ledger_facts(whole)


def ledger_facts(folder: RunFolder) -> set[str]:
    """What a ledger says, each line once, whatever its order and times; a line said twice is an error."""
    events = [replace(event, time="", trial=event.trial and without_times(event.trial)) for event in folder.events()]
    facts = [repr(event) for event in events]
    assert len(set(facts)) == len(facts)
    return set(facts)


def best(trials: Sequence[TrialRecord]) -> str:
    full = [trial for trial in trials if trial.status == "ok" and trial.epochs == EPOCHS]
    return max(full, key=lambda trial: (trial.score, -trial.number)).trial_id


@every_tuner
def test_finished_search_is_played_back_without_work(tuner: str, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    expected = Workers().work(start(spec(tuner), folder))
    search = start(spec(tuner), folder)
    # Before anybody asks for work: what comes after the search need not wait for it.
    assert search.done
    assert search.next_work() is None
    assert [without_times(trial) for trial in search.results] == expected
    search.close()


def test_ledger_overrules_an_oracle_that_now_proposes_something_else(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    script: list[Mapping[str, Value]] = [{"a": number} for number in range(3)]
    Workers().work(scripted(tmp_path, *script)[0], until=1)
    # The second of three asked proposals was another one when the ledger was written.
    lines = folder.ledger.read_text().replace('"values":{"a":1}', '"values":{"a":7}')
    folder.ledger.write_text(lines)
    search, stock = scripted(tmp_path, *script)
    workers = Workers()
    results = workers.work(search)
    assert search.differing_proposals == 1
    assert [trial.values for trial in results] == [{"a": 0}, {"a": 7}, {"a": 2}]
    assert [work.spec.values for work in workers.trained] == [{"a": 7}, {"a": 2}]
    assert stock.trials["0001"].hyperparameters.values == {"a": 7}


def test_overruled_promotion_takes_its_epochs_and_its_parent_from_the_ledger(tmp_path: Path) -> None:
    script: list[Mapping[str, Value]] = [
        {"a": 1, "tuner/epochs": 1, "tuner/initial_epoch": 0},
        {"a": 2, "tuner/epochs": 1, "tuner/initial_epoch": 0},
        {"a": 2, "tuner/epochs": 3, "tuner/initial_epoch": 1, "tuner/trial_id": "0001"},
    ]
    Workers(score=lambda _: 0.5).work(scripted(tmp_path, *script, lookahead=1)[0], until=2)
    folder = RunFolder(tmp_path)
    assert [event.trial_id for event in folder.events() if event.event == "asked"] == ["0000", "0001", "0002"]
    other = {"a": 3, "tuner/epochs": 1, "tuner/initial_epoch": 0}
    search, _ = scripted(tmp_path, script[0], script[1], other, lookahead=1)
    work = search.next_work()
    search.close()
    assert work is not None
    assert (work.spec.initial_epoch, work.spec.epochs, work.parent) == (1, 3, "0001")


def test_ledger_of_another_trial_numbering_is_refused(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.append(LedgerEvent(event="asked", time=now(), trial_id="00", values={"a": 1}))
    with pytest.raises(SearchError, match=r"trials\.jsonl: trial '00' where the oracle now asks '0000'.* --again"):
        scripted(tmp_path, {"a": 1})


# Repeated proposals


def test_repeated_proposal_is_answered_without_work(tmp_path: Path) -> None:
    search, stock = scripted(tmp_path, {"a": 1}, {"a": 2}, {"a": 1}, {"a": 2}, {"a": 3})
    workers = Workers(count=4, seed=1, score=lambda values: 0.1 * float(values["a"]))
    results = workers.work(search)
    assert sorted(work.number for work in workers.trained) == [0, 1, 4]
    assert [trial.repeats for trial in results] == [None, None, "0000", "0001", None]
    assert [trial.trial_id for trial in results] == ["0000", "0001", "0002", "0003", "0004"]
    assert [trial.score for trial in results] == pytest.approx([0.1, 0.2, 0.1, 0.2, 0.3])
    assert [stock.trials[trial.trial_id].score for trial in results] == pytest.approx([0.1, 0.2, 0.1, 0.2, 0.3])


def test_same_values_for_more_epochs_are_no_repetition(tmp_path: Path) -> None:
    search, _ = scripted(tmp_path, {"a": 1, "tuner/epochs": 1}, {"a": 1, "tuner/epochs": 3})
    workers = Workers(score=lambda _: 0.5)
    workers.work(search)
    assert sorted(work.spec.epochs for work in workers.trained) == [1, 3]


def test_repeated_proposal_of_a_failed_trial_fails_too(tmp_path: Path) -> None:
    search, stock = scripted(tmp_path, {"a": 1}, {"a": 1})
    results = Workers(score=lambda _: None).work(search)
    assert [(trial.status, trial.error) for trial in results] == [("failed", FAILURE)] * 2
    assert [trial.status for trial in stock.trials.values()] == ["FAILED"] * 2


# Failures and the winner


def test_failed_trial_is_told_with_its_reason(tmp_path: Path) -> None:
    search, stock = scripted(tmp_path, {"a": 1}, {"a": 2})
    Workers(score=lambda values: None if values["a"] == 1 else 0.5).work(search)
    failed, fine = stock.trials.values()
    assert (failed.status, failed.message, failed.score) == ("FAILED", FAILURE, None)
    assert (fine.status, fine.score) == ("COMPLETED", 0.5)
    (told,) = [event.trial for event in RunFolder(tmp_path).events() if event.trial and event.trial.error]
    assert (told.status, told.error) == ("failed", FAILURE)


def test_best_trial_wins_and_failed_and_short_ones_do_not(tmp_path: Path) -> None:
    search, _ = scripted(tmp_path, {"a": 1}, {"a": 2}, {"a": 3, "tuner/epochs": 1}, {"a": 4})
    scores = {1: 0.6, 2: 0.7, 3: 0.9, 4: None}
    Workers(score=lambda values: scores[int(values["a"])]).work(search)
    assert search.winner().values == {"a": 2}


@pytest.mark.parametrize(
    ("parameters", "winner"),
    [
        ((300, 200, 100), "0001"),  # of those with the best score the one with fewer parameters
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
        work = search.next_work()
        assert work is not None
        search.finish(replace(workers.result(search, work), parameters=size))
    search.close()
    assert search.winner().trial_id == winner


def test_winner_is_the_last_epoch_s_best_not_the_best_epoch_s(tmp_path: Path) -> None:
    search, _ = scripted(tmp_path, {"a": 1}, {"a": 2})
    for accuracies in ((0.9,) * (EPOCHS - 1) + (0.6,), (0.1,) * (EPOCHS - 1) + (0.7,)):
        work = search.next_work()
        assert work is not None
        result = Workers(score=lambda _: 0.5).result(search, work)
        search.finish(replace(result, curve=replace(result.curve, validation_accuracy=accuracies)))
    search.close()
    assert search.winner().values == {"a": 2}


def test_search_in_which_all_fail_names_their_reasons(tmp_path: Path) -> None:
    search, _ = scripted(tmp_path, {"a": 1}, {"a": 2})
    Workers(score=lambda _: None).work(search)
    with pytest.raises(SearchError, match=rf"none of the 2 trials of 'dense' ended .* Reasons: {FAILURE}$"):
        search.winner()
