"""The committed synthetic records give the committed report, byte for byte."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

from bench.report.build import check
from bench.report.runs import load

GOLDEN = Path(__file__).parents[1] / "golden" / "results"


def test_the_committed_records_give_the_committed_report() -> None:
    assert check(GOLDEN) == ()


def test_scores_equal_those_that_scikit_learn_computes_from_the_predictions() -> None:
    for run in load(GOLDEN).runs:
        folder = GOLDEN / "records" / "synthetic" / run.record.run_id
        with np.load(folder / "predictions.npz") as file:
            labels, predicted = file["labels"], file["log_probabilities"].argmax(axis=-1)
        accuracy = np.mean([accuracy_score(labels, by_seed) for by_seed in predicted])
        macro_f1 = np.mean([f1_score(labels, by_seed, average="macro") for by_seed in predicted])
        assert run.scores.accuracy == pytest.approx(accuracy)
        assert run.scores.macro_f1 == pytest.approx(macro_f1)
        assert (run.scores.confusion == sum(confusion_matrix(labels, by_seed) for by_seed in predicted)).all()
        page = (GOLDEN / "synthetic" / f"{run.record.spec.model}.md").read_text()
        assert f"{100 * accuracy:.2f}" in page
        assert f"{macro_f1:.4f}" in page


def test_pages_contain_no_path_of_the_machine_that_made_them() -> None:
    for page in GOLDEN.rglob("*.md"):
        assert str(GOLDEN.parent) not in page.read_text()
