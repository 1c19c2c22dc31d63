"""versions.md: verdicts, ratios, and the reasons why versions are not compared."""

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from bench.report import build
from bench.versions.record import ProcessStart, pack, path_of, read_all, write
from bench.versions.series import all_series
from bench.versions.subjects import family_root
from builders import make_environment
from version_records import IMAGES, make_record, make_results, make_starts, page_text, table_row

STEP = "2.16.2 to 2.17.1"  # the row of the newer version


def test_versions_with_equal_measurements_are_equivalent_and_none_is_slower(tmp_path: Path) -> None:
    for name, version in (("tf216", "2.16.2"), ("tf217", "2.17.1")):
        write(tmp_path, make_record(name, version))
    text = page_text(tmp_path)
    assert "| equivalent, identical " in table_row(text, STEP)
    assert "none of 1 operations is significantly slower or faster" in text


def test_less_accurate_and_slower_version_is_reported(tmp_path: Path) -> None:
    write(tmp_path, make_record("tf216", "2.16.2"))
    write(tmp_path, make_record("tf217", "2.17.1", accuracy=0.85, seconds=0.2))
    text = page_text(tmp_path)
    assert "worse: -5.00" in table_row(text, STEP)
    assert "1 significantly slower: `step` 2.00 (cnn)" in text


def test_ratio_that_is_not_significant_is_in_parentheses(tmp_path: Path) -> None:
    write(tmp_path, make_record("tf216", "2.16.2"))
    write(tmp_path, make_record("tf217", "2.17.1", seconds=0.1004))
    text = page_text(tmp_path)
    assert "significantly slower:" not in text
    assert "(1.00)" in table_row(text, "step (cnn)")


def test_version_with_too_few_starts_is_not_compared_by_speed(tmp_path: Path) -> None:
    write(tmp_path, make_record("tf216", "2.16.2", starts=make_starts(0.1)[:3]))
    write(tmp_path, make_record("tf217", "2.17.1", starts=make_starts(0.2)))
    text = page_text(tmp_path)
    assert "2.00 times" not in text
    assert "| step (cnn) | 101.00 | - |" in " ".join(table_row(text, "step (cnn)").split())


@pytest.mark.parametrize(("starts", "few"), [(4, True), (5, False)])
def test_too_few_starts_for_a_single_change_are_stated(tmp_path: Path, starts: int, *, few: bool) -> None:
    # The smallest p-value, adjusted for two operations, is 2 * 2 / C(8, 4) = 0.057 or 2 * 2 / C(10, 5) = 0.016.
    for name, version in (("tf216", "2.16.2"), ("tf217", "2.17.1")):
        measured = make_starts(0.1, operations=("step[cnn]", "step[dense]"))[:starts]
        write(tmp_path, make_record(name, version, starts=measured))
    text = " ".join(page_text(tmp_path).split())
    sentence = (
        "compared with only 4 process starts each; with fewer than 5, an operation cannot count as changed unless"
    )
    assert (sentence in text) == few
    assert ("a change of a single operation is never significant, however large" in text) == few
    assert ("changes of speed below 2% are often missed" in text) != few


def test_speed_table_is_omitted_if_nothing_is_compared(tmp_path: Path) -> None:
    write(tmp_path, make_record("tf216", "2.16.2", starts=()))
    write(tmp_path, make_record("tf217", "2.17.1"))
    text = page_text(tmp_path)
    assert "### Change of time per update" not in text
    assert "not compared: tf216 has fewer than 4 process starts" in text


def test_speed_and_memory_are_omitted_if_nothing_was_timed(tmp_path: Path) -> None:
    for name, version in (("tf216", "2.16.2"), ("tf217", "2.17.1")):
        write(tmp_path, make_record(name, version, starts=()))
    text = page_text(tmp_path)
    assert "### Change of time per update" not in text
    assert "## Memory" not in text
    assert "### Caveats\n\nAccuracy: equivalence tests with 12 seeds.\n[Method](#method)\n" in text
    assert "| equivalent, identical " in table_row(text, STEP)


def test_accuracy_is_omitted_if_nothing_was_trained(tmp_path: Path) -> None:
    for name, version in (("tf216", "2.16.2"), ("tf217", "2.17.1")):
        write(tmp_path, make_record(name, version, trained=()))
    elsewhere = make_environment(tensorflow="2.18.1", cpu="Another")
    write(tmp_path, make_record("tf218", "2.18.1", starts=(), trained=(), environment=elsewhere))
    assert "### Caveats\n\nSpeed: 6 process starts on Synthetic CPU A with 1 thread;" in page_text(tmp_path)


