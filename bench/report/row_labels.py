"""Names of rows: the model, with suffixes where that is ambiguous."""

from collections.abc import Iterable, Mapping

from bench.records.limits import DEFAULT_PRESET
from bench.records.spec import RunSpec, SearchSpec

SHORT_DIGEST = 6


def row_labels(specs: Iterable[RunSpec]) -> dict[RunSpec, str]:
    """A name for each run, unique within its dataset: the model, with suffixes only where that is ambiguous.

    The suffixes are the preset unless it is the default one, the tuner, and the seed, each only if it differs between
    runs with the same name so far, and a short digest of the spec if that is not enough.
    """
    labels = {spec: spec.model for spec in specs}
    for suffix in (_preset, _tuner, seed_suffix):
        for same in _ambiguous(labels):
            if len({suffix(spec) for spec in same}) > 1:
                labels |= {spec: f"{labels[spec]}{suffix(spec)}" for spec in same}
    for same in _ambiguous(labels):
        labels |= {spec: f"{labels[spec]}-{spec.digest[:SHORT_DIGEST]}" for spec in same}
    return labels


def _ambiguous(labels: Mapping[RunSpec, str]) -> list[list[RunSpec]]:
    """Specs that share a name."""
    by_name: dict[tuple[str, str], list[RunSpec]] = {}
    for spec, label in labels.items():
        by_name.setdefault((spec.dataset, label), []).append(spec)
    return [same for same in by_name.values() if len(same) > 1]


def _preset(spec: RunSpec) -> str:
    if not isinstance(spec, SearchSpec) or spec.preset == DEFAULT_PRESET:
        return ""
    return f"-{spec.preset}" if spec.preset else "-custom"


def _tuner(spec: RunSpec) -> str:
    return f"-{spec.tuner}" if isinstance(spec, SearchSpec) else ""


def seed_suffix(spec: RunSpec) -> str:
    """The suffix of a search that differs from others in its seed."""
    return f"-seed{spec.seed}"
