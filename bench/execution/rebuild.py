"""The winner of a run as plain Keras code, or a classifier as scikit-learn code."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from bench.baselines.catalog import CLASSIFIERS, source
from bench.errors import BenchError, ModelError
from bench.execution.models import model_source
from bench.execution.resume import last_options
from bench.execution.stages import refit_spec
from bench.records.plain import PlainKeras
from bench.records.record import RunRecord
from bench.records.spec import ReferenceSpec, refit_seed
from bench.records.store import RunFolder, all_folders
from bench.workers.error_text import error_text
from bench.workers.tasks import import_libraries


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """The code of a run's model, and what must be known about it."""

    plain: PlainKeras
    note: str | None  # if it was made from other code than the run


def plain_code(folder: RunFolder, record: RunRecord) -> Rebuilt:
    """The code that rebuilds and trains the first refit of a run.

    It is that which the run wrote; otherwise it is made from the family's present code, which imports TensorFlow.

    Args:
        folder: of the run.
        record: its record.

    Raises:
        ModelError: the model cannot be rebuilt, or not as code.
    """
    if (plain := folder.read_plain()) is not None:
        return Rebuilt(plain=plain, note=None)
    if isinstance(record.spec, ReferenceSpec) and record.spec.model in CLASSIFIERS:
        from bench.baselines.script import classifier_script

        plain = classifier_script(record.spec.model, refit_seed(record.spec, 0), record.dataset)
        return Rebuilt(plain=plain, note=_note(record, source(record.spec.model)))
    if record.trained_elsewhere:
        raise ModelError(f"{record.spec.model} was trained elsewhere, and its file has no code")
    options = last_options(folder)
    try:
        present = model_source(record.spec, options)
    except BenchError as error:
        raise ModelError(f"{record.spec.model} cannot be rebuilt: {error}") from error
    import_libraries()
    from bench.training.plain.rebuild import rebuild
    from bench.training.plain.script import plain_keras

    spec = refit_spec(record.spec, record.hyperparameters, 0)
    # With the present code; whether it has changed is said below.
    spec = replace(spec, file=options.family_file(record.spec), source=None)
    try:
        model, settings = rebuild(spec, record.dataset)
    except ModelError:
        raise
    except (Exception, SystemExit) as error:  # a family is the user's code and may raise anything
        raise ModelError(f"{record.spec.model} cannot be rebuilt: {error_text(error)}") from error
    if (found := model.count_params()) != (expected := record.refits[0].parameters):
        raise ModelError(
            f"the code of {record.spec.model!r} has changed since the run: its model has {found:,} parameters now, "
            f"{expected:,} in the record"
        )
    return Rebuilt(plain=plain_keras(model, record.dataset, settings), note=_note(record, present))


def _note(record: RunRecord, present: str) -> str | None:
    """That the digest of a model's code is not that of the run; None if it is."""
    if present in record.sources:
        return None
    change = f"from digest {record.spec.source} to {present}"
    return f"The code of {record.spec.model!r} has changed since the run, {change}."


def store_plain_code(results: Path) -> Iterator[tuple[str, str | None]]:
    """Write the plain Keras code of every finished run that lacks it, from unchanged code only; imports TensorFlow.

    Runs write it themselves, so this is for those of earlier versions.

    Yields:
        Run id, and why it has no code; None if it was written.
    """
    for folder in all_folders(results):
        if not folder.finished or folder.plain_file.exists():
            continue
        try:
            rebuilt = plain_code(folder, folder.read_record())
        except BenchError as error:
            yield folder.run_id, str(error)
            continue
        if rebuilt.note is None:
            folder.write_plain(rebuilt.plain)
        yield folder.run_id, rebuilt.note
