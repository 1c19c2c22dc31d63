"""Reproductions of published runs: their rows, the published model's page, and what they leave unchanged."""

from pathlib import Path

from bench.records.evaluation_log import EvaluationLog
from bench.records.store import RunFolder, all_folders, now
from bench.report.board import Table
from bench.report.build import build, check, write
from bench.report.ranking import leaderboard
from bench.report.rows_json import rows_json
from bench.report.terminal import leaderboard_text
from builders import add_reference, add_run, make_environment, make_reproduction, page

PUBLISHED = [range(20), range(1, 21), range(2, 22)]  # misclassified images of 200 in each seed
OTHER = [range(22), range(1, 23), range(2, 24)]
MACHINE = make_environment(cpu="Synthetic CPU B", keras="3.13.0")


def publish(results: Path) -> RunFolder:
    """Two tuned models, of which the worse one, dense, is returned."""
    add_run(results, [range(3)] * 3, spec={"family": "cnn"})
    dense = add_run(results, PUBLISHED)
    return RunFolder(results / "records" / "synthetic" / dense.run_id)


def reproduce_differently(results: Path, published: RunFolder, repeat: int = 2) -> str:
    """Add a run with other predictions, and its entry next to the published record."""
    run = add_run(
        results,
        OTHER,
        repeat=repeat,
        environment=MACHINE,
        reproduces=published.path.name,
        finished=f"2026-02-0{repeat}T00:00:00+00:00",
    )
    published.append_reproduction(
        make_reproduction(
            run_id=run.run_id,
            environment=MACHINE,
            conditions={"keras": ("3.15.1", "3.13.0")},
            identical=False,
            changed_predictions=6,
            test_accuracy=0.89,
        )
    )
    return run.run_id


def only_table(results: Path) -> Table:
    (table,) = leaderboard(results).tables
    return table


def test_an_identical_reproduction_adds_no_row_and_is_listed_on_the_models_page(tmp_path: Path) -> None:
    published = publish(tmp_path)
    before = page(tmp_path, "leaderboard.md")
    published.append_reproduction(make_reproduction(environment=MACHINE))
    assert page(tmp_path, "leaderboard.md") == before
    text = page(tmp_path, "synthetic/dense.md").split("### Reproductions")[1]
    assert "2026-02-01" in text
    assert "Synthetic CPU B, 2 usable cores" in text
    assert "Keras 3.13.0" in text
    assert "identical" in text


def test_an_identical_reproduction_is_no_run_that_is_no_longer_in_the_folder(tmp_path: Path) -> None:
    published, log = publish(tmp_path), EvaluationLog(tmp_path, "synthetic")
    for folder in all_folders(tmp_path):
        log.append(folder.run_id)
    log.append(f"{published.run_id}-repeat2")
    assert "Of the 3 evaluated runs, 1 is no longer in the folder. Its test accuracy" in page(
        tmp_path, "leaderboard.md"
    )
    published.append_reproduction(make_reproduction(time=now()))
    assert "3 evaluations on the test set of " in page(tmp_path, "leaderboard.md")
    assert "no longer in the folder" not in page(tmp_path, "leaderboard.md")


def test_a_different_reproduction_has_its_own_marked_row_with_the_conditions(tmp_path: Path) -> None:
    published = publish(tmp_path)
    run_id = reproduce_differently(tmp_path, published)
    (row,) = only_table(tmp_path).reproductions
    assert (row.label, row.run.stem, row.rank) == ("dense (reproduction)", "dense-reproduction", None)
    text = page(tmp_path, "synthetic/README.md").split("### Reproductions")[1]
    # 22 instead of 20 of 200 images are misclassified.
    assert "dense (reproduction)" in text
    assert "-1.00" in text
    assert "88.00 to 92.00, inside" in text
    assert "keras: 3.13.0 instead of 3.15.1" in text
    model = page(tmp_path, "synthetic/dense.md")
    assert "## dense (reproduction)\n\n**Test accuracy 89.00%" in model
    assert "6 changed predictions" in model
    assert "synthetic/figures/dense-reproduction-curves.png" in build(leaderboard(tmp_path))
    rows = {row["label"]: row for row in rows_json(leaderboard(tmp_path))}
    assert rows["dense (reproduction)"]["run_id"] == run_id
    assert rows["dense (reproduction)"]["reproduces"] == published.path.name
    assert "dense (reproduction)" in leaderboard_text(leaderboard(tmp_path))


