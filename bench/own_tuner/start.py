"""Start a search, or resume it from its ledger."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.compat import own_tuner as compat
from bench.errors import SearchError
from bench.execution.events import Message, Report
from bench.own_tuner.identity import FIX, check_model, check_same, declared_space, settings
from bench.own_tuner.ledger import SCHEMA, Event, SearchStarted, SessionStarted, TrialEnded, TrialProposed
from bench.own_tuner.options import Options
from bench.own_tuner.project import Project
from bench.records.store import now
from bench.seeds import derive_seed
from bench.training.own_tuner.exchange import TrialRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """A search, and what its ledger already has."""

    search: SearchStarted
    results: Mapping[tuple[str, int], TrialRun]  # by trial id and run
    proposals: Mapping[tuple[str, int], TrialProposed]  # by trial id and run
    last: SessionStarted | None  # None before the first session

    @property
    def ids(self) -> Sequence[str]:
        """Of the trials up to the last one that has a result, in order of proposal."""
        proposed = list(dict.fromkeys(trial_id for trial_id, _ in self.proposals))
        ended = {trial_id for trial_id, _ in self.results}
        return proposed[: max((number for number, each in enumerate(proposed, 1) if each in ended), default=0)]


def start_or_resume(
    project: Project, tuner: Any, arguments: Mapping[str, Any], options: Options, *, report: Report
) -> Resumed:
    """Put the oracle of `tuner` into the state in which the search started; its ledger is replayed afterwards.

    A search without a successful trial, as after a mistake in the model or the call, starts from the beginning,
    whatever has changed.

    Args:
        project: folder of the tuner.
        tuner: the user's.
        arguments: of `fit`, labeled.
        options: of the execution.
        report: called with a message if failed trials are retrained.

    Raises:
        SearchError: the ledger is that of another search, or the tuner cannot start again.
        RecordError: the ledger is damaged.
    """
    events = project.ledger.events() if options.resume else []
    ended = {each.trial_id: each.result.status for each in events if isinstance(each, TrialEnded)}
    succeeded = "COMPLETED" in ended.values()
    if not options.resume or (events and not succeeded and not _has_other_trials(tuner.oracle, events)):
        if ended:
            report(Message(text=f"No earlier trial succeeded ({len(ended)} failed): starting from the beginning"))
        if tuner.oracle.trials:
            _restart(tuner, project)
        project.clear()
    elif succeeded and isinstance(search := events[0], SearchStarted):
        # The space of a tuner that Keras Tuner has reloaded is the one that it had at the end.
        space = search.space if tuner.oracle.trials else compat.space_config(tuner.oracle.get_space())
        check_same(search.settings, settings(tuner, arguments, options, space), str(project.ledger.path))
        if options.seed not in (None, search.seed):
            raise SearchError(
                f"{project.ledger.path} has an earlier search with seed {search.seed}, not {options.seed}. {FIX}"
            )
        if _restored(tuner, search, ended):
            return _resumed(search, events)
    return _resumed(_new(project, tuner, arguments, options), [])


def _has_other_trials(oracle: Any, events: Sequence[Event]) -> bool:
    """Whether trials of Keras Tuner's own search, before or after the one in the ledger, would be lost."""
    has_base = isinstance(search := events[0], SearchStarted) and bool(search.base)
    return has_base or any(trial.status == "COMPLETED" for trial in oracle.trials.values())


def _restored(tuner: Any, search: SearchStarted, ended: Container[str]) -> bool:
    """Put the oracle into its state at the start of a search; False if it has trials that the ledger cannot explain."""
    oracle = tuner.oracle
    later = oracle.trials.keys() - search.base
    if any(oracle.trials[each].status == "COMPLETED" and each not in ended for each in later):
        return False  # Keras Tuner's own search has continued
    if later.isdisjoint(oracle.start_order):  # a killed call wrote their files, but not that of the oracle
        for trial_id in later:
            del oracle.trials[trial_id]
    if sorted(oracle.trials) == sorted(search.base):
        # Without a seed of the user's, every new oracle has another one.
        if not oracle.trials and oracle.seed != search.oracle_seed:
            compat.reset(oracle, search.space, search.oracle_seed)
        return True
    return not search.base and compat.reset(oracle, search.space, search.oracle_seed)


def _new(project: Project, tuner: Any, arguments: Mapping[str, Any], options: Options) -> SearchStarted:
    oracle, seed = tuner.oracle, options.seed
    space = compat.space_config(oracle.get_space())
    if seed is not None and not oracle.trials and not compat.reset(oracle, space, derive_seed(seed, "oracle")):
        raise SearchError(
            f"bench.search cannot set the seed of {type(oracle).__name__}: pass seed to the oracle instead"
        )
    search = SearchStarted(
        time=now(),
        schema=SCHEMA,
        settings=settings(tuner, arguments, options, space),
        space=space,
        seed=oracle.seed if seed is None else seed,
        oracle_seed=oracle.seed,
        base=tuple(sorted(oracle.trials)),
    )
    project.ledger.append(search)
    return search


def _resumed(search: SearchStarted, events: Sequence[Event]) -> Resumed:
    sessions = [each for each in events if isinstance(each, SessionStarted)]
    return Resumed(
        search=search,
        results={(each.trial_id, each.run): each.result for each in events if isinstance(each, TrialEnded)},
        proposals={(each.trial_id, each.run): each for each in events if isinstance(each, TrialProposed)},
        last=sessions[-1] if sessions else None,
    )


def _restart(tuner: Any, project: Project) -> None:
    """Put an oracle that has trials, possibly reloaded by Keras Tuner, into its state at the start of its search.

    Its space has grown since then, and may have been reloaded after the hypermodel was changed. Which hyperparameters
    the user gave to the tuner is not known, so that only Keras Tuner can make the space of a changed hypermodel.
    """
    events, fix = project.ledger.events(), "create the tuner with overwrite=True"
    if not events or not isinstance(search := events[0], SearchStarted):
        raise SearchError(f"{project.path} has trials of tuner.search: {fix}")
    last = _resumed(search, events).last
    if last is not None:
        check_model(last.declared, declared_space(tuner.hypermodel), str(project.ledger.path))
    if not compat.reset(tuner.oracle, search.space, tuner.oracle.seed):
        raise SearchError(f"{type(tuner.oracle).__name__} cannot start again: {fix}")
