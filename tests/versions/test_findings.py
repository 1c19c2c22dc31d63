"""Findings on a series of versions, its heat map, and the page about delays."""

from dataclasses import replace as with_fields
from pathlib import Path

import pandas as pd
import pytest
from msgspec.structs import replace

from bench.evaluation.speed import SpeedChange
from bench.report.board import Board
from bench.report.figures.picture import Picture
from bench.report.figures.time_map import time_map
from bench.versions.findings import findings, release_notes, title, updates
from bench.versions.page import PAGE
from bench.versions.record import read_all, write
from bench.versions.series import Series, all_series
from bench.versions.tables import changes_by_update, times_since_oldest
from builders import make_environment
from version_records import make_record, make_results, make_starts, page_text

UNCHANGED_LIBRARIES = f"Unchanged: Keras {make_environment().keras} and NumPy {make_environment().numpy}."
UNCHANGED = (
    "Speed: none of 1 operations is significantly slower or faster; largest change, not significant: `step` 1.00 (cnn)."
)


def note(version: str) -> str:
    """The link to the release notes of TensorFlow."""
    return f"[TensorFlow {version}](https://github.com/tensorflow/tensorflow/releases/tag/v{version})"


def series(results: Path, *versions: tuple[str, str, float, float]) -> Series:
    """A series of (name, TensorFlow, accuracy, seconds)."""
    for name, version, accuracy, seconds in versions:
        write(results, make_record(name, version, accuracy=accuracy, seconds=seconds))
    (made,) = all_series(read_all(results)[0])
    return made


def test_findings_name_accuracy_speed_and_memory(tmp_path: Path) -> None:
    made = series(tmp_path, ("tf216", "2.16.2", 0.9, 0.1), ("tf217", "2.17.1", 0.85, 0.2))
    assert findings(made) == [
        UNCHANGED_LIBRARIES,
        "Accuracy worse (points): cnn -5.00.",
        "Speed: of 1 operations, 1 significantly slower: `step` 2.00 (cnn); none faster.",
        "Resident memory: cnn +0 MB.",
        f"Release notes: {note('2.17.0')}, {note('2.17.1')}.",
    ]
    assert all(f"- {sentence}\n" in page_text(tmp_path) for sentence in findings(made))


@pytest.mark.parametrize(("seconds", "ratio"), [(0.0025, "1/40"), (0.0004, "1/250")])
def test_time_of_a_much_faster_operation_is_a_fraction(seconds: float, ratio: str, tmp_path: Path) -> None:
    made = series(tmp_path, ("tf216", "2.16.2", 0.9, 0.1), ("tf217", "2.17.1", 0.9, seconds))
    assert findings(made)[2] == f"Speed: of 1 operations, none significantly slower; 1 faster: `step` {ratio} (cnn)."


def test_operations_of_one_kind_are_summarized_together(tmp_path: Path) -> None:
    new = {
        "step[cnn]": 0.3,
        "predict[dense-call-1]": 0.18,
        "predict[dense-call-256]": 0.1,
        "predict[dense-predict-1]": 0.12,
        "predict[dense-exported-1]": 0.1,
        "predict[cnn-call-1]": 0.2,
        "predict[cnn-call-256]": 0.15,
        "predict[cnn-predict-1]": 0.13,
        "save[dense]": 0.105,
        "save[cnn]": 0.11,
        "import[alone]": 0.12,
        "import[among others]": 0.14,
        "load[cnn]": 0.05,
        "build[cnn]": 0.104,
        "first_step[cnn]": 0.104,
    }
    old = dict.fromkeys(new, 0.1)
    for name, version, times in (("tf216", "2.16.2", old), ("tf217", "2.17.1", new)):
        each = [make_starts(seconds, operations=(operation,)) for operation, seconds in times.items()]
        starts = (
            replace(same[0], operations={name: time for start in same for name, time in start.operations.items()})
            for same in zip(*each, strict=True)
        )
        write(tmp_path, make_record(name, version, starts=tuple(starts)))
    (made,) = all_series(read_all(tmp_path)[0])
    assert findings(made)[2] == (
        "Speed: of 15 operations, 12 significantly slower: `step` 3.00 (cnn), `model(images)` 1.50 to 2.00 (3 of 4), "
        "`import` 1.20 (alone) and 1.40 (with other packages), `model.predict` 1.20 (dense, batch of 1) and "
        "1.30 (cnn, batch of 1), `save` 1.05 (dense) and 1.10 (cnn), and 2 more "
        "([details](#tensorflow-and-keras-together-with-python-311)); 1 faster: `load` 0.50 (cnn)."
    )


