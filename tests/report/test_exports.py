"""bench export-results: tables are read back by pandas, logs by TensorBoard, runs by MLflow, each from a real store."""

import json
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest

from bench.errors import ExtensionError, StoreError
from bench.records.ledger import TrialEnded
from bench.records.store import all_folders
from bench.report.exports.mlflow_runs import how_to_show, tracking_uri, write_runs
from bench.report.exports.tables import tables
from bench.report.exports.tensorboard_logs import write_logs
from bench.report.ranking import leaderboard
from builders import add_reference, add_run, make_trial
from command_line import call, run, variables

GOLDEN = Path(__file__).parents[1] / "golden" / "results"
FINISHED = [folder.read_record() for folder in all_folders(GOLDEN) if folder.finished]
SEARCHES = [record for record in FINISHED if record.search is not None]
N_TRIALS = sum(len(record.search.trials) for record in SEARCHES if record.search is not None)


def read(path: Path) -> pd.DataFrame:
    exact_json = partial(pd.read_json, precise_float=True)
    readers: dict[str, Any] = {".csv": pd.read_csv, ".json": exact_json, ".parquet": pd.read_parquet}
    frame: pd.DataFrame = readers[path.suffix](path)
    return frame


@pytest.fixture(scope="module", params=["csv", "json", "parquet"])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    if request.param == "parquet":
        pytest.importorskip("pyarrow")
    folder = tmp_path_factory.mktemp("exported") / "tables"
    command = ("export-results", "--results", GOLDEN, "--format", request.param, "--output", folder)
    done = call(*command, cwd=folder.parent)
    files = {str(path) for path in folder.rglob("*") if path.is_file()}
    assert set(done.stdout.splitlines()) == files
    return folder, request.param


def test_runs_have_their_scores_and_hyperparameters(exported: tuple[Path, str]) -> None:
    folder, kind = exported
    frame = read(folder / f"runs.{kind}")
    rows = json.loads(call("leaderboard", "--results", GOLDEN, "--json", cwd=folder).stdout)
    assert frame["run_id"].tolist() == [row["run_id"] for row in rows]
    assert frame["test_accuracy"].tolist() == [row["test_accuracy"] for row in rows]  # at full precision
    assert frame["macro_f1"].tolist() == [row["metrics"]["macro_f1"] for row in rows]
    assert (frame["ci_low"].dropna() < frame["test_accuracy"][frame["ci_low"].notna()]).all()
    winner = next(record for record in SEARCHES if record.run_id == frame["run_id"][0])
    assert winner.search is not None
    for name, value in winner.search.winning_trial.values.items():
        assert frame[f"hp_{name}"][0] == value


def test_trials_are_complete(exported: tuple[Path, str]) -> None:
    folder, kind = exported
    frame = read(folder / f"trials.{kind}")
    assert len(frame) == N_TRIALS
    assert frame["winner"].sum() == len(SEARCHES)
    failed = frame[frame["status"] == "failed"]
    assert failed["validation_accuracy"].isna().all()
    assert failed["error"].notna().all()
    assert frame["parameters"].notna().sum() == len(frame) - len(failed)


def test_predictions_of_every_run_are_written(exported: tuple[Path, str]) -> None:
    folder, kind = exported
    for record in FINISHED:
        frame = read(folder / "predictions" / record.dataset.name / f"{record.run_id}.{kind}")
        assert len(frame) == len(record.refits) * record.dataset.n_test
        columns = [f"probability_{name}" for name in record.dataset.class_names]
        assert np.allclose(frame[columns].sum(axis=1), 1)
        assert ((frame["true"] == frame["predicted"]) == frame["correct"]).all()


