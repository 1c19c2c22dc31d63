"""The table, the verdict and the next steps at the end of a run."""

from pathlib import Path

from bench.report.ranking import leaderboard
from bench.report.run_summary import run_summary
from bench.report.terminal import leaderboard_text
from builders import add_reference, add_run, make_environment, make_trial

FEW_ERRORS = [range(3)] * 3  # misclassified in every seed, of 200 images: 98.5%
MANY_ERRORS = [range(40)] * 3  # 80%


def test_all_runs_are_in_one_table_best_first(tmp_path: Path) -> None:
    dense = add_run(tmp_path, MANY_ERRORS)
    cnn = add_run(tmp_path, FEW_ERRORS, spec={"family": "cnn"})
    add_run(tmp_path, FEW_ERRORS, spec={"family": "linear"})
    text = run_summary(tmp_path, [dense.run_id, cnn.run_id])
    assert text.count("\n----") == 1
    assert text.index("   1  cnn ") < text.index("   2  dense ")
    assert "linear" not in text


def test_verdict_compares_the_families(tmp_path: Path) -> None:
    runs = [add_run(tmp_path, MANY_ERRORS), add_run(tmp_path, FEW_ERRORS, spec={"family": "cnn"})]
    text = run_summary(tmp_path, [run.run_id for run in runs])
    # 37 of 200 images: 18.5 points.
    assert "cnn is 18.50 points better than dense (95% CI " in " ".join(text.split())


def test_next_steps_name_pages_and_commands(tmp_path: Path) -> None:
    runs = [add_run(tmp_path, MANY_ERRORS), add_run(tmp_path, FEW_ERRORS, spec={"family": "cnn"})]
    text = run_summary(tmp_path, [run.run_id for run in runs])
    assert f"Report: {tmp_path}/synthetic/cnn.md\nReport: {tmp_path}/synthetic/dense.md\n" in text
    assert f"Leaderboard: {tmp_path}/leaderboard.md\n" in text
    assert text.endswith(
        f"Next: python -m bench show cnn --results {tmp_path}\n"
        f"Next: python -m bench compare cnn dense --results {tmp_path}"
    )


def test_next_steps_name_runs_on_several_datasets_by_their_ids(tmp_path: Path) -> None:
    for dataset in ("other", "synthetic"):
        dense = add_run(tmp_path, MANY_ERRORS, spec={"dataset": dataset})
        cnn = add_run(tmp_path, FEW_ERRORS, spec={"dataset": dataset, "family": "cnn"})
    assert run_summary(tmp_path, [dense.run_id, cnn.run_id]).endswith(
        f"Next: python -m bench show {cnn.run_id} --results {tmp_path}\n"
        f"Next: python -m bench compare {cnn.run_id} {dense.run_id} --results {tmp_path}"
    )


def test_single_run_is_compared_with_the_best_reference_model(tmp_path: Path) -> None:
    run = add_run(tmp_path, FEW_ERRORS)
    add_reference(tmp_path, MANY_ERRORS)
    text = run_summary(tmp_path, [run.run_id])
    assert "   -  tutorial-linear " in text
    assert "tutorial-linear is 18.50 points worse than dense" in text
    assert "bench compare" not in text


def test_reference_model_is_compared_with_the_best_tuned_model(tmp_path: Path) -> None:
    add_run(tmp_path, FEW_ERRORS)
    reference = add_reference(tmp_path, MANY_ERRORS)
    text = run_summary(tmp_path, [reference.run_id])
    assert "tutorial-linear is 18.50 points worse than dense" in text
    assert text.count("-  tutorial-linear ") == 1


def test_times_of_different_machines_are_not_comparable(tmp_path: Path) -> None:
    run = add_run(tmp_path, FEW_ERRORS)
    add_reference(tmp_path, MANY_ERRORS)
    assert "times are not comparable" not in run_summary(tmp_path, [run.run_id])
    other = add_run(tmp_path, FEW_ERRORS, spec={"family": "cnn"}, environment=make_environment(cpu="Another"))
    assert "\nFrom different machines: times are not comparable.\n" in run_summary(tmp_path, [other.run_id])


def test_lines_fit_a_terminal(tmp_path: Path) -> None:
    runs = [add_run(tmp_path, MANY_ERRORS), add_run(tmp_path, FEW_ERRORS, spec={"family": "cnn"})]
    add_reference(tmp_path, MANY_ERRORS)
    text = run_summary(tmp_path, [run.run_id for run in runs]).partition("Report: ")[0]
    assert max(map(len, text.splitlines())) <= 80


def test_run_that_a_newer_repeat_replaces_on_the_pages_has_no_row(tmp_path: Path) -> None:
    old = add_run(tmp_path, MANY_ERRORS)
    add_run(tmp_path, FEW_ERRORS, repeat=2)
    assert run_summary(tmp_path, [old.run_id]) == f"Leaderboard: {tmp_path}/leaderboard.md"


def test_differences_are_from_the_model_chosen_by_validation_accuracy(tmp_path: Path) -> None:
    dense = add_run(tmp_path, MANY_ERRORS, search={"trials": (make_trial(1, 0.99),)})
    cnn = add_run(tmp_path, FEW_ERRORS, spec={"family": "cnn"}, search={"trials": (make_trial(1, 0.9),)})
    for text in (run_summary(tmp_path, [dense.run_id, cnn.run_id]), leaderboard_text(leaderboard(tmp_path))):
        lines = {line.split()[1]: line.split() for line in text.splitlines() if line.startswith("   ")}
        assert (lines["cnn"][-3], lines["dense"][-3]) == ("+18.50", "-")
        note = "Differences are from dense, the tuned model with the best validation accuracy."
        assert note in " ".join(text.split())
