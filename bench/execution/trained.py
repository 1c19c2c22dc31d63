"""The trained models of a run, and the command that retrains them."""

from pathlib import Path

from bench.command import command
from bench.data.catalog import DatasetLocation
from bench.errors import BenchError, ModelError
from bench.execution.models import model_source
from bench.execution.options import Options
from bench.execution.resume import last_options, run_dataset
from bench.machine import supports_bfloat16
from bench.records.choices import PRESETS
from bench.records.limits import DEFAULT_DATASET, DEFAULT_PRESET, DEFAULT_REFIT_SEEDS, DEFAULT_TUNER
from bench.records.record import RunRecord
from bench.records.spec import SearchSpec
from bench.records.store import RunFolder
from bench.tuning.presets import PLANS
from search_spaces import FamilyLocation


def model_files(folder: RunFolder, record: RunRecord) -> tuple[Path, ...]:
    """The .keras files of all refits of a run, in order.

    Raises:
        ModelError: they are not on this machine; the message names the command that retrains them.
    """
    if record.reference is not None and not record.reference.is_network:
        raise ModelError(f"{record.spec.model} is not a Keras model; scikit-learn models are not kept")
    files = tuple(folder.model_file(number) for number in range(len(record.refits)))
    if all(file.is_file() for file in files):
        return files
    raise ModelError(
        f"{record.run_id} was published without its models. To get them again:\n  {training_command(folder, record)}"
        f"{_condition(record, last_options(folder))}"
    )


def model_file(folder: RunFolder, record: RunRecord, refit: int) -> Path:
    """The .keras file of one refit of a run.

    Raises:
        ModelError: there is no such refit, or `model_files` raises it.
    """
    files = model_files(folder, record)
    if not 0 <= refit < len(files):
        raise ModelError(f"there is no refit {refit}: {record.run_id} has refits 0 to {len(files) - 1}")
    return files[refit]


def own_family(folder: RunFolder, record: RunRecord) -> FamilyLocation | None:
    """The family of a run's models, if its code may define layers; a Family has built-in layers only."""
    if not isinstance(record.spec, SearchSpec) or record.search is None or record.search.own_recipe is None:
        return None
    return last_options(folder).family(record.spec)


def _condition(record: RunRecord, options: Options) -> str:
    """What must be known before the command is used."""
    if record.trained_elsewhere:
        return "\nIt was trained elsewhere, so this needs its model files."
    is_pickled = isinstance(record.spec, SearchSpec) and options.family(record.spec).is_pickled
    if (options.dataset.digest is not None and options.dataset.path is None) or is_pickled:
        return "\nIts family or dataset was an object of Python: call bench.run with the same objects instead."
    try:
        changed = model_source(record.spec, options) not in record.sources
    except BenchError as error:
        return f"\nIts code is not available here: {error}."
    return "\nIts code has changed since, so this starts a new run." if changed else ""


def training_command(folder: RunFolder, record: RunRecord) -> str:
    """The command that retrains a run, from its spec."""
    spec = record.spec
    if record.trained_elsewhere:
        words = ["evaluate", "MODEL.keras", "--name", spec.model]
    elif isinstance(spec, SearchSpec):
        words = ["run", "--family", last_options(folder).family(spec).text, *_search_options(spec)]
    else:
        words = ["reproduce", spec.model]
        words += _option("refit-seeds", spec.refit_seeds, 1 if record.deterministic else DEFAULT_REFIT_SEEDS)
        words += _option("seed", spec.seed, 0)
    words += _dataset_options(run_dataset(folder))
    return command(folder.results, *words)


def _search_options(spec: SearchSpec) -> list[str]:
    """The options of `bench run` that differ from their defaults."""
    budget, words = spec.budget, list[str]()
    if spec.preset is not None:
        words += _option("preset", spec.preset, DEFAULT_PRESET)
    else:
        # The size of the largest candidate comes from the plan of the preset.
        plans = {name: PLANS.get((spec.dataset, spec.family, name)) for name in PRESETS}
        preset = next(
            (name for name, plan in plans.items() if plan and plan.multiply_adds == budget.multiply_adds), None
        )
        words += _option("preset", preset or DEFAULT_PRESET, DEFAULT_PRESET)
        words += ["--trials", str(budget.trials), "--epochs", str(budget.epochs)]
        words += ["--refit-seeds", str(spec.refit_seeds)]
    words += _option("tuner", spec.tuner, DEFAULT_TUNER)
    words += _option("seed", spec.seed - spec.split, 0)
    words += _option("searches", spec.split + 1, 1)
    words += _option("time-limit", None if spec.time_limit is None else f"{spec.time_limit}s", None)
    for name in ("max_pending", "objective", "class_weights", "pixel_range"):
        words += _option(name.replace("_", "-"), getattr(spec, name), None)
    automatic = "bfloat16" if supports_bfloat16() else "float32"
    words += _option("precision", spec.precision, automatic) if automatic == "bfloat16" else []
    return words


def _option(name: str, value: object, default: object) -> list[str]:
    return [] if value == default else [f"--{name}", str(value)]


def _dataset_options(location: DatasetLocation) -> list[str]:
    """The options that name a dataset, and say how its images are read."""
    size, names = location.reading.image_size, location.reading.class_names
    return [
        *_option("dataset", str(location.path or location.name), DEFAULT_DATASET),
        *_option("data-dir", location.data_dir and str(location.data_dir), None),
        *_option("image-size", size and f"{size[0]}x{size[1]}", None),
        *_option("class-names", ",".join(names), ""),
    ]
