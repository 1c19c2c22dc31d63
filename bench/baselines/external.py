"""Models trained elsewhere, as reference models; imports no Keras."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import search_spaces
from bench.baselines.catalog import GROUPS, NAMES
from bench.errors import ModelError, SpecError
from bench.records.choices import PixelRange
from bench.records.record import ReferenceModel
from bench.records.spec import ReferenceSpec, require_model_name

DIGEST_LENGTH = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalModel:
    """The file of a model trained elsewhere, and what is known about it."""

    name: str  # of the file
    content: bytes
    identity: bytes | None = None  # what tells it from others; None for the content, which may depend on the time
    pixel_range: PixelRange | None = None  # that it expects; None if the model decides
    classes: tuple[str, ...] | None = None  # the order of its outputs; None: that of the dataset, which is checked


def external_spec(name: str, models: Sequence[ExternalModel], dataset: str, data: str | None = None) -> ReferenceSpec:
    """The spec of a reference model trained elsewhere, with one file per seed.

    `data` is the digest of a dataset that is not identified by its name.

    Raises:
        SpecError: the name is invalid or taken, or there is no file.
    """
    if name in NAMES or name in search_spaces.names():
        raise SpecError(f"the name {name!r} is taken by another model: choose another with --name")
    if name in GROUPS:
        raise SpecError(f"the name {name!r} means several reference models: choose another with --name")
    require_model_name("--name", name)
    return ReferenceSpec(
        dataset=dataset, data=data, model=name, source=_digest(models), epochs=0, seed=0, refit_seeds=len(models)
    )


def read_model(path: Path) -> bytes:
    """The content of a .keras file.

    Raises:
        ModelError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}: expected a .keras file") from error


def describe_external(models: Sequence[ExternalModel], pixels: str) -> ReferenceModel:
    """The description for the record; `pixels` says which pixels the models expect."""
    files = ", ".join(model.name for model in models)
    recipe = f"trained elsewhere, loaded from {files}; expects {pixels}"
    return ReferenceModel(group="external", recipe=recipe, deterministic=False, published=None)


def _digest(models: Sequence[ExternalModel]) -> str:
    """Depends on the models and on what is known about them."""
    state = hashlib.sha256()
    for model in models:
        state.update(hashlib.sha256(model.content if model.identity is None else model.identity).digest())
        state.update(f"{model.pixel_range} {model.classes}".encode())
    return state.hexdigest()[:DIGEST_LENGTH]
