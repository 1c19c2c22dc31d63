"""Access to the models of tests/families/plain_models.py in tests of their training."""

from pathlib import Path
from typing import Any

from bench.data.catalog import DatasetLocation
from bench.records.spec import TrialSpec
from bench.training.custom.family import CustomFamily
from bench.training.family import load_family
from builders import make_trial_spec
from search_spaces import FamilyLocation

FILE = Path(__file__).parent / "families" / "plain_models.py"
SHAPE, CLASSES = (8, 8, 1), 10
DIGITS = DatasetLocation("digits")


def location(obj: str) -> FamilyLocation:
    """Where an object of the file is."""
    return FamilyLocation(name=obj.replace(".", "_"), definition=f"{FILE.name}:{obj}", file=str(FILE))


def custom(obj: str, **options: Any) -> CustomFamily:
    """An object of the file as a family for digits."""
    family = load_family(location(obj), SHAPE, CLASSES, **options)
    assert isinstance(family, CustomFamily)
    return family


def make_spec(obj: str, **changes: Any) -> TrialSpec:
    """Three epochs of the default candidate of an object of the file."""
    fields: dict[str, Any] = {
        "model": obj.replace(".", "_"),
        "definition": f"{FILE.name}:{obj}",
        "file": str(FILE),
        "horizon": 3,
    }
    return make_trial_spec(**fields | changes)
