"""What a search maximizes, in words."""

from bench.records.choices import Objective
from bench.records.spec import RunSpec, SearchSpec

NAMES: dict[Objective | None, str] = {
    None: "accuracy",
    "macro-f1": "macro F1",
    "balanced-accuracy": "balanced accuracy",
}


def objective_name(spec: RunSpec) -> str:
    """The metric that a search maximizes; accuracy for a reference model."""
    return NAMES[spec.objective if isinstance(spec, SearchSpec) else None]


def score_name(spec: RunSpec) -> str:
    """The score of a trial: the metric on the validation images."""
    return f"validation {objective_name(spec)}"