def test_a_reproduction_on_another_machine_is_in_the_wide_table(tmp_path: Path) -> None:
    reproduce_differently(tmp_path, publish(tmp_path))
    assert "dense (reproduction)" in leaderboard_text(leaderboard(tmp_path), wide=True)


def test_a_reproduction_changes_neither_the_published_rows_nor_their_tests(tmp_path: Path) -> None:
    published = publish(tmp_path)
    before = only_table(tmp_path)
    reproduce_differently(tmp_path, published)
    after = only_table(tmp_path)
    assert [(row.label, row.rank, row.not_different_from) for row in after.rows] == [
        (row.label, row.rank, row.not_different_from) for row in before.rows
    ]
    assert after.pair_tests == before.pair_tests
    assert after.machines == before.machines


def test_several_reproductions_are_numbered_by_date(tmp_path: Path) -> None:
    published = publish(tmp_path)
    first, second = (reproduce_differently(tmp_path, published, repeat) for repeat in (3, 2))
    labels = {row.run.record.run_id: row.label for row in only_table(tmp_path).reproductions}
    assert labels == {second: "dense (reproduction)", first: "dense (reproduction 2)"}


def test_a_reproduction_of_a_run_that_a_newer_repeat_has_replaced_is_left_out(tmp_path: Path) -> None:
    reproduce_differently(tmp_path, publish(tmp_path))
    add_run(tmp_path, PUBLISHED, repeat=3, finished="2026-03-01T00:00:00+00:00")
    table = only_table(tmp_path)
    assert [row.record.run_id.endswith("-repeat3") for row in table.rows] == [False, True]
    assert table.reproductions == ()


def test_a_reproduction_of_a_reference_model_is_in_every_table_of_it(tmp_path: Path) -> None:
    add_run(tmp_path, PUBLISHED)
    published = add_reference(tmp_path, PUBLISHED)
    add_reference(tmp_path, OTHER, repeat=2, reproduces=published.run_id)
    assert [row.label for row in only_table(tmp_path).reproductions] == ["tutorial-linear (reproduction)"]
    assert [row.label for row in only_table(tmp_path).references] == ["tutorial-linear"]


def test_a_reproduction_of_a_reference_model_is_shown_once(tmp_path: Path) -> None:
    for preset in ("default", "quick"):
        add_run(tmp_path, PUBLISHED, spec={"preset": preset})
    published = add_reference(tmp_path, PUBLISHED)
    add_reference(tmp_path, OTHER, repeat=2, reproduces=published.run_id)
    assert leaderboard_text(leaderboard(tmp_path)).count("tutorial-linear (reproduction)") == 1
    assert page(tmp_path, "synthetic/README.md").count("### Reproductions") == 1


def test_a_reproduction_without_its_published_run_is_an_ordinary_row(tmp_path: Path) -> None:
    add_run(tmp_path, OTHER, reproduces="dense-random-gone")
    assert [row.label for row in only_table(tmp_path).rows] == ["dense"]
    assert only_table(tmp_path).reproductions == ()


def test_the_report_is_up_to_date_after_a_reproduction(tmp_path: Path) -> None:
    published = publish(tmp_path)
    reproduce_differently(tmp_path, published)
    write(tmp_path)
    problems = [problem for problem in check(tmp_path) if "test_evaluations.jsonl" not in problem]
    assert problems == []


def test_a_damaged_file_of_reproductions_is_a_problem(tmp_path: Path) -> None:
    published = publish(tmp_path)
    published.reproductions_file.write_text("nonsense\n")
    (problem,) = leaderboard(tmp_path).problems
    assert problem.startswith(f"records/synthetic/{published.path.name}/reproductions.jsonl:1: ")


def test_an_interval_is_missing_for_a_single_seed(tmp_path: Path) -> None:
    published = publish(tmp_path)
    single = make_reproduction(prediction_interval=None, identical=False, changed_predictions=1)
    published.append_reproduction(single)
    assert "1 changed prediction " in page(tmp_path, "synthetic/dense.md")
