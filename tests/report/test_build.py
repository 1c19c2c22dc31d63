"""The generated files: their content, and what `check` finds."""

import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from bench.records.evaluation_log import EvaluationLog
from bench.records.spec import Budget
from bench.records.store import all_folders
from bench.report.build import build, check, check_run, write
from bench.report.figures.picture import Picture, stored_digest
from bench.report.markdown import mark
from bench.report.pages.contract import Files
from bench.report.ranking import leaderboard
from bench.report.tables.errors import class_f1
from builders import add_reference, add_run, make_curve, make_environment, make_failed_trial, make_trial, page


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with a run of the family `dense` and its report, drawn once for all tests."""
    results = tmp_path_factory.mktemp("drawn") / "results"
    run = add_run(results)
    EvaluationLog(results, run.dataset.name).append(run.run_id)
    write(results)
    return results


@pytest.fixture
def results(drawn: Path, tmp_path: Path) -> Path:
    """A copy of it for a test to damage."""
    return Path(shutil.copytree(drawn, tmp_path / "results"))


PICTURES = (
    "dense-confused",
    "dense-confusion",
    "dense-curves",
    "dense-history",
    "dense-misclassified",
    "table-1-accuracy",
    "table-1-f1",
    "table-1-misclassified",
    "table-1-reliability",
    "table-1-search",
)


def files(results: Path) -> Files:
    return build(leaderboard(results))


def dataset_page(results: Path) -> str:
    """The page of the dataset."""
    return page(results, "synthetic/README.md")


def section(text: str, heading: str) -> str:
    """From the heading to the next one."""
    return text.split(f"# {heading}\n")[1].split("\n#", maxsplit=1)[0]


def test_without_a_finished_run_there_is_only_a_leaderboard(tmp_path: Path) -> None:
    assert list(files(tmp_path)) == ["leaderboard.md"]
    assert "No finished run yet. `python -m bench run --family cnn` starts one" in page(tmp_path)
    assert "Glossary" not in page(tmp_path)


def test_written_files_are_up_to_date_and_not_written_again(results: Path) -> None:
    paths = [path for path in results.rglob("*") if path.suffix in (".md", ".png")]
    assert sorted(path.relative_to(results).as_posix() for path in paths) == [
        "leaderboard.md",
        "synthetic/README.md",
        "synthetic/dense.md",
        *(f"synthetic/figures/{name}.png" for name in PICTURES),
    ]
    assert check(results) == ()
    assert write(results)[0] == ()


def test_check_finds_an_edited_and_a_missing_page(results: Path) -> None:
    (results / "synthetic" / "dense.md").unlink()
    with (results / "leaderboard.md").open("a") as file:
        file.write("99.99%\n")
    assert check(results) == (
        "leaderboard.md is out of date",
        "synthetic/dense.md is missing",
    )


def test_pictures_of_other_rows_are_not_checked_with_a_row(tmp_path: Path) -> None:
    for preset in ("default", "quick"):
        add_run(tmp_path, spec={"preset": preset})
    board = leaderboard(tmp_path)
    row = board.tables[0].rows[0]
    _, missing = check_run(board, row)
    assert row.label == "dense"
    assert {"synthetic/dense.md", "synthetic/figures/dense-curves.png"} <= set(missing)
    assert not any("dense-quick" in name for name in missing)


def test_check_finds_a_picture_of_other_data(results: Path) -> None:
    (folder,) = all_folders(results)
    record = folder.read_record()
    assert record.search is not None
    first, winner, last = record.search.trials
    trials = (first, replace(winner, curve=make_curve(3, 0.92)), last)
    folder.write_record(replace(record, origin=msgspec.structs.replace(record.search, trials=trials)))
    differences = check(results)
    assert "synthetic/figures/dense-curves.png is out of date" in differences
    assert "synthetic/figures/dense-confusion.png is out of date" not in differences


def test_check_finds_damage_in_files_that_no_page_is_made_from(results: Path) -> None:
    (folder,) = all_folders(results)
    intact = {path: path.read_text() for path in (folder.spec_file, folder.ledger)}
    folder.spec_file.write_text(intact[folder.spec_file].replace('"seed": ', '"seed": 1'))
    assert check(results)[0].endswith("spec.json: differs from the spec in record.json: restore the file")
    folder.spec_file.write_text(intact[folder.spec_file])
    folder.ledger.write_text(intact[folder.ledger].replace('"trial_ended"', '"trial_end"', 1))
    assert "trials.jsonl:" in check(results)[0]
    folder.ledger.write_text(intact[folder.ledger].replace("0.9]", "0.91]", 1))
    assert "trials.jsonl: trial 0000 differs from record.json" in check(results)[0]
    folder.ledger.write_text(intact[folder.ledger])
    assert check(results) == ()


def test_check_finds_the_torn_ledger_of_a_finished_run(results: Path) -> None:
    (folder,) = all_folders(results)
    folder.ledger.write_bytes(folder.ledger.read_bytes()[:-10])
    assert any("the last line is cut off although the run is finished" in problem for problem in check(results))


def test_check_names_an_unreadable_record_but_not_its_pages(results: Path) -> None:
    (folder,) = all_folders(results)
    folder.record_file.write_text("{")
    problems = check(results)
    assert problems[0].startswith(f"records/synthetic/{folder.path.name}/record.json: ")
    assert [line for line in problems if "belongs to no record" in line] == []


def test_a_lost_evaluation_log_is_a_problem(results: Path) -> None:
    EvaluationLog(results, "synthetic").path.unlink()
    problem = "records/synthetic/test_evaluations.jsonl: 0 evaluations for 1 finished run: restore the file"
    assert f"an unknown number of evaluations ({problem}) on the test set of" in page(results)
    assert problem in check(results)


def test_a_damaged_evaluation_log_is_named_on_the_page(results: Path) -> None:
    EvaluationLog(results, "synthetic").path.write_text("nonsense\n")
    assert "an unknown number of evaluations (records/synthetic/test_evaluations.jsonl:1: " in page(results)
    assert any(problem.startswith("records/synthetic/test_evaluations.jsonl:1: ") for problem in check(results))


@pytest.mark.parametrize("content", [b"", b"not a picture"])
def test_check_finds_a_file_that_is_not_a_picture(results: Path, content: bytes) -> None:
    (results / "synthetic" / "figures" / "dense-curves.png").write_bytes(content)
    assert check(results) == ("synthetic/figures/dense-curves.png is out of date",)


def test_check_finds_an_edited_picture_that_kept_its_metadata(results: Path) -> None:
    path = results / "synthetic" / "figures" / "dense-confusion.png"
    with Image.open(path) as image:
        metadata, edited = PngInfo(), image.convert("RGB")
        for name, value in image.info.items():
            if isinstance(name, str) and isinstance(value, str):
                metadata.add_text(name, value)
    edited.putpixel((5, 5), (255, 0, 0))
    edited.save(path, pnginfo=metadata)
    assert check(results) == ("synthetic/figures/dense-confusion.png is out of date",)
    assert write(results)[0] == (path,)
    assert check(results) == ()


def test_pages_of_an_unreadable_record_are_kept(results: Path) -> None:
    (folder,) = all_folders(results)
    folder.record_file.write_text("{")
    write(results)
    assert (results / "synthetic" / "dense.md").exists()
    assert (results / "synthetic" / "figures" / "dense-curves.png").exists()


def test_pages_without_a_record_are_found_and_removed(results: Path) -> None:
    (folder,) = all_folders(results)
    folder.record_file.unlink()
    assert check(results) == (
        "leaderboard.md is out of date",
        "synthetic/README.md belongs to no record",
        "synthetic/dense.md belongs to no record",
        *(f"synthetic/figures/{name}.png belongs to no record" for name in PICTURES),
    )
    write(results)
    assert check(results) == ()
    assert not list((results / "synthetic" / "figures").iterdir())


def test_pages_of_a_results_folder_inside_another_are_kept(results: Path) -> None:
    pages = [results / "leaderboard.md", *results.glob("synthetic/figures/*.png")]
    write(results.parent)
    assert all(page.exists() for page in pages)


def test_a_missing_ledger_is_found(results: Path) -> None:
    (folder,) = all_folders(results)
    folder.ledger.unlink()
    assert "trials.jsonl: No such file or directory: restore the file" in check(results)[0]


def test_a_page_of_a_package_that_is_not_installed_is_kept(results: Path) -> None:
    for other in (results / "other.md", results / "synthetic" / "other.md"):
        other.write_text(f"{mark('other_package')}\n# Other\n")
    assert check(results) == ()
    assert write(results)[0] == ()
    assert (results / "other.md").exists()
    assert (results / "synthetic" / "other.md").exists()


def test_files_written_by_hand_are_kept(results: Path) -> None:
    notes, picture = results / "synthetic" / "notes.md", results / "synthetic" / "figures" / "mine.png"
    notes.write_text("# Mine")
    picture.write_bytes(b"mine")
    assert check(results) == ()
    assert write(results)[0] == ()
    assert (notes.read_text(), picture.read_bytes()) == ("# Mine", b"mine")


def test_two_budgets_are_in_two_tables_that_name_the_difference(tmp_path: Path) -> None:
    add_run(tmp_path)
    add_run(tmp_path, spec={"family": "cnn", "budget": Budget(trials=2, epochs=3)})
    text = dataset_page(tmp_path)
    assert "## Table 1: budget 12 epochs (equivalent to 4 trials of 3 epochs)" in text
    assert "## Table 2: budget 6 epochs (equivalent to 2 trials of 3 epochs)" in text
    assert "- budget: 6 epochs (equivalent to 2 trials of 3 epochs); in table 1: 12 epochs (equivalent to 4 " in text


def test_a_single_seed_has_no_interval(tmp_path: Path) -> None:
    add_run(tmp_path, [range(3)], spec={"refit_seeds": 1})
    assert "A model with a single seed has no interval" in page(tmp_path)
    assert "One refit on 200 test images" in page(tmp_path, "synthetic/dense.md")


def test_different_machines_are_named_next_to_the_costs(tmp_path: Path) -> None:
    add_run(tmp_path)
    add_run(tmp_path, spec={"family": "cnn"}, environment=make_environment(cpu="Synthetic CPU B"))
    costs = section(dataset_page(tmp_path), "Costs")
    assert "different machines (Synthetic CPU A; Synthetic CPU B)" in costs
    machines = "tuned models: Synthetic CPU A and Synthetic CPU B"
    assert f"different machines ({machines}), so this table has no times" in page(tmp_path)
    assert "are not comparable" in " ".join(costs.split())


def test_shared_details_are_listed_once_and_different_ones_by_model(tmp_path: Path) -> None:
    add_run(tmp_path)
    add_run(tmp_path, spec={"family": "cnn", "tuner": "grid"}, environment=make_environment(git_commit="b" * 40))
    measured = section(dataset_page(tmp_path), "Methods and environment")
    shared, different = measured.split("Differences between rows")
    assert "TensorFlow 2.21.0" in shared
    assert "grid" not in shared
    (row,) = re.findall(r"^\| cnn +\|.*$", different, re.MULTILINE)
    assert "| grid" in row
    assert row.endswith("| bbbbbbb      |")


def test_the_page_counts_test_set_evaluations(tmp_path: Path) -> None:
    (kept := EvaluationLog(tmp_path, "synthetic")).append(add_run(tmp_path).run_id)
    title = "Synthetic test data (not a real dataset)"
    assert f"contains 1 evaluation on the test set of {title}.\n" in page(tmp_path)
    kept.append("dense-random-0123456789")
    assert "1 is no longer in the folder, a run of dense with other settings or code. Its test" in page(tmp_path)
    kept.append("baseline-majority-0123456789")
    text = (
        f"contains 3 evaluations on the test set of {title}. Of the 3 evaluated runs, 2 are no longer in the folder, "
        "among them 1 of dense with other settings or code."
    )
    assert text in page(tmp_path)
    assert text in section(dataset_page(tmp_path), "Known limitations")


def test_a_bfloat16_search_is_a_known_limitation(tmp_path: Path) -> None:
    add_run(tmp_path)
    assert "search in bfloat16" not in dataset_page(tmp_path)
    add_run(tmp_path, spec={"family": "cnn", "precision": "bfloat16"})
    assert "search in bfloat16" in dataset_page(tmp_path)


def test_class_names_cannot_break_a_table(tmp_path: Path) -> None:
    add_run(tmp_path)
    assert r"Star\|fish" in dataset_page(tmp_path)
    assert r"Star\|fish" in page(tmp_path, "synthetic/dense.md")


def lines(text: str, heading: str) -> Sequence[list[str]]:
    rows = [line for line in section(text, heading).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]


def cells(text: str, heading: str) -> Sequence[list[str]]:
    return lines(text, heading)[2:]


def test_trials_are_sorted_by_score_and_failed_ones_have_a_reason(tmp_path: Path) -> None:
    trials = (
        make_failed_trial(0, "Traceback\n  File ...\nValueError: loss | NaN"),
        make_trial(1, 0.91),
        make_trial(2, 0.93, epochs=1),
        make_trial(3, 0.93, epochs=1, duplicate_of="0002"),
        make_trial(4, 0.90, parent="0002", initial_epoch=1),
    )
    add_run(tmp_path, search={"trials": trials})
    text = page(tmp_path, "synthetic/dense.md")
    assert [row[:3] for row in cells(text, "Trials")[:5]] == [
        ["0002", "completed", "93.00"],
        ["0003", "completed, duplicate of 0002", "93.00"],
        ["0001", "winner", "91.00"],
        ["0004", "completed, continues 0002", "90.00"],
        ["0000", "failed", "-"],
    ]
    assert r"ValueError: loss \| NaN" in section(text, "Trials")


def test_hyperparameters_are_listed_with_their_ranges(tmp_path: Path) -> None:
    add_run(tmp_path)
    assert cells(page(tmp_path, "synthetic/dense.md"), "Hyperparameters") == [
        ["layers", "1", "1, 2", "always"],
        ["units_1", "64", "32, 64, 96, 128, 160", "always"],
        ["units_2", "inactive", "32, 64", "layers is 2"],
        ["rate", "0.001", "0.0001 to 0.01", "always"],
    ]


def test_a_model_without_misclassifications_has_no_picture_of_them(tmp_path: Path) -> None:
    add_run(tmp_path, [[], [], []])
    assert "synthetic/figures/dense-misclassified.png" not in files(tmp_path)
    assert "No test image is misclassified" in page(tmp_path, "synthetic/dense.md")
    assert "No model misclassifies an image" in dataset_page(tmp_path)


def test_several_runs_of_a_family_share_a_page(tmp_path: Path) -> None:
    add_run(tmp_path)
    add_run(tmp_path, spec={"tuner": "grid"})
    text = page(tmp_path, "synthetic/dense.md")
    assert "## dense-random\n" in text
    assert "## dense-grid\n" in text


def test_pictures_are_small_and_carry_their_digest(results: Path) -> None:
    pictures = {name: content for name, content in files(results).items() if isinstance(content, Picture)}
    assert len(pictures) == len(PICTURES)
    for name, picture in pictures.items():
        assert stored_digest(results / name) == picture.digest
        assert (results / name).stat().st_size < 150_000


@pytest.fixture
def crowd(tmp_path: Path) -> Path:
    """A results folder with a table of twelve rows: model0 without errors to model11 with 22 of 200."""
    for number in range(12):
        add_run(tmp_path, [range(2 * number)] * 3, spec={"family": f"model{number}", "tuner": f"tuner{number % 4}"})
    return tmp_path


def models_with_curves(results: Path) -> set[str]:
    return {
        Path(name).stem.removesuffix("-curves")
        for name, content in files(results).items()
        if isinstance(content, Picture) and "curves" in name
    }


def test_in_a_table_with_more_than_ten_rows_only_the_best_has_figures(crowd: Path) -> None:
    assert models_with_curves(crowd) == {"model0"}
    best, second = (page(crowd, f"synthetic/model{number}.md") for number in (0, 1))
    note = "This table has more than 10 models, so only the best one has figures."
    assert note not in best
    assert note in second
    assert best.count("](figures/") == 3  # it has no misclassified images, and few trials
    assert "](figures/" not in second
    assert len(cells(second, "Most confident misclassifications")) == 2  # two images
    assert "Hyperparameter importance is not shown: it is computed only for the best model of a large table." in second


def test_runs_that_are_not_among_the_ten_best_are_listed(crowd: Path) -> None:
    ninth, tenth = (page(crowd, f"synthetic/model{number}.md") for number in (9, 10))
    assert "## Other runs" not in ninth
    assert "### Hyperparameters" not in tenth
    ((rank, model, accuracy, budget, _, run),) = cells(tenth, "Other runs")
    assert (model, budget) == ("model10", "12 epochs (equivalent to 4 trials of 3 epochs)")
    assert run.startswith("model10-")
    assert accuracy.startswith("90.00")  # 20 of 200 images are misclassified
    assert rank.endswith(" to 12")


def test_in_a_table_with_ten_rows_all_have_figures(tmp_path: Path) -> None:
    for number in range(10):
        add_run(tmp_path, [range(number)] * 3, spec={"family": f"model{number}"})
    assert models_with_curves(tmp_path) == {f"model{number}" for number in range(10)}


def test_only_the_first_ten_are_shown_side_by_side(crowd: Path) -> None:
    text = dataset_page(crowd)
    first = [f"model{number}" for number in range(10)]
    assert len(cells(text, "Uncertainty")) == len(cells(text, "Costs")) == 12
    for heading in ("F1 by class", "Confused classes"):
        assert "Only the first 10 models are shown" in section(text, heading)
        assert "model10" not in section(text, heading)
    assert list(class_f1(leaderboard(crowd).tables[0].top)) == first
    different = section(text, "Methods and environment").split("Differences between rows")[1]
    assert "| model11 " in different


def test_images_that_the_ten_best_misclassify_are_not_said_to_be_misclassified_by_all(tmp_path: Path) -> None:
    for number in range(11):
        add_run(tmp_path, [range(number + 1)] * 3, spec={"family": f"model{number}"})
    shared = " ".join(section(dataset_page(tmp_path), "Images every network misclassifies").split())
    assert "1 test image is misclassified by every refit of every network among the first 10 models." in shared


def test_details_that_only_the_ten_best_share_are_not_shared_details(tmp_path: Path) -> None:
    for number in range(11):
        add_run(tmp_path, [range(number)] * 3, spec={"family": f"model{number}"}, workers=2 if number < 10 else 7)
    shared, different = section(dataset_page(tmp_path), "Methods and environment").split("Differences between rows")
    assert "| workers" not in shared
    assert "| workers" in different


def test_figures_of_a_model_that_is_no_longer_the_best_are_found(results: Path) -> None:
    for number in range(10):
        add_run(results, [[number]] * 3, spec={"family": f"better{number}"})
    differences = check(results)
    for kind in ("confusion", "curves", "misclassified"):
        assert f"synthetic/figures/dense-{kind}.png belongs to no record" in differences
    assert "synthetic/dense.md is out of date" in differences


def test_many_rows_that_are_not_significantly_different_are_counted(tmp_path: Path) -> None:
    for number in range(11):
        add_run(tmp_path, [[number]] * 3, spec={"family": f"model{number:02}"})
    first = cells(dataset_page(tmp_path), "Uncertainty")[0]
    assert first[-1] == "model01, model02, model03, model04, model05 and 5 more"


def test_a_value_outside_the_listed_space_is_drawn(tmp_path: Path) -> None:
    trials = (make_trial(0, 0.8), make_trial(1, 0.9), make_trial(2, 0.85, values={"units_1": 999}))
    add_run(tmp_path, search={"trials": trials})
    content = files(tmp_path)["synthetic/figures/dense-hyperparameters.png"]
    assert isinstance(content, Picture)
    assert content.png()


def test_later_tables_repeat_only_the_best_reference_model(tmp_path: Path) -> None:
    for preset in ("default", "quick"):
        add_run(tmp_path, spec={"preset": preset})
    add_reference(tmp_path, [range(9)] * 3)
    add_reference(tmp_path, [range(90)] * 3, spec={"model": "baseline-majority"})
    text = dataset_page(tmp_path)
    first, second = text.split("## Table 2: ")
    assert [row[0] for row in cells(first, "Costs")][1:] == ["tutorial-linear", "baseline-majority"]
    assert [row[0] for row in cells(second, "Costs")][1:] == ["tutorial-linear"]
    assert "Reference models of table 1, except the best, are not repeated;" in second
