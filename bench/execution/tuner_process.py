"""The process in which tuners run, so that the main process does not import TensorFlow.

A tuner needs Keras Tuner and the space of a family, which need TensorFlow. Forked from the fork server, the process
shares the import with the workers.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Any

from bench.errors import BenchError, SearchError
from bench.execution.events import Message, Report
from bench.execution.models import family_space
from bench.records.dataset import DatasetFacts
from bench.records.record import OwnRecipe
from bench.records.space import Parameter
from bench.records.spec import RunSpec, SearchSpec, Value, without_search_number
from bench.tuning import tuners
from bench.tuning.proposer import Proposer
from bench.tuning.space import parameters
from bench.tuning.trials import NoProposal, Plan, Proposal
from bench.workers.error_text import error_text
from bench.workers.fork_server import StartMethod, other_threads_when_forked
from bench.workers.process import start_process
from search_spaces import FamilyLocation

if TYPE_CHECKING:
    from bench.training.family import Space

_Searches = tuple[RunSpec, FamilyLocation]  # of a family over the same space, which differ in seed and split only


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedTuner:
    """What the main process needs to know of a tuner."""

    space: tuple[Parameter, ...]
    own_recipe: OwnRecipe | None  # of the family; None for a Family
    tuner: str  # name; not that of the spec if grid search replaces it
    plan: Plan
    max_pending: int | None  # by default


class TunerProcess:
    """Starts with the first search; all searches of a session share it."""

    def __init__(self, start_method: StartMethod, hint: str) -> None:
        """Start it later by `start_method`; `hint` says how to continue if it has died."""
        self._start_method = start_method
        self._hint = hint
        self._process: BaseProcess | None = None
        self._searches = 0
        self._known: set[_Searches] = set()  # whose space the process has found

    def start(self, spec: SearchSpec, dataset: DatasetFacts, family: FamilyLocation, report: Report) -> "RemoteTuner":
        """Start the tuner of a search over the space of `family` for the images of `dataset`.

        Calls `report` with a message if candidates are built to find the space.

        Raises:
            SearchError: the family cannot be loaded, or its space does not fit the images, the tuner or the budget.
        """
        number = self._searches
        self._searches += 1
        searches = without_search_number(spec), family
        if spec.definition is not None and searches not in self._known:  # takes minutes for large models
            report(Message(text=f"Building candidates of {spec.family} to find its hyperparameters"))
        tuner = RemoteTuner(self, number, self.call(number, "start", spec, dataset, family))
        self._known.add(searches)
        return tuner

    def call(self, search: int, method: str, *arguments: Any) -> Any:
        """Call a method of the tuner of a search in the process.

        Raises:
            BenchError: the method raised it.
            SearchError: it raised another exception, or the process has died.
        """
        try:
            if self._process is None:
                self._process, self._connection = start_process(self._start_method, _serve)
            self._connection.send((search, method, arguments))
            answer = self._connection.recv()
        except (EOFError, OSError) as error:
            died = "the process that runs the tuner died, possibly because memory ran out"
            raise SearchError(f"{died}. {self._hint}") from error
        if isinstance(answer, BenchError):
            raise answer
        return answer

    def close(self) -> None:
        """Kill the process; its state is in the ledgers of the searches."""
        if self._process is not None:
            self._process.kill()
            self._connection.close()


class RemoteTuner:
    """The tuner of one search, a ProposalSource."""

    def __init__(self, process: TunerProcess, number: int, started: StartedTuner) -> None:
        """Call the tuner `number` of `process`."""
        self.started = started
        self.max_pending = started.max_pending
        self._process = process
        self._number = number

    def propose(self) -> Proposal | NoProposal:
        """The next trial, or why there is none."""
        proposal: Proposal | NoProposal = self._process.call(self._number, "propose")
        return proposal

    def overrule(self, trial_id: str, values: Mapping[str, Value]) -> None:
        """Replace the proposed hyperparameters of a trial by those it is trained with."""
        self._process.call(self._number, "overrule", trial_id, dict(values))

    def report(self, trial_id: str, score: float | None, error: str | None = None) -> None:
        """Report a trial's score, validation accuracy in [0, 1]; None if it failed with `error`."""
        self._process.call(self._number, "report", trial_id, score, error)

    def promotable(self) -> set[str]:
        """Ids of trials that may still be promoted."""
        ids: set[str] = self._process.call(self._number, "promotable")
        return ids


def _serve(connection: Connection) -> None:
    """Answer the calls of a TunerProcess until the other end is closed, also by the death of the main process."""
    proposers: dict[int, Proposer] = {}
    spaces: dict[_Searches, Space] = {}  # since finding one may need many builds
    answer: Any
    with suppress(EOFError, ConnectionError):
        connection.send(other_threads_when_forked())
        while True:
            search, method, arguments = connection.recv()
            try:
                if method == "start":
                    proposers[search], answer = _start(spaces, *arguments)
                else:
                    answer = getattr(proposers[search], method)(*arguments)
            except BenchError as error:
                answer = error
            except (Exception, SystemExit) as error:  # noqa: BLE001 - a tuner or a family may raise anything
                answer = SearchError(f"the tuner failed: {error_text(error)}")
            connection.send(answer)


def _start(
    spaces: "dict[_Searches, Space]", spec: SearchSpec, dataset: DatasetFacts, family: FamilyLocation
) -> tuple[Proposer, StartedTuner]:
    searches = without_search_number(spec), family
    if searches not in spaces:
        spaces[searches] = family_space(spec, dataset, family)
    found = spaces[searches]
    space = found.hyperparameters
    name = tuners.choose_name(spec, space)
    tuner = tuners.load(name)
    started = StartedTuner(
        tuner=name,
        space=parameters(space),
        own_recipe=found.own_recipe,
        plan=tuner.plan(spec, space),
        max_pending=tuner.max_pending,
    )
    return tuner.proposer(spec, space), started