def test_speed_of_different_code_is_not_compared(tmp_path: Path) -> None:
    write(tmp_path, make_record("tf216", "2.16.2"))
    write(tmp_path, make_record("tf217", "2.17.1", accuracy=0.85, seconds=0.2, code="1" * 12))
    text = page_text(tmp_path)
    assert "worse" in table_row(text, STEP)
    assert "not compared: measured with different code" in text
    assert "2.00 times" not in text


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"source": "1" * 12}, "trained with a different recipe or on different images"),
        ({"checksum": "1" * 64}, "trained with a different recipe or on different images"),
        ({"seeds": tuple(range(11, 23))}, "fewer than two common seeds"),
        ({"model": "tutorial-dense-128"}, "not trained with tf216"),
    ],
)
def test_reason_why_accuracy_is_not_compared_is_shown(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    write(tmp_path, make_record("tf216", "2.16.2"))
    write(tmp_path, make_record("tf217", "2.17.1", trained=(replace(make_results(0.8), **changes),)))
    assert f"not compared: {reason}" in table_row(page_text(tmp_path), STEP)


@pytest.mark.parametrize(
    ("machine", "changed", "rounding"),
    [
        ({"cpu": "Another"}, "cpu Synthetic CPU A to Another", "cpu"),
        ({"cores": 64}, "cores 2 to 64", None),
        ({"instruction_sets": ("avx", "fma")}, "instruction_sets avx2 to avx fma", "instruction sets"),
    ],
)
def test_versions_on_different_machines_are_compared_by_accuracy_only_which_is_marked(
    tmp_path: Path, machine: dict[str, Any], changed: str, rounding: str | None
) -> None:
    write(tmp_path, make_record("tf216", "2.16.2"))
    environment = make_environment(tensorflow="2.17.1", **machine)
    write(tmp_path, make_record("tf217", "2.17.1", seconds=9.0, environment=environment))
    text = page_text(tmp_path)
    assert "equivalent" in table_row(text, STEP)
    assert f"measured on different machines ({', '.join(machine)})" in text
    assert (", identical, other machine |" in table_row(text, STEP)) == (rounding is not None)
    assert (f"- The machines differ ({rounding}), so a change of accuracy" in text) == (rounding is not None)
    assert ("Other machine: the CPU, " in text) == (rounding is not None)
    assert f"- {STEP}: tensorflow 2.16.2 to 2.17.1; {changed}.\n" in text


def test_changes_since_the_oldest_version_on_another_machine_are_marked(tmp_path: Path) -> None:
    for name, version, cpu in (("tf216", "2.16.2", "A"), ("tf217", "2.17.1", "B"), ("tf218", "2.18.1", "B")):
        write(tmp_path, make_record(name, version, environment=make_environment(tensorflow=version, cpu=cpu)))
    write(tmp_path, make_record("tf219", "2.19.1", environment=make_environment(tensorflow="2.19.1", cpu="B")))
    text = page_text(tmp_path)
    *_, change, since, _ = table_row(text, "2.17.1 to 2.18.1").split("|")
    assert (change.strip(), since.strip()) == ("equivalent, identical", "+0.00, other machine")
    assert "is tested; the machines differ).\n" in text.split("\n### 2.17.1 to 2.18.1\n")[1].split("\n### ")[0]


def test_versions_with_different_reference_workloads_are_not_compared_by_speed(tmp_path: Path) -> None:
    write(tmp_path, make_record("tf216", "2.16.2"))
    newer = tuple(replace(start, reference="SciPy 1.18.0") for start in make_starts(0.2))
    write(tmp_path, make_record("tf217", "2.17.1", starts=newer))
    reason = "not compared: measured against different reference workloads (SciPy 1.17.1, SciPy 1.18.0)"
    assert reason in page_text(tmp_path)


def test_versions_not_measured_in_rotation_are_not_compared_by_speed(tmp_path: Path) -> None:
    write(tmp_path, make_record("tf216", "2.16.2"))
    write(tmp_path, make_record("tf217", "2.17.1", starts=make_starts(0.2, month=2)))
    assert "not compared: not measured in rotation" in page_text(tmp_path)


@pytest.mark.parametrize("later", [(), make_starts(0.1, month=3)])
def test_starts_added_to_one_version_after_the_other_do_not_affect_the_ratio(
    tmp_path: Path, later: tuple[ProcessStart, ...]
) -> None:
    write(tmp_path, make_record("tf216", "2.16.2", starts=(*make_starts(0.1), *make_starts(0.9, month=2))))
    write(tmp_path, make_record("tf217", "2.17.1", starts=(*make_starts(0.2), *later)))
    assert " 2.00 " in table_row(page_text(tmp_path), "step (cnn)")


def test_newest_version_is_compared_with_the_oldest(tmp_path: Path) -> None:
    # 0.3 pp and 4% per version: neighbors are equivalent in accuracy, the newest is 0.6 pp worse than the oldest.
    for name, version, accuracy, seconds in (
        ("tf216", "2.16.2", 0.9, 0.1),
        ("tf217", "2.17.1", 0.897, 0.104),
        ("tf218", "2.18.1", 0.894, 0.10816),
    ):
        write(tmp_path, make_record(name, version, accuracy=accuracy, seconds=seconds))
    text = page_text(tmp_path)
    overall = table_row(text, "2.16.2 to 2.18.1")
    assert "-0.60" in overall
    assert "1 significantly slower: `step` 1.08 (cnn)" in text
    step = table_row(text, "2.17.1 to 2.18.1")
    assert ["-0.30" in cell for cell in step.split("|")[4:6]] == [True, False]
    assert step.split("|")[5].strip() == "-0.60"
    heading, row = " ".join(table_row(text, "operation").split()), " ".join(table_row(text, "step (cnn)").split())
    assert heading == ("| operation | 2.16.2 (ms) | 2.16.2 to 2.17.1 | 2.17.1 to 2.18.1 | 2.16.2 to 2.18.1 |")
    assert row == "| step (cnn) | 199.00 | 1.04 | 1.04 | 1.08 |"


def test_two_versions_are_compared_once(tmp_path: Path) -> None:
    for name, version in (("tf216", "2.16.2"), ("tf217", "2.17.1")):
        write(tmp_path, make_record(name, version))
    assert page_text(tmp_path).count("\n| 2.16.2 to 2.17.1 ") == 1


def test_all_comparisons_of_a_series_are_adjusted_together(tmp_path: Path) -> None:
    # Only the newest version is slower, by more than the noise: two of three p-values are 2 / C(12, 6), the other is 1.
    for name, version, seconds in (("tf216", "2.16.2", 0.1), ("tf217", "2.17.1", 0.1), ("tf218", "2.18.1", 0.2)):
        write(tmp_path, make_record(name, version, seconds=seconds))
    (series,) = all_series(read_all(tmp_path)[0])
    changes = [row.speed["step[cnn]"].adjusted_p_value for row in [*series.rows.values()][1:]]  # type: ignore[index, union-attr]
    assert changes == pytest.approx([1, 3 / 2 * 2 / 924, 3 / 2 * 2 / 924])


def test_changed_dependencies_and_settings_are_listed(tmp_path: Path) -> None:
    write(tmp_path, make_record("tf216", "2.16.2"))
    configs = {"cnn": {"layers": {"dense": {"units": 128, "quantization": None}}}}
    write(tmp_path, make_record("tf217", "2.17.1", configs=configs))
    assert "- 2.16.2 to 2.17.1: tensorflow 2.16.2 to 2.17.1; quantization: absent to None (cnn layers dense)" in (
        page_text(tmp_path)
    )


def test_unknown_configurations_are_not_reported_as_differences(tmp_path: Path) -> None:
    write(tmp_path, make_record("tf216", "2.16.2", configs={}, starts=()))
    write(tmp_path, make_record("tf217", "2.17.1"))
    assert "- 2.16.2 to 2.17.1: tensorflow 2.16.2 to 2.17.1.\n" in page_text(tmp_path)


def test_memory_has_a_column_per_model(tmp_path: Path) -> None:
    write(tmp_path, make_record("tf216", "2.16.2"))
    memory = page_text(tmp_path).split("## Memory")[1]
    assert "cnn: resident" in memory
    assert "500 (500 to 500)" in table_row(memory, "2.16.2")


def test_keras_versions_have_their_own_table(tmp_path: Path) -> None:
    write(tmp_path, make_record("tf216", "2.16.2"))
    for name, keras in (("tf221", "3.13.2"), ("keras312", "3.12.4")):
        write(tmp_path, make_record(name, "2.21.0", environment=make_environment(tensorflow="2.21.0", keras=keras)))
    tensorflow_part, keras_part = page_text(tmp_path).split("## Keras, with TensorFlow 2.21.0 and Python 3.")
    assert "| 3.12.4" not in tensorflow_part.split("## ")[1]
    assert keras_part.index("| 3.12.4 ") < keras_part.index("| 3.12.4 to 3.13.2 ")


def test_versions_of_another_python_are_a_separate_series(tmp_path: Path) -> None:
    other = make_environment(tensorflow="2.21.0", keras="3.13.2", python="3.12.1")
    write(tmp_path, make_record("py312-tf221", "2.21.0", environment=other))
    keras312 = make_environment(tensorflow="2.21.0", keras="3.12.4")
    write(tmp_path, make_record("keras312", "2.21.0", environment=keras312))
    series = all_series(read_all(tmp_path)[0])
    names = {each.title: list(each.rows) for each in series}
    assert names == {
        "TensorFlow and Keras together, with Python 3.12": ["py312-tf221"],
        f"Keras, with TensorFlow 2.21.0 and Python {make_environment().python.rpartition('.')[0]}": ["keras312"],
    }


@pytest.mark.parametrize("missing", [{"trained": ()}, {"starts": ()}, {"trained": (), "starts": ()}])
@pytest.mark.parametrize("name", ["tf216", "tf217"])
def test_partly_measured_version_has_a_row(tmp_path: Path, name: str, missing: dict[str, Any]) -> None:
    for each, version in (("tf216", "2.16.2"), ("tf217", "2.17.1")):
        write(tmp_path, make_record(each, version, **missing if each == name else {}))
    text = page_text(tmp_path)
    assert "nan" not in text
    assert table_row(text, "2.16.2")
    assert table_row(text, STEP)


def test_further_seeds_of_an_inconclusive_comparison_are_whole_runs(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for name, version in (("tf216", "2.16.2"), ("tf217", "2.17.1")):
        correct = pack(random.random((12, IMAGES)) < 0.9)
        write(tmp_path, make_record(name, version, trained=(replace(make_results(0.9), correct=correct),)))
    match = re.search(r"inconclusive, needs about (\d+) more seeds", table_row(page_text(tmp_path), STEP))
    assert match is not None
    assert int(match[1]) % 12 == 0


def test_test_set_that_is_too_small_for_a_verdict_is_named(tmp_path: Path) -> None:
    # Of 100 images classified identically, one might differ: 1.645 / 100 exceeds the margin of 0.5 points.
    correct = replace(make_results(0.9), n_test=100, correct=pack(np.arange(100) < np.full((12, 1), 90)))
    for name, version in (("tf216", "2.16.2"), ("tf217", "2.17.1")):
        write(tmp_path, make_record(name, version, trained=(correct,)))
    assert "| inconclusive, the test set is too small, identical " in table_row(page_text(tmp_path), STEP)


def test_damaged_record_is_named_on_the_page_of_the_others(tmp_path: Path) -> None:
    for name, version in (("tf216", "2.16.2"), ("tf217", "2.17.1")):
        write(tmp_path, make_record(name, version))
    path_of(tmp_path, "tf216").write_bytes(b"{")
    _, problems = build.write(tmp_path)
    text = (tmp_path / "versions.md").read_text()
    assert "Could not be read: versions/tf216.json: " in text
    assert table_row(text, "2.17.1")
    assert (len(problems), build.check(tmp_path)) == (1, problems)


def test_page_and_figures_are_removed_with_the_records(tmp_path: Path) -> None:
    for name, version in (("tf216", "2.16.2"), ("tf217", "2.17.1")):
        write(family_root(tmp_path, "net"), make_record(name, version))
    build.write(tmp_path)
    shutil.rmtree(family_root(tmp_path, "net"))
    files = ("versions-net.md", "versions/figures/time-net-1.png")
    assert build.check(tmp_path) == (
        "leaderboard.md is out of date",
        *(f"{name} belongs to no record" for name in files),
    )
    build.write(tmp_path)
    assert not [name for name in files if (tmp_path / name).exists()]


def test_pages_of_a_results_folder_inside_another_are_kept(tmp_path: Path) -> None:
    inner = tmp_path / "nightly"
    write(inner, make_record("tf216", "2.16.2"))
    build.write(inner)
    build.write(tmp_path)
    assert build.check(inner) == build.check(tmp_path) == ()


def test_page_is_kept_if_every_record_is_damaged(tmp_path: Path) -> None:
    write(tmp_path, make_record("tf216", "2.16.2"))
    build.write(tmp_path)
    kept = (tmp_path / "versions.md").read_bytes()
    (tmp_path / "leaderboard.md").unlink()
    path_of(tmp_path, "tf216").write_bytes(b"{")
    written, problems = build.write(tmp_path)
    assert (written, len(problems)) == ((tmp_path / "leaderboard.md",), 1)
    assert (tmp_path / "versions.md").read_bytes() == kept
    assert build.check(tmp_path) == problems


def test_accuracy_that_is_the_same_for_all_versions_is_below_the_table(tmp_path: Path) -> None:
    for name, version in (("tf216", "2.16.2"), ("tf217", "2.17.1")):
        write(tmp_path, make_record(name, version))
    text = page_text(tmp_path)
    assert re.search(r"^The same in every row: tutorial-cnn \(%\): \d.*\.$", text, re.MULTILINE)
    assert "tutorial-cnn (%) |" not in text
