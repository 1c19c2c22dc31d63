"""Whether a run can start here, and which workers of a cluster it can use."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.baselines.catalog import source
from bench.errors import SearchError
from bench.execution.preconditions import check_data, check_environment, check_versions, rejection
from bench.execution.resume import resumable
from bench.machine import environment
from bench.records.ledger import SessionStarted
from bench.records.store import RunFolder, now, run_folder
from bench.workers.tasks import WorkerInfo
from builders import add_run, make_dataset, make_environment, make_reference_spec

LOCAL = make_environment()
SOURCES = {"dense": "0" * 12}
FIT = WorkerInfo(environment=LOCAL, sources={"dense": "0" * 12, "cnn": "1" * 12}, checksum="5" * 64)


def test_tested_and_newer_versions_are_accepted() -> None:
    check_versions(make_environment(tensorflow="2.16.2", keras="3.1.1"))
    check_versions(make_environment(tensorflow="2.22.0.dev20260101", keras="4.0.0"))


@pytest.mark.parametrize(
    ("name", "version"), [("tensorflow", "2.15.1"), ("keras", "2.15.0"), ("keras_tuner", "missing")]
)
def test_older_and_missing_libraries_are_refused(name: str, version: str) -> None:
    wanted = f"or newer, found {version}: run `python -m pip install '{name.replace('_', '-')}>=[0-9.]+,<[0-9.]+'`"
    with pytest.raises(SearchError, match=wanted):
        check_versions(make_environment(**{name: version}))


def test_renamed_data_are_the_same_data_and_other_differences_are_named(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, add_run(tmp_path).spec)
    check_data(folder, make_dataset(title="renamed"))
    with pytest.raises(SearchError, match=r"other data \(n_test 100, recorded 200\): restore the data"):
        check_data(folder, make_dataset(n_test=100))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keras_tuner": "1.4.7"}, "keras-tuner 1.4.8, this machine has 1.4.7"),
        ({"scikit_learn": "1.9.2"}, "scikit-learn 1.9.1, this machine has 1.9.2"),
        ({"cpu": "Synthetic CPU B"}, "CPU Synthetic CPU A, this machine has Synthetic CPU B"),
        ({"onednn": "0"}, "TF_ENABLE_ONEDNN_OPTS default, this machine has 0"),
    ],
)
def test_run_is_resumed_in_its_original_environment_only(changes: dict[str, str], message: str, tmp_path: Path) -> None:
    folder = run_folder(tmp_path, add_run(tmp_path).spec)
    check_environment(folder, make_environment(cores=4, distributed="2026.9.0"))
    with pytest.raises(SearchError, match=f"was started with {message}: resume it in the original environment"):
        check_environment(folder, make_environment(**changes))


def refused(worker: WorkerInfo, *admitted: WorkerInfo) -> str | None:
    return rejection(worker, admitted, local=LOCAL, sources=SOURCES, checksum="5" * 64)


def test_worker_like_this_process_is_admitted() -> None:
    assert refused(FIT) is None
    assert refused(FIT, FIT) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"cpu": "Synthetic CPU B"}, "its CPU is Synthetic CPU A, that of the first worker is Synthetic CPU B"),
        ({"onednn": "0"}, "its TF_ENABLE_ONEDNN_OPTS is default, that of the first worker is 0"),
    ],
)
def test_first_worker_can_differ_from_this_process_in_cpu_and_onednn_but_later_ones_must_match_it(
    changes: dict[str, str], reason: str
) -> None:
    other = replace(FIT, environment=make_environment(**changes))
    assert refused(other) is None
    assert refused(other, other) is None
    assert refused(FIT, other) == reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"environment": make_environment(keras="3.14.0")}, "it has keras 3.14.0, this process has 3.15.1"),
        (
            {"environment": make_environment(scikit_learn="1.9.2")},
            "it has scikit-learn 1.9.2, this process has 1.9.1",
        ),
        ({"sources": {}}, "its code digest of 'dense' is missing, expected 000000000000"),
        ({"sources": {"dense": "2" * 12}}, "its code digest of 'dense' is 222222222222, expected 000000000000"),
        ({"checksum": "6" * 64}, "its dataset has checksum 6666666666666666, expected 5555555555555555"),
    ],
)
def test_worker_that_differs_is_refused_with_the_reason(changes: dict[str, Any], reason: str) -> None:
    assert refused(replace(FIT, **changes)) == reason


def test_runs_that_cannot_be_resumed_here_do_not_keep_others_from_it(tmp_path: Path) -> None:
    def interrupted(seed: int, **changes: Any) -> RunFolder:
        spec = make_reference_spec(dataset="digits", source=source("tutorial-linear"), seed=seed)
        folder = run_folder(tmp_path, spec)
        folder.write_spec(spec)
        started_in = replace(environment(), **changes)
        folder.append(SessionStarted(time=now(), environment=started_in, dataset=make_dataset(name="digits")))
        return folder

    running, elsewhere, here = interrupted(1), interrupted(2, cpu="Synthetic CPU B"), interrupted(3)
    with running.lock():
        groups, blocked = resumable(tmp_path, ())
    assert [folder.run_id for folders in groups.values() for folder in folders] == [here.run_id]
    assert blocked.keys() == {running.run_id, elsewhere.run_id}
    assert blocked[running.run_id] == "another process is working on it"
    assert "was started with CPU Synthetic CPU B, this machine has" in blocked[elsewhere.run_id]
    (folders,) = resumable(tmp_path, [here.run_id, here.run_id])[0].values()
    assert [folder.run_id for folder in folders] == [here.run_id]  # locking it twice would fail