def test_hyperparameter_of_several_types_becomes_text_in_parquet(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    add_run(tmp_path / "results", search={"trials": (make_trial(0, 0.8, values={"size": 3}),), "winner": "0000"})
    other = {"trials": (make_trial(0, 0.8, values={"size": "large"}),), "winner": "0000"}
    add_run(tmp_path / "results", spec={"family": "cnn"}, search=other)
    call("export-results", "--format", "parquet", cwd=tmp_path)
    assert sorted(pd.read_parquet(tmp_path / "exported/trials.parquet")["hp_size"]) == ["3", "large"]


def test_without_searches_there_is_no_table_of_trials(tmp_path: Path) -> None:
    record = add_reference(tmp_path)
    names = [name for name, _ in tables(leaderboard(tmp_path), "csv")]
    assert names == ["runs.csv", f"predictions/synthetic/{record.run_id}.csv"]


# TensorBoard


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    events = EventAccumulator(str(folder)).Reload()
    return {
        tag: [(event.step, float(make_ndarray(event.tensor_proto))) for event in events.Tensors(tag)]
        for tag in events.Tags()["tensors"]
        if not tag.startswith("_hparams_")
    }


def hparams(folder: Path, part: str = "session_start_info") -> Any:
    """A part of the data of the HParams plugin."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    events = EventAccumulator(str(folder)).Reload()
    content = events.SummaryMetadata(f"_hparams_/{part}").plugin_data.content
    return getattr(HParamsPluginData.FromString(content), part)


@pytest.mark.slow
def test_tensorboard_reads_curves_and_hyperparameters(tmp_path: Path) -> None:
    command = ("export-results", "--results", GOLDEN, "--format", "tensorboard", "--output", "logs")
    done = run(*command, cwd=tmp_path)
    assert done.stderr == ""
    assert f"{len(FINISHED)} runs written, 0 already there. To show them: tensorboard --logdir logs" in done.stdout
    record = SEARCHES[0]
    assert record.search is not None
    folder = tmp_path / "logs" / record.dataset.name / record.run_id
    trial = record.search.winning_trial
    found = scalars(folder / f"trial-{trial.trial_id}")
    assert [step for step, _ in found["validation accuracy"]] == list(range(1, trial.epochs + 1))
    assert [value for _, value in found["validation accuracy"]] == pytest.approx(trial.curve.validation_accuracy)
    assert [value for _, value in found["training loss"]] == pytest.approx(trial.curve.training_loss)
    assert set(hparams(folder / f"trial-{trial.trial_id}").hparams) == set(trial.values)
    refit = scalars(folder / "refit-0")
    assert [value for _, value in refit["training accuracy"]] == pytest.approx(record.refits[0].curve.training_accuracy)
    assert 0 < refit["test accuracy"][0][1] <= 1
    before = sorted(tmp_path.rglob("*"))
    assert f"0 runs written, {len(FINISHED)} already there" in call(*command, cwd=tmp_path).stdout
    assert sorted(tmp_path.rglob("*")) == before
    folder.rename(unfinished := folder.with_name(f".{folder.name}.part"))  # as if the export had been killed
    assert f"1 run written, {len(FINISHED) - 1} already there" in call(*command, cwd=tmp_path).stdout
    assert not unfinished.exists()
    assert scalars(folder / "refit-0")


@pytest.mark.slow
def test_tensorboard_has_the_score_that_chose_the_winner_and_the_status(tmp_path: Path) -> None:
    from tensorboard.plugins.hparams import api_pb2

    trial = make_trial(0, 0.8, objective_score=0.7)
    search = {"trials": (trial, make_trial(1, 0.9, status="cut")), "winner": trial.trial_id}
    add_run(tmp_path / "results", spec={"objective": "macro-f1"}, search=search)
    board = leaderboard(tmp_path / "results")
    write_logs(board, tmp_path / "logs")
    (folder,) = tmp_path.glob("logs/*/*/trial-0000")
    ((epoch, score),) = scalars(folder)["validation macro F1"]
    assert (epoch, round(score, 6)) == (trial.epochs, 0.7)
    assert hparams(folder, "session_end_info").status == api_pb2.STATUS_SUCCESS
    assert hparams(folder.with_name("trial-0001"), "session_end_info").status == api_pb2.STATUS_UNKNOWN
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot write"):
        write_logs(board, tmp_path / "file")


# MLflow


def test_address_of_an_mlflow_store_is_not_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for uri in ("postgresql+psycopg2://user:pw@host/db", "sqlite:///own.db", "https://host"):
        assert tracking_uri(uri) == uri
    assert list(tmp_path.iterdir()) == []


def test_message_says_what_shows_the_runs_of_an_mlflow_store() -> None:
    assert how_to_show("https://host") == "open https://host"
    assert how_to_show("sqlite:///my runs.db").endswith(
        "full package mlflow, run mlflow ui --backend-store-uri 'sqlite:///my runs.db'"
    )


def test_package_that_mlflow_imports_later_is_named_if_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "alembic", None)
    with pytest.raises(ExtensionError, match=r"need alembic, which is not installed: run `.*alembic"):
        write_runs(leaderboard(GOLDEN), "sqlite:///unused.db")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["folder", pytest.param("sqlite", marks=pytest.mark.long), "file"])
def test_mlflow_has_a_parent_run_with_a_child_per_trial(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow = pytest.importorskip("mlflow")
    output = {
        "folder": str(tmp_path / "store"),
        "sqlite": f"sqlite:///{tmp_path}/own.db",
        "file": f"file:{tmp_path}/runs",
    }
    command = ("export-results", "--results", GOLDEN, "--format", "mlflow", "--output", output[kind])
    done = call(*command, cwd=tmp_path)
    assert f"{len(FINISHED)} runs written, 0 already there" in done.stdout
    client = mlflow.MlflowClient(tracking_uri=tracking_uri(output[kind]))
    (experiment,) = [each for each in client.search_experiments() if each.name == "keras-family-bench synthetic"]
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    parents = {
        each.data.tags["keras_family_bench.run_id"]: each for each in runs if "mlflow.parentRunId" not in each.data.tags
    }
    assert set(parents) == {record.run_id for record in FINISHED}
    record = SEARCHES[0]
    assert record.search is not None
    parent = parents[record.run_id]
    assert parent.info.status == "FINISHED"
    # With a prefix, since a hyperparameter may be called like a setting of the run.
    assert parent.data.params["seed"] == str(record.spec.seed)
    hyperparameters = {f"hp_{name}": str(value) for name, value in record.search.winning_trial.values.items()}
    assert hyperparameters.items() <= parent.data.params.items()
    assert 0 < parent.data.metrics["test accuracy"] <= 1
    children = [each for each in runs if each.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert len(children) == len(record.search.trials)
    assert sum(each.info.status == "FAILED" for each in children) == sum(
        trial.status == "failed" for trial in record.search.trials
    )
    name = f"trial {record.search.winner}"
    winner = next(each for each in children if each.data.tags["mlflow.runName"].endswith(name))
    trial = record.search.winning_trial
    assert winner.data.params == {key: str(value) for key, value in trial.values.items()}
    history = client.get_metric_history(winner.info.run_id, "validation accuracy")
    assert [point.value for point in sorted(history, key=lambda point: point.step)] == pytest.approx(
        trial.curve.validation_accuracy
    )
    repeated = call(*command, cwd=tmp_path)
    assert f"0 runs written, {len(FINISHED)} already there" in repeated.stdout


@pytest.mark.slow
def test_mlflow_trials_of_an_interrupted_run_have_the_times_of_the_ledger(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    trials = (
        make_trial(0, 0.8, task_seconds=10.0, ended_seconds=10.0, objective_score=0.7),
        # Without the pause, it ended after 30 seconds of training; on the clock, a day later.
        make_trial(1, 0.9, task_seconds=20.0, ended_seconds=30.0, objective_score=0.75),
        make_trial(
            *(2, 0.9),
            values={"layers": 1},
            task_seconds=0.0,
            ended_seconds=30.0,
            duplicate_of="0001",
            objective_score=0.75,
        ),
    )
    spec = {"objective": "macro-f1"}
    add_run(tmp_path / "results", spec=spec, search={"trials": trials}, finished="2026-01-02T00:01:00+00:00", resumed=1)
    (folder,) = all_folders(tmp_path / "results")
    ends = {"0000": "2026-01-01T00:00:10+00:00", "0001": "2026-01-02T00:00:20+00:00"}
    events = folder.events()
    folder.ledger.unlink()
    for event in events:
        if not isinstance(event, TrialEnded):
            folder.append(event)
        elif event.trial.duplicate_of is None:  # duplicates are not trained
            folder.append(msgspec.structs.replace(event, time=ends[event.trial.trial_id]))
    uri = tracking_uri(str(tmp_path / "store"))
    write_runs(leaderboard(tmp_path / "results"), uri)
    client = mlflow.MlflowClient(tracking_uri=uri)
    (experiment,) = [each for each in client.search_experiments() if each.name == "keras-family-bench synthetic"]
    (parent,) = client.search_runs([experiment.experiment_id], "tags.`keras_family_bench.run_id` LIKE '%'")
    client.update_run(parent.info.run_id, status="RUNNING")  # as if the export had been interrupted
    assert write_runs(leaderboard(tmp_path / "results"), uri) == (1, 0)
    children = [
        each for each in client.search_runs([experiment.experiment_id]) if "mlflow.parentRunId" in each.data.tags
    ]
    assert sorted(each.data.metrics["validation macro F1"] for each in children) == [0.7, 0.75, 0.75]
    times = {
        each.data.tags["mlflow.runName"][-4:]: tuple(
            datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%d %H:%M:%S")
            for milliseconds in (each.info.start_time, each.info.end_time)
        )
        for each in children
    }
    assert times == {
        "0000": ("01 00:00:00", "01 00:00:10"),
        "0001": ("02 00:00:00", "02 00:00:20"),
        "0002": ("02 00:00:20", "02 00:00:20"),
    }


@pytest.mark.slow
def test_mlflow_store_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    (tmp_path / "damaged.db").write_text("not a database")
    command = ("export-results", "--results", GOLDEN, "--format", "mlflow", "--output", "sqlite:///damaged.db")
    failed = call(*command, cwd=tmp_path, code=2)
    assert "sqlite:///damaged.db cannot be written" in failed.stderr
    failed = call(*command[:-1], "damaged.db", cwd=tmp_path, code=2)
    assert "expected a folder, or the address of a store such as sqlite:///damaged.db" in failed.stderr


@pytest.mark.slow
def test_missing_library_is_an_error_with_the_command_that_installs_it(tmp_path: Path) -> None:
    for name, kind in (("pyarrow", "parquet"), ("mlflow", "mlflow")):
        (tmp_path / f"{name}.py").write_text(f"raise ImportError('no {name}', name='{name}')")
        command = ("export-results", "--results", GOLDEN, "--format", kind, "--output", "exported")
        failed = run(*command, cwd=tmp_path, env=variables(tmp_path), code=2)
        assert f"not installed: run `python -m pip install '{name}" in failed.stderr
