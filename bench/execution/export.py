"""Export a refit of a run, and check it on all validation images."""

import shutil
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from bench.data.catalog import DatasetLocation
from bench.data.dataset import Notify, quiet
from bench.data.development import load_development
from bench.data.splits import split
from bench.errors import DataError, ModelError, SpecError
from bench.machine import install_command
from bench.records.choices import ModelFormat
from bench.records.files import writing
from bench.records.record import RunRecord
from bench.records.spec import SearchSpec
from bench.workers.tasks import import_libraries
from search_spaces import FamilyLocation

ONNX_PACKAGES = ("tf2onnx", "onnxruntime")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """An exported model and its check."""

    path: Path
    images: int  # validation images that it was checked on
    difference: float  # largest, of a probability


def export_model(
    file: Path,
    record: RunRecord,
    location: DatasetLocation,
    *,
    target: Path,
    kind: ModelFormat,
    family: FamilyLocation | None = None,
    notify: Notify = quiet,
) -> Exported:
    """Export a model to `target`, and check its probabilities on all validation images; opens no test image.

    Args:
        file: .keras file of a refit.
        record: of its run.
        location: of the dataset, for the validation images.
        target: a file or, for a SavedModel, a folder; must not exist.
        kind: the format.
        family: of the model, if its code may define layers.
        notify: called with a one-line message before steps longer than a second.

    Raises:
        SpecError: `target` exists.
        DataError: the dataset cannot be read, or is not that of the run.
        ModelError: a package is missing, the model cannot be exported, or the exported one predicts other
            probabilities; nothing is written.
        StoreError: `target` cannot be written.
    """
    if target.exists():
        raise SpecError(f"{target} exists: delete it, or choose another path with --output")
    if kind == "onnx" and not all(map(find_spec, ONNX_PACKAGES)):
        command = install_command(*ONNX_PACKAGES)
        raise ModelError(f"ONNX needs {' and '.join(ONNX_PACKAGES)}, which are not all installed: run `{command}`")
    images = load_development(location, notify)
    if images.checksum != record.dataset.checksum:
        raise DataError(
            f"{images.name} has checksum {images.checksum[:12]}, the run was trained on data with checksum "
            f"{record.dataset.checksum[:12]}: restore that data"
        )
    _, validation = split(images, record.spec.split if isinstance(record.spec, SearchSpec) else 0)
    notify(f"Exporting {file.name} as {kind}, and checking it on {len(validation):,} validation images")
    import_libraries()
    from bench.training.export import MAX_DIFFERENCE, export, largest_difference

    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".export-", dir=target.parent))
    try:
        written = folder / target.name
        export(file, written, kind, family)
        difference = largest_difference(file, written, kind, images.images[validation], family)
        if not difference <= MAX_DIFFERENCE:
            raise ModelError(
                f"the exported model differs from {file.name} by up to {difference:.1e} in a probability, at most "
                f"{MAX_DIFFERENCE:.0e} is accepted: nothing was written"
            )
        with writing(target):
            written.rename(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Exported(path=target, images=len(validation), difference=difference)
