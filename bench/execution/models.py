"""The models that specs name: the digest of their code and, for families, the search space."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import search_spaces
from bench.baselines import catalog as baselines
from bench.errors import SearchError, SpecError, check_name
from bench.execution.options import Options
from bench.records.dataset import DatasetFacts
from bench.records.spec import PROTOCOL_VERSION, REFERENCE_PROTOCOL_VERSION, ReferenceSpec, RunSpec, SearchSpec
from bench.workers import tasks as worker
from bench.workers.error_text import error_text
from search_spaces import FamilyLocation

if TYPE_CHECKING:
    from bench.training.family import Space


def model_source(spec: RunSpec, options: Options) -> str:
    """The current code digest of a spec's model.

    Raises:
        SpecError: the spec has another protocol, its model is unknown, or the code cannot be read.
    """
    current = REFERENCE_PROTOCOL_VERSION if isinstance(spec, ReferenceSpec) else PROTOCOL_VERSION
    if spec.protocol != current:
        raise SpecError(f"the run uses protocol {spec.protocol}, but the current protocol is {current}")
    if isinstance(spec, ReferenceSpec):
        if spec.model not in baselines.NAMES:
            raise SpecError(
                f"there is no reference model {spec.model!r}: valid names are {', '.join(baselines.NAMES)}; a model "
                "trained elsewhere can be evaluated, but not retrained"
            )
        return baselines.source(spec.model)
    return family_source(options.family(spec))


def locate_families(texts: Sequence[str]) -> tuple[FamilyLocation, ...]:
    """Locate families by name, `my.py:build_model`, or `package.module:Object`; imports none of them.

    Raises:
        SpecError: one is not found, or two have the same name.
    """
    families: dict[str, FamilyLocation] = {}
    for text in dict.fromkeys(texts):
        if not search_spaces.is_definition(text) and not Path(f"{text}.py").is_file():  # which has a better message
            is_folder = Path(text).is_dir()
            hint = f"{text}/ is a folder: name a file and an object in it, such as {text}/my.py:build_model"
            also = "" if is_folder else "and no such file exists"
            check_name("family", text, search_spaces.names(), hint if is_folder else None, also=also)
        try:
            family = search_spaces.locate(text)
        except SyntaxError as error:
            raise SpecError(f"--family {text}: not valid Python: {error}") from error
        except ValueError as error:
            raise SpecError(f"--family {text}: {error}") from error
        if families.setdefault(family.name, family) != family:
            raise SpecError(
                f"--family {text}: another family is called {family.name!r}, too: choose another name with "
                f"NAME={text.rpartition('=')[2]}"
            )
    return tuple(families.values())


def family_source(family: FamilyLocation) -> str:
    """The code digest of a family.

    Raises:
        SpecError: the family is unknown, or its code cannot be read.
    """
    if family.definition is None and family.name not in search_spaces.names():
        raise SpecError(f"there is no family {family.name!r}: valid names are {', '.join(search_spaces.names())}")
    try:
        return search_spaces.source_digest(family)
    except SyntaxError as error:
        raise SpecError(f"the file of family {family.name!r} is not valid Python: {error}") from error
    except ValueError as error:  # defined more than once, or not readable as Python
        raise SpecError(f"family {family.name!r} cannot be loaded: {error}") from error


def family_space(spec: SearchSpec, dataset: DatasetFacts, family: FamilyLocation) -> "Space":
    """The search space of a family for the images of `dataset`.

    Args:
        spec: of the search.
        dataset: what the images are.
        family: where the family of `spec` is.

    Raises:
        SearchError: the family cannot be loaded or does not fit the images.
    """
    worker.import_libraries()
    from bench.training.family import load_family, space_of

    try:
        loaded = load_family(family, dataset.image_shape, len(dataset.class_names), pixel_range=spec.pixel_range)
        return space_of(loaded, spec)
    except (Exception, SystemExit) as error:
        where = "" if family.definition is None else f" ({family.definition})"
        raise SearchError(
            f"family {spec.family!r}{where} cannot be built for {dataset.name}: {error_text(error)}: fix that, then "
            "repeat the command"
        ) from error
