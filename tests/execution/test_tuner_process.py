"""The tuner process: the same proposals as in this process, errors with their reasons, and no process left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bench.data.catalog import DatasetLocation
from bench.data.development import facts, load_development
from bench.errors import SearchError
from bench.execution.events import Event, Message
from bench.execution.models import family_space
from bench.execution.tuner_process import RemoteTuner, TunerProcess
from bench.records.dataset import DatasetFacts
from bench.records.spec import Budget, SearchSpec, Value
from bench.tuning import tuners
from bench.tuning.proposer import ProposalSource
from bench.tuning.space import parameters
from bench.tuning.trials import NoProposal, Proposal
from bench.workers.fork_server import fork_server
from builders import make_spec
from search_spaces import FamilyLocation

pytestmark = pytest.mark.slow

HINT = "Continue with the command"


@pytest.fixture(scope="module")
def digits() -> DatasetFacts:
    location = DatasetLocation("digits")
    return facts(location, load_development(location))


@pytest.fixture(scope="module")
def process() -> Iterator[TunerProcess]:
    with fork_server() as method, closing(TunerProcess(method, HINT)) as started:
        yield started


def spec(tuner: str, **changes: object) -> SearchSpec:
    budget = Budget(trials=6, epochs=3)
    return make_spec(**{"dataset": "digits", "tuner": tuner, "budget": budget, "seed": 3, **changes})


def process_id(process: TunerProcess) -> int:
    assert process._process is not None
    assert process._process.pid is not None
    return process._process.pid


def start(process: TunerProcess, search: SearchSpec, dataset: DatasetFacts) -> RemoteTuner:
    return process.start(search, dataset, FamilyLocation(name=search.family), lambda _: None)


def play(source: ProposalSource) -> list[object]:
    """All answers of a search in which every trial is reported at once, one as failed, and one is overruled."""
    answers: list[object] = []
    while (proposal := source.propose()) is not NoProposal.END:
        assert isinstance(proposal, Proposal)
        score = None if len(answers) == 2 else len(str(sorted(proposal.values.items()))) / 1000
        if len(answers) == 3:
            values: dict[str, Value] = {**proposal.values, "learning_rate": 0.001}
            source.overrule(proposal.trial_id, values)
        source.report(proposal.trial_id, score, None if score is not None else "it failed")
        answers += [proposal, source.promotable()]
    return answers


@pytest.mark.parametrize("tuner", ["random", "hyperband", "bayesian"])
def test_proposals_are_those_of_a_tuner_in_this_process(
    tuner: str, process: TunerProcess, digits: DatasetFacts
) -> None:
    search = spec(tuner)
    space = family_space(search, digits, FamilyLocation(name=search.family)).hyperparameters
    local = tuners.choose(search, space)
    remote = start(process, search, digits)
    assert remote.started.space == parameters(space)
    assert remote.started.plan == local.plan(search, space)
    assert remote.max_pending == local.max_pending
    assert play(remote) == play(local.proposer(search, space))


def test_searches_do_not_share_a_tuner(process: TunerProcess, digits: DatasetFacts) -> None:
    first, second = start(process, spec("random"), digits), start(process, spec("random"), digits)
    proposals = [first.propose(), first.propose()]
    assert [second.propose(), second.propose()] == proposals


def test_budget_that_does_not_fit_is_an_error_with_the_reason(process: TunerProcess, digits: DatasetFacts) -> None:
    with pytest.raises(SearchError, match="one Hyperband iteration with --epochs 3 trains"):
        start(process, spec("hyperband", budget=Budget(trials=1, epochs=3)), digits)


def test_family_that_cannot_be_built_is_an_error_with_the_reason(process: TunerProcess, digits: DatasetFacts) -> None:
    with pytest.raises(SearchError, match="family 'no_such_family' cannot be built for digits: ValueError: there"):
        start(process, spec("random", family="no_such_family"), digits)


def test_family_that_exits_is_an_error_with_its_place(
    process: TunerProcess, digits: DatasetFacts, tmp_path: Path
) -> None:
    file = tmp_path / "leaves.py"
    file.write_text("import sys\n\n\ndef build_model(hp):\n    sys.exit(3)\n")
    family = FamilyLocation(name="leaves", definition="leaves.py:build_model", file=str(file))
    search = spec("random", family="leaves", definition=family.definition)
    with pytest.raises(SearchError, match=r"SystemExit: 3 \(in build_model, leaves\.py:5\)"):
        process.start(search, digits, family, lambda _: None)


COUNTED = """
import keras

def build_model(hp):
    with open({builds!r}, "a") as file:
        file.write("built ")
    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dropout(hp.Float("rate", 0.1, 0.5))])
    model.add(keras.layers.Dense(10, "softmax"))
    model.compile("adam", "sparse_categorical_crossentropy")
    return model
"""


def test_several_searches_build_candidates_only_once_to_find_their_space(
    process: TunerProcess, digits: DatasetFacts, tmp_path: Path
) -> None:
    file, builds = tmp_path / "counted.py", tmp_path / "builds.txt"
    file.write_text(COUNTED.format(builds=str(builds)))
    family = FamilyLocation(name="counted", definition="counted.py:build_model", file=str(file))
    messages: list[Event] = []
    started, texts = list[RemoteTuner](), list[str]()
    for number in (0, 1):
        search = spec("random", family="counted", definition=family.definition, seed=number, split=number)
        started.append(process.start(search, digits, family, messages.append))
        texts.append(builds.read_text())
    first, second = started
    assert texts[0] == texts[1]
    assert messages == [Message(text="Building candidates of counted to find its hyperparameters")]
    assert first.started.space == second.started.space
    assert first.propose() != second.propose()


def test_other_exception_is_an_error_with_its_place(process: TunerProcess, digits: DatasetFacts) -> None:
    tuner = start(process, spec("random"), digits)
    with pytest.raises(SearchError, match=r"the tuner failed: KeyError: .* \(in .*\.py:\d+\)"):
        tuner.report("no such trial", 0.5)
    assert isinstance(tuner.propose(), Proposal)


def test_death_is_an_error_that_says_how_to_resume(digits: DatasetFacts) -> None:
    with closing(TunerProcess("spawn", HINT)) as process:
        tuner = start(process, spec("random"), digits)
        os.kill(process_id(process), signal.SIGKILL)
        with pytest.raises(SearchError, match=f"tuner died.*{HINT}"):
            tuner.propose()


KILLED = """
import os, signal
from bench.execution.tuner_process import _serve
from bench.workers.process import start_process
if __name__ == "__main__":
    process, connection = start_process("spawn", _serve)
    print(process.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_process_ends_with_the_one_that_started_it(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(KILLED)
    done = subprocess.run([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, check=False)
    until = time.monotonic() + 30
    while Path(f"/proc/{int(done.stdout)}").exists():
        assert time.monotonic() < until
        time.sleep(0.05)