def test_every_update_is_summarized(tmp_path: Path) -> None:
    made = series(
        tmp_path,
        ("tf216", "2.16.2", 0.9, 0.1),
        ("tf217", "2.17.1", 0.9, 0.12),
        ("tf218", "2.18.1", 0.8, 0.24),
        ("tf219", "2.19.1", 0.8, 0.24),
    )
    assert [(update.pair, update.sentences) for update in updates(made)] == [
        (
            "2.16.2 to 2.17.1",
            (
                UNCHANGED_LIBRARIES,
                "Accuracy equivalent (within ±0.5 points): cnn identical.",
                "Speed: of 1 operations, 1 significantly slower: `step` 1.20 (cnn); none faster.",
                "Resident memory: cnn +0 MB.",
                f"Release notes: {note('2.17.0')}, {note('2.17.1')}.",
            ),
        ),
        (
            "2.17.1 to 2.18.1",
            (
                UNCHANGED_LIBRARIES,
                "Accuracy worse (points): cnn -10.00.",
                "Speed: of 1 operations, 1 significantly slower: `step` 2.00 (cnn); none faster.",
                "Resident memory: cnn +0 MB.",
                (
                    "Since 2.16.2, not tested: accuracy cnn -10.00; 1 slower by 10% or more: `step` 2.40 (cnn); none "
                    "faster by 10% or more; resident memory cnn +0 MB (only "
                    "[TensorFlow 2.16.2 to 2.19.1](#tensorflow-2162-to-2191) is tested)."
                ),
                f"Release notes: {note('2.18.0')}, {note('2.18.1')}.",
            ),
        ),
        (
            "2.18.1 to 2.19.1",
            (
                UNCHANGED_LIBRARIES,
                "Accuracy equivalent (within ±0.5 points): cnn identical.",
                UNCHANGED,
                "Resident memory: cnn +0 MB.",
                "Since 2.16.2: [findings above](#tensorflow-2162-to-2191).",
                f"Release notes: {note('2.19.0')}, {note('2.19.1')}.",
            ),
        ),
    ]
    text = page_text(tmp_path)
    assert f"\n### 2.17.1 to 2.18.1\n\n- {UNCHANGED_LIBRARIES}\n" in text
    overall = "[2.16.2 to 2.19.1](#tensorflow-2162-to-2191); by update: [2.16.2 to 2.17.1](#2162-to-2171), [2.17.1"
    assert f"\n- TensorFlow: {overall}" in text
    assert (
        "\nAccuracy: equivalence tests with 12 seeds.\nSpeed: 6 process starts on Synthetic CPU A with 1 thread" in text
    )
    # Of 1, 1.01 and 0.99 twice each: sqrt(4 * 0.01^2 / 5).
    assert (
        "Here the standard deviation is 0.9% for the median operation, 0.9% for step (cnn) and 0.9% for "
        "step (cnn); 2.5 times the median is about 2%." in text
    )
    assert "for a typical operation, changes of speed below 2% are often missed" in text


def test_models_of_an_update_are_named_by_verdict(tmp_path: Path) -> None:
    for name, version, accuracy in (("tf216", "2.16.2", 0.9), ("tf217", "2.17.1", 0.9), ("tf218", "2.18.1", 0.8)):
        trained = (make_results(accuracy), make_results(0.9, "tutorial-linear"))
        write(tmp_path, make_record(name, version, trained=trained, starts=()))
    (made,) = all_series(read_all(tmp_path)[0])
    _, of_accuracy, of_speed, *_ = updates(made)[1].sentences
    assert of_accuracy == (
        "Accuracy worse (points): cnn -10.00; equivalent (within ±0.5 points): tutorial-linear identical."
    )
    assert of_speed.startswith("Speed not compared: ")


