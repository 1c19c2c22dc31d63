"""Labels of rows."""

from collections import Counter
from collections.abc import Iterable

import msgspec

from bench.records.spec import RunSpec, SearchSpec

SHORT_DIGEST = 6


def row_labels(specs: Iterable[RunSpec]) -> dict[RunSpec, str]:
    """A name for each run, unique within its dataset: the model, with a suffix only where that is ambiguous.

    The suffix is the seed where nothing else differs, else the tuner, else a short digest of the spec.
    """
    specs = list(specs)
    models = Counter((spec.dataset, spec.model) for spec in specs)
    tuners = Counter((spec.dataset, spec.model, _tuner(spec)) for spec in specs)
    without_seed: dict[tuple[str, str], set[RunSpec]] = {}
    for spec in specs:
        without_seed.setdefault((spec.dataset, spec.model), set()).add(msgspec.structs.replace(spec, seed=0))

    def label(spec: RunSpec) -> str:
        if models[spec.dataset, spec.model] == 1:
            return spec.model
        if len(without_seed[spec.dataset, spec.model]) == 1:
            return f"{spec.model}-seed{spec.seed}"
        parts = [spec.model, *_tuner(spec)]
        if not _tuner(spec) or tuners[spec.dataset, spec.model, _tuner(spec)] > 1:
            parts.append(spec.digest[:SHORT_DIGEST])
        return "-".join(parts)

    return {spec: label(spec) for spec in specs}


def _tuner(spec: RunSpec) -> tuple[str, ...]:
    return (spec.tuner,) if isinstance(spec, SearchSpec) else ()
