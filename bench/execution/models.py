"""The models that specs name: the digest of their code and, for families, the search space."""

from typing import Any

import search_spaces
from bench.baselines import catalog as baselines
from bench.errors import SearchError, SpecError
from bench.records.record import DatasetFacts
from bench.records.spec import PROTOCOL_VERSION, REFERENCE_PROTOCOL_VERSION, ReferenceSpec, RunSpec, SearchSpec
from bench.workers import tasks as worker


def model_source(spec: RunSpec) -> str:
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
                "trained elsewhere can be evaluated, but not trained again"
            )
        return baselines.source(spec.model)
    return family_source(spec.family)


def family_source(family: str) -> str:
    """The code digest of a family.

    Raises:
        SpecError: the family is unknown, or its code cannot be read.
    """
    if family not in search_spaces.names():
        raise SpecError(f"there is no family {family!r}: valid names are {', '.join(search_spaces.names())}")
    try:
        return search_spaces.source_digest(family)
    except SyntaxError as error:
        raise SpecError(f"the file of family {family!r} is not valid Python: {error}") from error
    except ValueError as error:  # defined more than once, or not readable as Python
        raise SpecError(f"family {family!r} cannot be loaded: {error}") from error


def family_space(spec: SearchSpec, dataset: DatasetFacts) -> Any:
    """The search space of a family for the images of `dataset`, as Keras Tuner's HyperParameters.

    Raises:
        SearchError: the family cannot be loaded or does not fit the images.
    """
    worker.import_libraries()
    from bench.workers.executor import describe

    try:
        family = search_spaces.load(spec.family)
        return family(dataset.image_shape, len(dataset.class_names), multiply_adds=spec.budget.multiply_adds).space()
    except Exception as error:
        raise SearchError(
            f"family {spec.family!r} cannot be built for {dataset.name}: {describe(error)}: fix that, then repeat the "
            "command"
        ) from error
