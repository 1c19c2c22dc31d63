"""The generated files: what stands in them, and what `check` finds."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from bench.records.record import Usage
from bench.records.spec import TUNERS, Budget
from bench.records.store import all_folders, note_test_reading
from bench.report.figures import Picture, stored_digest
from bench.report.report import build, check, write
from builders import add_run, make_curve, make_environment, make_failed_trial, make_trial


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with the run of a family `dense` and its report, drawn once for all tests."""
    results = tmp_path_factory.mktemp("drawn") / "results"
    run = add_run(results)
    note_test_reading(results, run.dataset.name, run.run_id, run.finished)
    write(results)
    return results


@pytest.fixture
def results(drawn: Path, tmp_path: Path) -> Path:
    """A copy of it, to be spoilt."""
    return Path(shutil.copytree(drawn, tmp_path / "results"))


PICTURES = (
    "dense-confused",
    "dense-confusion",
    "dense-curves",
    "dense-hyperparameters",
    "dense-mistakes",
    "table-1-accuracy",
    "table-1-missed",
    "table-1-reliability",
    "table-1-search",
)


def page(results: Path, name: str = "leaderboard.md") -> str:
    content = build(results)[name]
    assert isinstance(content, bytes)
    return content.decode()


def whole(results: Path) -> str:
    """The dataset's page."""
    return page(results, "synthetic/README.md")


def section(text: str, heading: str) -> str:
    """From the heading to the next one."""
    return text.split(f"# {heading}\n")[1].split("\n#", maxsplit=1)[0]


def test_without_a_finished_run_the_page_says_so(tmp_path: Path) -> None:
    assert list(build(tmp_path)) == ["leaderboard.md"]
    assert "No run is finished yet" in page(tmp_path)
    assert "Glossary" not in page(tmp_path)


