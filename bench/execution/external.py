"""Evaluate models that were trained elsewhere, as a reference model."""

from collections.abc import Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from time import perf_counter

from bench.baselines.external import ExternalModel, describe_external, external_spec
from bench.data.development import facts, load_development
from bench.errors import ModelError, RecordError, SpecError
from bench.execution.eta import Pace
from bench.execution.events import Message, Report, RunFinished
from bench.execution.folders import locked
from bench.execution.options import Options
from bench.execution.refit_job import KeptEvaluation
from bench.execution.workers import run_locally
from bench.machine import environment
from bench.records.files import check_writable, write_atomic
from bench.records.ledger import RefitEnded, SessionStarted
from bench.records.predictions import Predictions
from bench.records.record import SCHEMA_VERSION, RefitRecord, RunRecord
from bench.records.spec import SearchSpec
from bench.records.store import RunFolder, all_folders, now, run_folder
from bench.workers import tasks as worker


def evaluate_external(name: str, models: Sequence[ExternalModel], options: Options, report: Report) -> RunFinished:
    """Check models on development images, evaluate them on the test set, and write their record.

    Each is another seed of the reference model `name`. The test-set evaluation is logged. Without a record, nothing is
    kept, so an interrupted evaluation is repeated.

    Raises:
        SpecError: the name is invalid or taken.
        ModelError: a model is unsafe, or does not fit the images, the classes or the pixels, or two have the same
            weights.
        BenchError: for another reason that the user can fix.
    """
    check_writable(options.results)
    _check_name(name, options.results)
    spec = external_spec(name, models, options.dataset.name, options.dataset.digest)
    folder = run_folder(options.results, spec)
    with nullcontext() if folder.finished else locked(folder):
        if folder.finished:  # possibly by the process that held the lock
            folder.read_predictions(folder.read_record())  # a damaged run is not complete
            return RunFinished(folder=folder, trained=False)
        started, start = now(), perf_counter()
        report(Message(text="Reading the data"))
        data = load_development(options.dataset, lambda line: report(Message(text=line)))
        report(Message(text=f"Checking {', '.join(model.name for model in models)} on development images"))
        worker.import_libraries()
        from bench.training.external import adopt

        adopted = [adopt(model, number, data) for number, model in enumerate(models)]
        _check_seeds(models, [each.refit for each in adopted])
        for each in adopted:
            write_atomic(folder.model_file(each.refit.number), each.content)
        evaluation = KeptEvaluation(spec, folder, options, Pace(spec, workers=1), folder.run_id)
        evaluation.start_evaluation()
        report(Message(text="Evaluating on the test set"))
        run_locally(evaluation, 1, report, worker.prepare_worker)
        finished = now()
        record = RunRecord(
            schema=SCHEMA_VERSION,
            run_id=evaluation.key,
            spec=spec,
            dataset=facts(options.dataset, data),
            environment=environment(),
            origin=describe_external(models, next((each for each in adopted if each.warning), adopted[0]).pixels),
            refits=tuple(each.refit for each in adopted),
            predictions_sha256=evaluation.predictions.digest(),
            latency=evaluation.latency,
            precision_refit="float32",
            workers=1,
            started=started,
            finished=finished,
            total_seconds=perf_counter() - start,
            resumed=0,
        )
        _write(folder, record, evaluation.predictions, options)
    return RunFinished(folder=folder, trained=True, warnings=tuple(filter(None, (each.warning for each in adopted))))


def _check_name(name: str, results: Path) -> None:
    """Check that no search has the name, which would then name this model."""
    for folder in all_folders(results):
        with suppress(RecordError):  # `bench report` names it
            spec = folder.read_spec()
            if isinstance(spec, SearchSpec) and spec.model == name:
                raise SpecError(
                    f"the name {name!r} is taken by the family of {folder.path}: choose another with --name"
                )


def _check_seeds(models: Sequence[ExternalModel], refits: Sequence[RefitRecord]) -> None:
    """Check that the files are one model, trained with several seeds."""
    if len({refit.parameters for refit in refits}) > 1:
        sizes = ", ".join(f"{model.name} has {refit.parameters:,}" for model, refit in zip(models, refits, strict=True))
        raise ModelError(
            f"several files must be one model trained with several seeds, but {sizes} parameters: evaluate different "
            "models one by one, each with a --name of its own"
        )
    numbers: dict[str, int] = {}  # by weights
    for number, refit in enumerate(refits):
        if (earlier := numbers.setdefault(refit.weights_sha256, number)) != number:
            files = f"{models[earlier].name} and {models[number].name}"
            raise ModelError(f"{files} have the same weights: name one file for each seed")


def _write(folder: RunFolder, record: RunRecord, predictions: Predictions, options: Options) -> None:
    """Write all files of the run, the record last."""
    folder.ledger.unlink(missing_ok=True)  # of an evaluation that was killed here
    folder.append(
        SessionStarted(
            time=record.started,
            environment=record.environment,
            dataset=record.dataset,
            options=options.for_ledger(),
        )
    )
    for refit in record.refits:
        folder.append(RefitEnded(time=record.finished, refit=refit))
    folder.write_predictions(predictions)
    folder.write_spec(record.spec)
    folder.write_record(record)
