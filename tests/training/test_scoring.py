"""Objectives on validation images."""

import numpy as np
import pytest

from bench.training.scoring import Scored

pytestmark = pytest.mark.slow


def test_class_without_validation_images_does_not_count() -> None:
    scored = Scored(predicted=np.array([0, 0, 1, 1]), labels=np.array([0, 0, 1, 0]), classes=3, loss=0.0)
    # Recall is 2/3 and 1, F1 is 2 * 2 / (2 + 3) and 2 * 1 / (2 + 1).
    assert scored.objective("balanced-accuracy") == pytest.approx((2 / 3 + 1) / 2)
    assert scored.objective("macro-f1") == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert scored.objective(None) == 0.75