def test_what_was_written_is_up_to_date_and_stays_untouched(results: Path) -> None:
    found = [path for path in results.rglob("*") if path.suffix in (".md", ".png")]
    assert sorted(path.relative_to(results).as_posix() for path in found) == [
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
        file.write("99.99 %\n")
    assert check(results) == (
        "leaderboard.md differs from what the records give",
        "synthetic/dense.md is missing",
    )


def test_check_finds_a_picture_made_from_something_else(results: Path) -> None:
    (folder,) = all_folders(results)
    record = folder.read_record()
    winner = replace(record.trials[1], curve=make_curve(3, 0.92))
    folder.write_record(replace(record, trials=(record.trials[0], winner, record.trials[2])))
    differences = check(results)
    assert "synthetic/figures/dense-curves.png differs from what the records give" in differences
    assert "synthetic/figures/dense-confusion.png differs from what the records give" not in differences


def test_check_finds_damage_in_what_no_table_is_made_from(results: Path) -> None:
    (folder,) = all_folders(results)
    whole = {path: path.read_text() for path in (folder.spec_file, folder.ledger)}
    folder.spec_file.write_text(whole[folder.spec_file].replace('"lookahead": ', '"lookahead": 1'))
    assert check(results)[0].endswith("spec.json: asks for another run than record.json: restore it")
    folder.spec_file.write_text(whole[folder.spec_file])
    folder.ledger.write_text(whole[folder.ledger].replace('"told"', '"tol"', 1))
    assert "trials.jsonl:" in check(results)[0]
    folder.ledger.write_text(whole[folder.ledger].replace("0.9]", "0.91]", 1))
    assert "trials.jsonl: has another trial" in check(results)[0]
    folder.ledger.write_text(whole[folder.ledger])
    assert check(results) == ()


def test_finished_run_whose_ledger_is_cut_off_fails_the_check(results: Path) -> None:
    (folder,) = all_folders(results)
    folder.ledger.write_bytes(folder.ledger.read_bytes()[:-10])
    assert any("its last line is cut off, and the run is finished" in found for found in check(results))


def test_check_names_a_record_that_cannot_be_read_and_not_its_pages(results: Path) -> None:
    (folder,) = all_folders(results)
    folder.record_file.write_text("{")
    found = check(results)
    assert found[0].startswith(f"records/synthetic/{folder.path.name}/record.json: ")
    assert [line for line in found if "is asked for by no record" in line] == []


def test_lost_readings_of_the_test_part_are_not_called_none(results: Path) -> None:
    (results / "records" / "synthetic" / "test_readings.jsonl").unlink(missing_ok=True)
    said = "records/synthetic/test_readings.jsonl: 0 readings for 1 judged runs: restore the file"
    assert f"read an unknown number of times ({said})" in page(results)
    assert said in check(results)


def test_a_damaged_ledger_of_readings_is_told_and_the_page_is_still_made(results: Path) -> None:
    (results / "records" / "synthetic" / "test_readings.jsonl").write_text("nonsense\n")
    assert "read an unknown number of times (records/synthetic/test_readings.jsonl:1: " in page(results)
    assert any(found.startswith("records/synthetic/test_readings.jsonl:1: ") for found in check(results))


@pytest.mark.parametrize("content", [b"", b"not a picture"])
def test_check_finds_a_picture_that_is_none(results: Path, content: bytes) -> None:
    (results / "synthetic" / "figures" / "dense-curves.png").write_bytes(content)
    assert check(results) == ("synthetic/figures/dense-curves.png differs from what the records give",)


def test_check_finds_an_edited_picture_that_kept_its_marks(results: Path) -> None:
    path = results / "synthetic" / "figures" / "dense-confusion.png"
    with Image.open(path) as image:
        marks, edited = PngInfo(), image.convert("RGB")
        for name, value in image.info.items():
            if isinstance(name, str) and isinstance(value, str):
                marks.add_text(name, value)
    edited.putpixel((5, 5), (255, 0, 0))
    edited.save(path, pnginfo=marks)
    assert check(results) == ("synthetic/figures/dense-confusion.png differs from what the records give",)
    assert write(results)[0] == (path,)
    assert check(results) == ()


def test_pages_of_a_record_that_cannot_be_read_are_kept(results: Path) -> None:
    (folder,) = all_folders(results)
    folder.record_file.write_text("{")
    write(results)
    assert (results / "synthetic" / "dense.md").exists()
    assert (results / "synthetic" / "figures" / "dense-curves.png").exists()


def test_what_no_record_asks_for_is_found_and_removed(results: Path) -> None:
    (folder,) = all_folders(results)
    folder.record_file.unlink()
    assert check(results) == (
        "leaderboard.md differs from what the records give",
        "synthetic/README.md is asked for by no record",
        "synthetic/dense.md is asked for by no record",
        *(f"synthetic/figures/{name}.png is asked for by no record" for name in PICTURES),
    )
    write(results)
    assert check(results) == ()
    assert not list((results / "synthetic" / "figures").iterdir())


def test_files_made_by_hand_are_left_alone(results: Path) -> None:
    notes, picture = results / "synthetic" / "notes.md", results / "synthetic" / "figures" / "mine.png"
    notes.write_text("# Mine")
    picture.write_bytes(b"mine")
    assert check(results) == ()
    assert write(results)[0] == ()
    assert (notes.read_text(), picture.read_bytes()) == ("# Mine", b"mine")


def test_a_damaged_record_is_listed_and_the_others_are_reported(tmp_path: Path) -> None:
    add_run(tmp_path)
    broken = add_run(tmp_path, spec={"family": "cnn"})
    (tmp_path / "records" / "synthetic" / broken.run_id / "record.json").write_text("{")
    assert f"- records/synthetic/{broken.run_id}/record.json: " in page(tmp_path)
    assert "(dense.md)" in whole(tmp_path)


def test_two_budgets_stand_in_two_tables_that_name_the_difference(tmp_path: Path) -> None:
    add_run(tmp_path)
    add_run(tmp_path, spec={"family": "cnn", "budget": Budget(trials=2, epochs=3)})
    text = page(tmp_path)
    assert "### Table 1: budget of 4 trials x 3 epochs" in text
    assert "### Table 2: budget of 2 trials x 3 epochs" in text
    assert "- budget: 2 trials x 3 epochs here, 4 trials x 3 epochs in table 1" in text


def test_one_seed_is_said_to_have_no_interval(tmp_path: Path) -> None:
    add_run(tmp_path, [range(3)], spec={"seeds": 1})
    assert "A model trained under one seed has no interval" in page(tmp_path)
    assert "One refit only" in page(tmp_path, "synthetic/dense.md")


def test_two_machines_are_named_where_seconds_stand(tmp_path: Path) -> None:
    add_run(tmp_path)
    add_run(tmp_path, spec={"family": "cnn"}, environment=make_environment(cpu="Synthetic CPU B"))
    costs = section(whole(tmp_path), "What they cost")
    assert "different machines (Synthetic CPU A; Synthetic CPU B)" in costs
    assert "are not compared" in costs


def test_what_rows_share_is_told_once_and_what_differs_side_by_side(tmp_path: Path) -> None:
    add_run(tmp_path)
    add_run(tmp_path, spec={"family": "cnn", "tuner": "grid"})
    measured = section(whole(tmp_path), "How it was measured")
    alike, differently = measured.split("Different from row to row")
    assert "TensorFlow 2.21.0" in alike
    assert "grid" not in alike
    assert "grid" in differently


def test_what_older_records_did_not_keep_is_said_to_be_missing(tmp_path: Path) -> None:
    usage = Usage(start_seconds=5, search_idle_seconds=6, refit_idle_seconds=7, judge_idle_seconds=8)
    add_run(tmp_path, [range(3)] * 3)
    add_run(tmp_path, [range(9)] * 3, spec={"family": "cnn"}, usage=usage)
    differently = section(whole(tmp_path), "How it was measured").split("Different from row to row")[1]
    (start,) = [line for line in differently.splitlines() if line.startswith("| start-up")]
    assert [cell.strip() for cell in start.strip("|").split("|")] == [
        "start-up",
        "not recorded",
        "5 s until the first trial",
    ]


def test_the_page_tells_how_often_the_test_part_was_read(tmp_path: Path) -> None:
    for _ in range(2):
        note_test_reading(tmp_path, "synthetic", "dense", "2026-01-01T00:00:00+00:00")
    add_run(tmp_path)
    assert "The test part of synthetic was read 2 times" in page(tmp_path)


def test_a_search_in_bfloat16_is_a_known_limitation(tmp_path: Path) -> None:
    add_run(tmp_path)
    assert "ran in bfloat16" not in whole(tmp_path)
    add_run(tmp_path, spec={"family": "cnn", "precision": "bfloat16"})
    assert "ran in bfloat16" in whole(tmp_path)


def test_class_names_cannot_break_a_table(tmp_path: Path) -> None:
    add_run(tmp_path)
    assert r"Star\|fish" in whole(tmp_path)
    assert r"Star\|fish" in page(tmp_path, "synthetic/dense.md")


def lines(text: str, heading: str) -> Sequence[list[str]]:
    found = [line for line in section(text, heading).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in found]


def header(text: str, heading: str) -> list[str]:
    return lines(text, heading)[0]


def cells(text: str, heading: str) -> Sequence[list[str]]:
    return lines(text, heading)[2:]


def test_trials_are_sorted_by_score_and_failed_ones_tell_why(tmp_path: Path) -> None:
    trials = (
        make_failed_trial(0, "Traceback\n  File ...\nValueError: loss | NaN"),
        make_trial(1, 0.91),
        make_trial(2, 0.93, epochs=1),
        make_trial(3, 0.93, epochs=1, repeats="0002"),
        make_trial(4, 0.90, parent="0002", initial_epoch=1),
    )
    add_run(tmp_path, trials=trials)
    text = page(tmp_path, "synthetic/dense.md")
    assert [row[:3] for row in cells(text, "Trials")[:5]] == [
        ["0002", "ok", "93.00"],
        ["0003", "ok, same as 0002", "93.00"],
        ["0001", "winner", "91.00"],
        ["0004", "ok, goes on from 0002", "90.00"],
        ["0000", "failed", "-"],
    ]
    assert r"ValueError: loss \| NaN" in section(text, "Trials")


def test_hyperparameters_stand_beside_their_ranges(tmp_path: Path) -> None:
    add_run(tmp_path)
    assert cells(page(tmp_path, "synthetic/dense.md"), "Hyperparameters") == [
        ["layers", "1", "1, 2", "always"],
        ["units_1", "64", "32, 64, 96, 128, 160", "always"],
        ["units_2", "not used", "32, 64", "layers is 2"],
        ["rate", "0.001", "0.0001 to 0.01", "always"],
    ]


def test_a_model_without_common_mistakes_has_no_picture_of_them(tmp_path: Path) -> None:
    add_run(tmp_path, [[], [], []])
    assert "synthetic/figures/dense-mistakes.png" not in build(tmp_path)
    assert "No test image is got wrong by all refits" in page(tmp_path, "synthetic/dense.md")
    assert "No model made a single error" in whole(tmp_path)


def test_several_runs_of_a_family_share_a_page(tmp_path: Path) -> None:
    add_run(tmp_path)
    add_run(tmp_path, spec={"tuner": "grid"})
    text = page(tmp_path, "synthetic/dense.md")
    assert "## dense-random: " in text
    assert "## dense-grid: " in text


def test_pictures_are_small_and_carry_their_digest(results: Path) -> None:
    pictures = {name: content for name, content in build(results).items() if isinstance(content, Picture)}
    assert len(pictures) == len(PICTURES)
    for name, picture in pictures.items():
        assert stored_digest(results / name) == picture.digest
        assert (results / name).stat().st_size < 150_000


@pytest.fixture
def crowd(tmp_path: Path) -> Path:
    """A results folder with a table of twelve rows: model0, which errs at no image, to model11, at 22 of 200."""
    for number in range(12):
        add_run(tmp_path, [range(2 * number)] * 3, spec={"family": f"model{number}", "tuner": TUNERS[number % 4]})
    return tmp_path


def pictured(results: Path) -> set[str]:
    return {
        Path(name).stem.removesuffix("-curves")
        for name, content in build(results).items()
        if isinstance(content, Picture) and "curves" in name
    }


def test_of_a_table_with_more_than_ten_rows_only_the_best_has_pictures(crowd: Path) -> None:
    assert pictured(crowd) == {"model0"}
    best, second = (page(crowd, f"synthetic/model{number}.md") for number in (0, 1))
    said = "Of a table with more than 10 models, pictures are drawn of the best one only, to keep reports quick."
    assert said not in best
    assert said in second
    assert best.count("](figures/") == 3  # it makes no mistakes that could be shown
    assert "](figures/" not in second
    assert len(cells(second, "Most confidently wrong")) == 2  # it errs at two images
    assert "cannot be said: of so many models only the best is asked." in second


def test_models_that_are_not_among_the_ten_best_are_listed(crowd: Path) -> None:
    ninth, tenth = (page(crowd, f"synthetic/model{number}.md") for number in (9, 10))
    assert "## Other models" not in ninth
    assert "### Hyperparameters" not in tenth
    ((rank, model, accuracy, budget, _, run),) = cells(tenth, "Other models")
    assert (model, budget) == ("model10", "4 trials x 3 epochs")
    assert run.startswith("model10-")
    assert accuracy.startswith("90.00")  # 20 of 200 images are wrong
    assert rank.endswith(" to 12")


def test_of_a_table_with_ten_rows_all_have_pictures(tmp_path: Path) -> None:
    for number in range(10):
        add_run(tmp_path, [range(number)] * 3, spec={"family": f"model{number}"})
    assert pictured(tmp_path) == {f"model{number}" for number in range(10)}


def test_only_the_ten_best_of_a_table_stand_side_by_side(crowd: Path) -> None:
    text = whole(crowd)
    best = [f"model{number}" for number in range(10)]
    assert len(cells(text, "Ranked by test accuracy")) == len(cells(text, "What they cost")) == 12
    for heading in ("F1 of each class", "Most confused classes"):
        assert "Only the 10 best models are shown." in section(text, heading)
        assert "model10" not in section(text, heading)
    assert header(text, "F1 of each class") == ["class", *best]
    differently = section(text, "How it was measured").split("Different from row to row")[1]
    assert differently.startswith(", shown for the 10 best models only:")
    assert "model9" in differently
    assert "model10" not in differently


def test_what_is_the_same_for_the_ten_best_only_is_not_said_of_every_row(tmp_path: Path) -> None:
    for number in range(11):
        add_run(tmp_path, [range(number)] * 3, spec={"family": f"model{number}"}, workers=2 if number < 10 else 7)
    alike, differently = section(whole(tmp_path), "How it was measured").split("Different from row to row")
    assert "| workers" not in alike
    assert "| workers" in differently


def test_pictures_of_a_model_that_is_no_longer_among_the_best_are_found(results: Path) -> None:
    for number in range(10):
        add_run(results, [[number]] * 3, spec={"family": f"better{number}"})
    differences = check(results)
    for kind in ("confusion", "curves", "mistakes"):
        assert f"synthetic/figures/dense-{kind}.png is asked for by no record" in differences
    assert "synthetic/dense.md differs from what the records give" in differences


def test_many_ties_are_counted_and_not_all_named(tmp_path: Path) -> None:
    for number in range(11):
        add_run(tmp_path, [[number]] * 3, spec={"family": f"model{number:02}"})
    first = cells(page(tmp_path), "Ranked by test accuracy")[0]
    assert first[5] == "model01, model02, model03, model04, model05 and 5 more"


def test_a_value_that_the_space_does_not_list_is_drawn(tmp_path: Path) -> None:
    trials = (make_trial(0, 0.8), make_trial(1, 0.9), make_trial(2, 0.85, values={"units_1": 999}))
    add_run(tmp_path, trials=trials)
    content = build(tmp_path)["synthetic/figures/dense-hyperparameters.png"]
    assert isinstance(content, Picture)
    assert content.png()
