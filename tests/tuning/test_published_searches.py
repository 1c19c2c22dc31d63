"""The ledgers of published searches give the same proposals, results and winner today."""

import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from keras_tuner import HyperParameters

from bench.records.record import Parameter
from bench.records.spec import SearchSpec
from bench.records.store import RunFolder, all_folders
from bench.tuning import tuners
from bench.tuning.search import Search

pytestmark = pytest.mark.slow

RESULTS = Path(__file__).parents[2] / "results"
PUBLISHED = [
    folder
    for results in (RESULTS, RESULTS / "benchmarks" / "tuners")
    for folder in all_folders(results)
    # Proposals of Bayesian optimization depend on the linear algebra of the machine.
    if isinstance(spec := folder.read_spec(), SearchSpec) and spec.tuner != "bayesian"
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
    assert {folder.path.name.split("-")[1] for folder in PUBLISHED} == {"hyperband", "random"}


@pytest.mark.parametrize("folder", PUBLISHED, ids=lambda folder: folder.path.name)
def test_published_search_is_replayed(folder: RunFolder, tmp_path: Path) -> None:
    spec, outcome = folder.read_spec(), folder.read_record().search
    assert isinstance(spec, SearchSpec)
    assert outcome is not None
    space = declare(outcome.space)
    tuner = tuners.choose(spec, space)
    # A copy: a replay that goes wrong would add proposals to the published ledger.
    copy = RunFolder(tmp_path)
    shutil.copy(folder.ledger, copy.ledger)
    search = Search(spec, tuner.proposer(spec, space), copy, copy.events())
    assert search.overruled_proposals == 0
    assert search.is_done()
    assert search.results == outcome.trials
    assert search.winner().trial_id == outcome.winner
    assert len(search.results) == tuner.plan(spec, space).tasks
    assert copy.ledger.read_bytes() == folder.ledger.read_bytes()
