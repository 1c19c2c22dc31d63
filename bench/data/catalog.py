"""Which datasets there are: one for each file of bench/data/sets, under the file's name."""

import difflib
import importlib
from pathlib import Path
from typing import Protocol, cast

from bench.data.dataset import Dataset, Notify, Part
from bench.errors import DataError, SpecError
from bench.records.spec import Budget

FOLDER = Path(__file__).parent / "sets"


class DatasetModule(Protocol):
    """What a file of bench/data/sets defines; the docstring of that package explains each."""

    TITLE: str
    CLASS_NAMES: tuple[str, ...]
    LICENCE: str
    IMAGE_SHAPE: tuple[int, int, int]
    N_TEST: int
    DEFAULT_BUDGET: Budget

    def development(self, data_dir: Path | None, notify: Notify, /) -> Part:
        """Everything but the test part."""

    def test(self, data_dir: Path | None, notify: Notify, /) -> Part:
        """The sealed test part."""


CONTRACT = (*DatasetModule.__annotations__, "development", "test")


def names() -> tuple[str, ...]:
    """The names that --dataset takes, sorted; read from file names, importing nothing."""
    return tuple(sorted(file.stem for file in FOLDER.glob("*.py") if not file.stem.startswith("_")))


def module(name: str) -> DatasetModule:
    """The file of dataset `name`.

    Raises:
        SpecError: there is no such dataset.
        DataError: the file lacks something that the contract asks for.
    """
    if name not in names():
        nearest = difflib.get_close_matches(name.lower().replace("-", "_"), names(), n=1, cutoff=0.5)
        hint = f" Did you mean {nearest[0]}?" if nearest else ""
        raise SpecError(f"unknown dataset {name!r}: valid names are {', '.join(names())}.{hint}")
    found = importlib.import_module(f"bench.data.sets.{name}")
    lacking = [item for item in CONTRACT if not hasattr(found, item)]
    if lacking:
        raise DataError(f"{found.__file__} lacks {', '.join(lacking)}: bench/data/sets/__init__.py says what each is")
    return cast(DatasetModule, found)


def default_budget(name: str) -> Budget:
    """The search budget that suits dataset `name` where the user asks for none.

    Raises:
        SpecError: there is no such dataset.
    """
    return module(name).DEFAULT_BUDGET


def assemble(name: str, part: Part) -> Dataset:
    """The dataset `name` made of one of its parts.

    Raises:
        DataError: the arrays do not fit together or are not of the shape that the dataset's file states.
    """
    found = module(name)
    images, labels, source = part
    dataset = Dataset(
        name=name,
        title=found.TITLE,
        images=images,
        labels=labels.astype("int64"),
        class_names=found.CLASS_NAMES,
        source=source,
        licence=found.LICENCE,
    )
    if dataset.image_shape != found.IMAGE_SHAPE:
        raise DataError(f"{name}: images from {source} are {dataset.image_shape}, IMAGE_SHAPE is {found.IMAGE_SHAPE}")
    return dataset