def test_difference_of_memory_is_that_of_the_displayed_values(tmp_path: Path) -> None:
    for name, version, megabytes in (("tf216", "2.16.2", 549.6), ("tf217", "2.17.1", 662.4)):
        facts = {"megabytes, cnn": megabytes, "megabytes of its own, cnn": megabytes / 10}
        starts = tuple(replace(start, facts=facts) for start in make_starts(0.1))
        write(tmp_path, make_record(name, version, starts=starts))
    (made,) = all_series(read_all(tmp_path)[0])
    assert findings(made)[3] == "Resident memory: cnn +112 MB (unique +11)."


def test_single_update_is_not_described_twice(tmp_path: Path) -> None:
    assert not updates(series(tmp_path, ("tf216", "2.16.2", 0.9, 0.1), ("tf217", "2.17.1", 0.9, 0.1)))


def test_update_with_the_most_changes_is_named(tmp_path: Path) -> None:
    made = series(tmp_path, ("tf216", "2.16.2", 0.9, 0.1), ("tf217", "2.17.1", 0.9, 0.1), ("tf218", "2.18.1", 0.9, 0.2))
    assert findings(made)[2].endswith("The update with the most changes: 2.17.1 to 2.18.1 (1).")


def test_speed_without_significant_changes_is_stated(tmp_path: Path) -> None:
    made = series(tmp_path, ("tf216", "2.16.2", 0.9, 0.1), ("tf217", "2.17.1", 0.9, 0.1))
    assert findings(made)[2] == UNCHANGED


def test_single_version_has_no_findings(tmp_path: Path) -> None:
    assert findings(series(tmp_path, ("tf216", "2.16.2", 0.9, 0.1))) == []


def test_other_libraries_of_an_update_are_named(tmp_path: Path) -> None:
    for name, tensorflow, keras, numpy in (
        ("tf216", "2.16.2", "3.1.1", "1.26.4"),
        ("tf219", "2.19.1", "3.9.2", "2.1.3"),
    ):
        environment = make_environment(tensorflow=tensorflow, keras=keras, numpy=numpy)
        starts = make_starts(0.1 if name == "tf216" else 0.2, operations=("import[alone]", "import[among others]"))
        write(tmp_path, make_record(name, tensorflow, environment=environment, starts=starts))
    (made,) = all_series(read_all(tmp_path)[0])
    assert title(made) == "TensorFlow 2.16.2 to 2.19.1"
    assert findings(made)[0] == "Also changed: Keras 3.1.1 to 3.9.2 and NumPy 1.26.4 to 2.1.3."
    assert findings(made)[2] == (
        "Speed: of 2 operations, 2 significantly slower: `import` 2.00 (alone) and 2.00 (with other packages); "
        "none faster. Keras 3.9 and newer import scikit-learn and Matplotlib if these are installed."
    )


def test_versions_that_are_not_unique_are_called_by_their_environment(tmp_path: Path) -> None:
    made = series(tmp_path, ("py312-tf216", "2.16.2", 0.9, 0.1), ("tf216", "2.16.2", 0.9, 0.1))
    assert made.label(made.overall) == "py312-tf216 to tf216"


def test_headings_of_another_python_name_it(tmp_path: Path) -> None:
    for prefix, python in (("", "3.11.0"), ("py312-", "3.12.0")):
        for name, version in (("tf216", "2.16.2"), ("tf217", "2.17.1"), ("tf218", "2.18.1")):
            environment = make_environment(tensorflow=version, python=python)
            write(tmp_path, make_record(prefix + name, version, environment=environment))
    text = page_text(tmp_path)
    for suffix, anchor in (("", ""), (", Python 3.12", "-python-312")):
        assert text.count(f"\n## TensorFlow 2.16.2 to 2.18.1{suffix}\n") == 1
        assert text.count(f"\n### 2.17.1 to 2.18.1{suffix}\n") == 1
        assert text.count(f"[findings above](#tensorflow-2162-to-2181{anchor})") == 1


