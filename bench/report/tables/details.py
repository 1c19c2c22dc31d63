"""How the runs were made: conditions, machine, versions, reproductions."""

from collections.abc import Callable, Mapping

import pandas as pd

from bench.evaluation.text import counted, percent
from bench.machine import Environment
from bench.records.record import SearchOutcome
from bench.records.spec import SearchSpec
from bench.report.board import Table
from bench.report.runs import Run
from bench.report.tables.constant import split_constant
from bench.report.tables.hyperparameters import value_text
from bench.report.tables.provenance import COMMIT_DIGITS, short_commit
from bench.report.tables.scores import different_conditions_text, prediction_interval_text
from bench.tuning.space import count_candidates

LONG_DETAILS = ("recipe", "refit seeds")  # only on the pages of the models
SHORTENED: Mapping[str, Callable[[str], str]] = {  # in the table of all models
    "started (UTC)": lambda time: time[:10],
    "code digest": lambda digest: digest[:COMMIT_DIGITS],
}


def run_details(run: Run) -> dict[str, str]:
    """Everything that decides or describes how a run was made: name to value."""
    record, spec, machine = run.record, run.record.spec, run.record.environment
    search_precision = f"search {spec.precision}, " if isinstance(spec, SearchSpec) else ""
    # scikit-learn's classifiers do not report their threads.
    threads = f", {counted(record.latency.threads, 'thread')}" if record.latency.threads else ""
    proposals = 0 if record.search is None else record.search.overruled_proposals
    overruled = f"; {counted(proposals, 'proposal')} of the tuner replaced by those in the ledger" if proposals else ""
    return {
        "run": record.run_id,
        "started (UTC)": record.started,
        **_origin_details(run),
        **({"exact duplicates": record.dataset.duplicates.text} if record.dataset.duplicates else {}),
        "refit seeds": "unknown" if record.trained_elsewhere else ", ".join(str(refit.seed) for refit in record.refits),
        "precision": f"{search_precision}refits {record.precision_refit}",
        "prediction time": f"median of {record.latency.repeats} passes over {record.latency.images:,} images, batches "
        f"of {record.latency.batch_size}{threads}",
        "code digest": spec.source,
        **({"also verified with code digest": ", ".join(record.verified_sources)} if record.verified_sources else {}),
        "machine": f"{machine.cpu}, {counted(machine.cores, 'usable core')}",
        "workers": f"{record.workers}, {counted(machine.threads, 'thread')} each",
        "instruction sets": ", ".join(machine.instruction_sets) or "none recorded",
        "oneDNN": machine.onednn,
        "operating system": machine.platform,
        "versions": f"{versions_text(machine)}, Keras Tuner {machine.keras_tuner}, NumPy {machine.numpy}, "
        f"scikit-learn {machine.scikit_learn}, distributed {machine.distributed}",
        "git commit": short_commit(machine.git_commit),
        "resumed": counted(record.resumed, "time") + overruled,
    }


def versions_text(machine: Environment) -> str:
    """The versions that decide numbers first."""
    return f"Python {machine.python}, TensorFlow {machine.tensorflow}, Keras {machine.keras}"


def _origin_details(run: Run) -> dict[str, str]:
    record, spec = run.record, run.record.spec
    if record.reference is not None:
        return {"recipe": record.reference.recipe}
    if record.search is None or not isinstance(spec, SearchSpec):
        return {}
    trials = record.search.trials
    cut = sum(trial.status == "cut" for trial in trials)
    failed = sum(trial.status == "failed" for trial in trials)
    return {
        "tuner": _tuner(record.search, spec),
        "trials": f"{len(trials)}, {failed} failed" + (f", {cut} cut short" if cut else ""),
        "epochs trained": f"{record.search.trained_epochs} of {spec.budget.total_epochs}",
        "search seed": str(spec.seed),
        **_own_recipe_details(record.search, spec),
    }


def _tuner(search: SearchOutcome, spec: SearchSpec) -> str:
    """The tuner, or that grid search replaced it."""
    size = count_candidates(search.space)
    if size is None or size > spec.budget.trials or spec.tuner in ("grid", "default"):
        return spec.tuner
    return f"grid, not {spec.tuner}, since the budget covers the whole space"


def _own_recipe_details(search: SearchOutcome, spec: SearchSpec) -> dict[str, str]:
    """How a model that is not a Family was trained; empty for a Family."""
    details = {} if spec.definition is None else {"defined as": spec.definition}
    if (recipe := search.own_recipe) is None:
        return details
    details |= {"training recipe": recipe.training, "inputs": recipe.inputs}
    if recipe.own_fit:
        details["refits"] = "on the training images of the search, since its fit may need the validation images"
    if retrained := sum(trial.retrained_epochs for trial in search.trials if trial.duplicate_of is None):
        details["retrained epochs"] = f"{retrained} (its own fit cannot continue a trial)"
    late = {name: value for trial in search.trials for name, value in (trial.unsearched or {}).items()}
    if late:
        values = ", ".join(f"{name} = {value_text(value)}" for name, value in late.items())
        details["not searched"] = f"{values}: first seen after the space was fixed, kept at their defaults"
    return details


def two_columns(values: Mapping[str, str]) -> pd.DataFrame:
    """Names and values."""
    return pd.DataFrame({"name": values.keys(), "value": values.values()})


def shared_details(table: Table) -> pd.DataFrame:
    """Details that are the same for every row."""
    details, is_shared = _details(table)
    return two_columns({str(name): str(value) for name, value in details.loc[is_shared].iloc[:, 0].items()})


def different_details(table: Table) -> pd.DataFrame:
    """Details that differ between rows, without the long ones: a row for each model. Empty for a single row."""
    details, is_shared = _details(table)
    different = details.loc[~is_shared].drop(index=[*LONG_DETAILS], errors="ignore")
    columns = {name: values.map(SHORTENED.get(str(name), str)) for name, values in different.T.items()}
    shown, _ = split_constant(pd.DataFrame({"model": different.columns, **columns}), keep=("model",))
    return shown if len(shown.columns) > 1 else pd.DataFrame()


def _details(table: Table) -> tuple[pd.DataFrame, "pd.Series[bool]"]:
    """A column of details for each row, "-" where a row has none, and which of them are the same for every row."""
    details = pd.DataFrame({row.label: run_details(row.run) for row in table.compared}).fillna("-")
    return details, details.eq(details.iloc[:, 0], axis="index").all(axis="columns")


def reproductions_of_run_table(run: Run) -> pd.DataFrame:
    """Every reproduction of a published run, oldest first."""
    return pd.DataFrame(
        {
            "date (UTC)": entry.time,
            "machine": f"{entry.environment.cpu}, {counted(entry.environment.cores, 'usable core')}",
            "versions": versions_text(entry.environment),
            "different conditions": different_conditions_text(entry),
            "predictions": "identical" if entry.identical else counted(entry.changed_predictions, "changed prediction"),
            "test accuracy (%)": percent(entry.test_accuracy),
            "95% prediction interval (%)": "-" if entry.identical else prediction_interval_text(entry),
            "run": entry.run_id or "-",
        }
        for entry in run.reproductions
    )
