"""The ledgers of published searches give the same proposals, results and winner today."""

import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from keras_tuner import HyperParameters

import search_spaces
from bench.execution.models import family_space
from bench.records.ledger import SessionStarted
from bench.records.record import RunRecord
from bench.records.space import Parameter
from bench.records.spec import SearchSpec
from bench.records.store import RunFolder, all_folders
from bench.tuning import tuners
from bench.tuning.search import Search
from search_spaces import FamilyLocation

pytestmark = pytest.mark.slow

RESULTS = Path(__file__).parents[2] / "results"
PUBLISHED = [
    folder
    for results in (RESULTS, RESULTS / "benchmarks" / "tuners")
    for folder in all_folders(results)
    # Proposals of Bayesian optimization depend on the linear algebra of the machine.
    if isinstance(spec := folder.read_spec(), SearchSpec)
    and spec.tuner != "bayesian"
    # Without a record, the space is that of today's code.
    and (folder.finished or spec.source == search_spaces.source_digest(spec.family))
]


def declare(space: Sequence[Parameter]) -> HyperParameters:
    """The recorded space as Keras Tuner declares it; every finite parameter is drawn like a choice of its values."""
    hp = HyperParameters()
    for parameter in space:
        assert parameter.finite
        with ExitStack() as scopes:
            for condition in parameter.conditions:
                scopes.enter_context(hp.conditional_scope(condition.name, list(condition.values)))
            if parameter.kind == "Boolean":
                hp.Boolean(parameter.name)
            else:
                hp.Choice(parameter.name, list(parameter.values))
    return hp


def test_there_are_published_searches_by_hyperband_and_random_search() -> None:
    assert {folder.path.name.split("-")[1] for folder in PUBLISHED} >= {"hyperband", "random"}


def space(folder: RunFolder, spec: SearchSpec, record: RunRecord | None) -> HyperParameters:
    """As recorded; if there is only a ledger, as for the searches of tests/benchmarks/tuners.py, that of the family."""
    if record is not None and record.search is not None:
        return declare(record.search.space)
    start = folder.events()[0]
    assert isinstance(start, SessionStarted)
    declared: HyperParameters = family_space(spec, start.dataset, FamilyLocation(name=spec.family)).hyperparameters
    return declared


@pytest.mark.parametrize("folder", PUBLISHED, ids=lambda folder: folder.path.name)
def test_published_search_is_replayed(folder: RunFolder, tmp_path: Path) -> None:
    spec, record = folder.read_spec(), folder.read_record() if folder.finished else None
    assert isinstance(spec, SearchSpec)
    hyperparameters = space(folder, spec, record)
    tuner = tuners.choose(spec, hyperparameters)
    # A copy: a replay that goes wrong would add proposals to the published ledger.
    copy = RunFolder(tmp_path)
    shutil.copy(folder.ledger, copy.ledger)
    search = Search(spec, tuner.proposer(spec, hyperparameters), copy, copy.events())
    assert search.overruled_proposals == 0
    assert copy.ledger.read_bytes() == folder.ledger.read_bytes()
    if record is None:
        return
    outcome = record.search
    assert outcome is not None
    assert search.is_done()
    assert search.results == outcome.trials
    assert search.winner().trial_id == outcome.winner
    assert len(search.results) == tuner.plan(spec, hyperparameters).trials