def test_release_notes_of_an_update_are_those_of_the_libraries_that_changed(tmp_path: Path) -> None:
    made = series(tmp_path, ("tf216", "2.16.2", 0.9, 0.1), ("tf217", "2.17.1", 0.9, 0.1))
    notes = {step: list(map(str, notes)) for step, notes in release_notes(made).items()}
    assert notes == {"2.16.2 to 2.17.1": [note("2.17.0"), note("2.17.1")]}


def test_release_notes_include_skipped_minor_releases(tmp_path: Path) -> None:
    made = series(tmp_path, ("tf216", "2.16.2", 0.9, 0.1), ("tf219", "2.19.0", 0.9, 0.1))
    (notes,) = release_notes(made).values()
    assert [*map(str, notes)] == [note("2.17.0"), note("2.18.0"), note("2.19.0")]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("2.20.0", "2.22.0.dev20261130", ["2.21.0"]),
        ("2.21.0", "2.22.0rc1", []),
        ("2.22.0rc1", "2.22.0", ["2.22.0"]),
        ("2.21.0", "2.21.1+local", ["2.21.1"]),
    ],
)
def test_release_notes_are_those_of_final_releases(tmp_path: Path, old: str, new: str, expected: list[str]) -> None:
    (notes,) = release_notes(series(tmp_path, ("tf221", old, 0.9, 0.1), ("tf222", new, 0.9, 0.1))).values()
    assert [*map(str, notes)] == [*map(note, expected)]


def test_times_since_the_oldest_version_are_cumulative(tmp_path: Path) -> None:
    made = series(tmp_path, ("tf216", "2.16.2", 0.9, 0.1), ("tf217", "2.17.1", 0.9, 0.2), ("tf218", "2.18.1", 0.9, 0.4))
    times = times_since_oldest(made)
    assert times.round(3).to_dict() == {"2.17.1": {"step[cnn]": 2.0}, "2.18.1": {"step[cnn]": 4.0}}
    assert "versions/figures/time-1.png" in page_text(tmp_path)
    assert list(changes_by_update(made)) == ["2.16.2 to 2.17.1", "2.17.1 to 2.18.1", "total: 2.16.2 to 2.18.1"]


def test_versions_measured_with_different_code_are_not_in_the_heat_map(tmp_path: Path) -> None:
    made = series(tmp_path, ("tf216", "2.16.2", 0.9, 0.1), ("tf217", "2.17.1", 0.9, 0.1))
    changed = with_fields(made, records=(made.records[0], replace(made.records[1], code="1" * 12)))
    assert times_since_oldest(changed).empty


def test_heat_map_with_a_missing_operation_is_drawn() -> None:
    change = SpeedChange(ratio=0.02, adjusted_p_value=0.01, starts=6)
    changes = pd.DataFrame({"2.16.2 to 2.17.1": {"load": None, "save": change}}, dtype=object)
    assert time_map(changes).png().startswith(b"\x89PNG")


def test_heat_map_is_drawn_again_if_a_change_becomes_significant() -> None:
    maps = [
        time_map(pd.DataFrame({"step": {"save": SpeedChange(ratio=1.1, adjusted_p_value=p, starts=6)}}, dtype=object))
        for p in (0.01, 0.5)
    ]
    assert maps[0].digest != maps[1].digest
    assert maps[0].png() != maps[1].png()


def test_delays_have_their_own_page(tmp_path: Path) -> None:
    assert "epoch-delay.md" not in PAGE.files(Board(results=tmp_path, tables=(), problems=()))
    facts = {"seconds at the start of an epoch, arrays": 0.1, "of these idle, arrays": 0.09}
    starts = tuple(replace(start, facts=facts) for start in make_starts(0.1))
    write(tmp_path, make_record("tf216", "2.16.2", starts=starts))
    files = PAGE.files(Board(results=tmp_path, tables=(), problems=()))
    page, delay = files["versions.md"], files["epoch-delay.md"]
    assert not isinstance(page, Picture)
    assert not isinstance(delay, Picture)
    assert b"[delay](epoch-delay.md)" in page
    assert b"0.100 (0.100 to 0.100)" in delay
    assert b"[page of versions](versions.md)" in delay
