"""The dataset page: styles, Pareto fronts, errors, metrics, calibration."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.evaluation.text import uncertainty_source
from bench.records.plain import PlainKeras
from bench.records.record import Latency
from bench.records.store import run_folder
from bench.report.figures.table import FAMILY_COLORS, styles
from bench.report.pages.dataset import dataset_section
from bench.report.ranked_table import ranked_table
from bench.report.ranking import leaderboard
from bench.report.tables.costs import costs_table, pareto_fronts, timed_sentence
from bench.report.tables.scores import NOT_DIFFERENT, metrics_text
from builders import (
    add_reference,
    add_run,
    make_dataset,
    make_environment,
    make_predictions,
    make_reference,
    make_reference_spec,
    make_refit,
    make_run,
    make_trial,
    write_run,
)


def only_section(results: Path) -> dict[str, Any]:
    board = leaderboard(results)
    (table,) = board.tables
    return dataset_section(table, styles(board))


def test_a_family_has_one_color_and_no_two_models_share_a_style(tmp_path: Path) -> None:
    for number in range(8):
        add_run(tmp_path, spec={"family": f"model{number}"})
    add_run(tmp_path, spec={"family": "model0", "dataset": "other"})
    section = styles(leaderboard(tmp_path))
    assert len({(style.color, style.marker) for style in section.values()}) == 8
    assert section["model0"].color == FAMILY_COLORS[0]


def latency(microseconds: float) -> Latency:
    return Latency(microseconds_per_image=microseconds, batch_size=256, images=200, repeats=5, threads=1)


def test_large_costs_have_no_exponent(tmp_path: Path) -> None:
    refits = tuple(make_refit(number, parameters=999_700) for number in range(3))
    add_run(tmp_path, refits=refits, latency=latency(1234.0))
    (table,) = leaderboard(tmp_path).tables
    assert costs_table(table)["prediction time (µs/image)"][0] == "1,234"
    shown = ranked_table(table, table.rows, "prediction-time")
    assert (shown["params"][0], shown["prediction (µs/image)"][0]) == ("1.00M", "1,234")


def test_a_model_that_is_worse_and_costs_more_is_not_on_the_pareto_front(tmp_path: Path) -> None:
    costs = {"best": (0, 5000, 30.0), "small": (5, 100, 20.0), "bad": (20, 4000, 40.0)}
    for family, (wrong, parameters, microseconds) in costs.items():
        refits = tuple(make_refit(number, parameters=parameters, fit_seconds=10.0) for number in range(3))
        add_run(tmp_path, [range(wrong)] * 3, spec={"family": family}, refits=refits, latency=latency(microseconds))
    (table,) = leaderboard(tmp_path).tables
    assert pareto_fronts(table) == {
        "core-seconds": ["best"],
        "parameters": ["small", "best"],
        "training time per refit": ["best"],
        "prediction time": ["small", "best"],
    }


def test_times_are_compared_between_models_of_one_machine(tmp_path: Path) -> None:
    elsewhere = make_environment(cpu="Another CPU")
    for number, environment in enumerate([make_environment(), make_environment(), elsewhere]):
        refits = tuple(make_refit(seed, parameters=300 - number) for seed in range(3))
        add_run(tmp_path, [range(number)] * 3, spec={"family": "abc"[number]}, refits=refits, environment=environment)
    (table,) = leaderboard(tmp_path).tables
    fronts = pareto_fronts(table)
    assert fronts["parameters"] == ["c", "b", "a"]
    assert "c" not in fronts["prediction time"]
    assert timed_sentence(table) == f"Of times, the Pareto fronts contain only models from {make_environment().cpu}."


@pytest.mark.parametrize(
    ("microseconds", "wrong", "front"),
    [
        ((10.0, 10.9), (5, 5), ["a", "b"]),  # equally accurate, and the times differ by noise
        ((10.0, 11.1), (5, 5), ["a"]),
        ((10.0, 10.9), (5, 4), ["b"]),  # more accurate in the same time
        ((10.0, 11.1), (5, 4), ["a", "b"]),
    ],
)
def test_similar_times_count_as_equal_on_the_pareto_front(
    tmp_path: Path, microseconds: tuple[float, float], wrong: tuple[int, int], front: list[str]
) -> None:
    for family, time, count, parameters in zip("ab", microseconds, wrong, (100, 101), strict=True):
        refits = tuple(make_refit(number, parameters=parameters) for number in range(3))
        add_run(tmp_path, [range(count)] * 3, spec={"family": family}, refits=refits, latency=latency(time))
    (table,) = leaderboard(tmp_path).tables
    fronts = pareto_fronts(table)
    assert fronts["prediction time"] == front
    assert fronts["parameters"] == (["a"] if wrong == (5, 5) else ["a", "b"])  # exact, unlike times


def test_the_cheapest_model_is_on_the_pareto_front_even_if_ten_others_are_better(tmp_path: Path) -> None:
    for number in range(11):
        refits = tuple(make_refit(seed, parameters=5000 - number, fit_seconds=10.0) for seed in range(3))
        add_run(tmp_path, [range(number)] * 3, spec={"family": f"model{number}"}, refits=refits)
    (table,) = leaderboard(tmp_path).tables
    fronts = costs_table(table).set_index("model")["on the Pareto front for"]
    assert "parameters" in fronts["model10"]
    axes = only_section(tmp_path)["pictures"]["costs"].draw().axes[1]
    assert axes.get_xlabel() == "parameters"
    assert "model10" in [text.get_text() for text in axes.texts]


def test_a_model_far_below_the_others_does_not_stretch_the_scale_of_f1(tmp_path: Path) -> None:
    add_run(tmp_path)
    add_reference(tmp_path, [range(150)] * 3)  # 25% of 200 images
    section = only_section(tmp_path)
    assert section["left_out"] == "Not in the plot, with less than half the best accuracy: tutorial-linear."
    assert [label.get_text() for label in section["pictures"]["f1"].draw().axes[0].get_xticklabels()] == ["dense"]


def test_models_that_are_always_wrong_are_drawn(tmp_path: Path) -> None:
    add_run(tmp_path, [range(200)] * 3)
    pictures = only_section(tmp_path)["pictures"]
    assert [label.get_text() for label in pictures["f1"].draw().axes[0].get_xticklabels()] == ["dense"]


def test_searches_of_a_family_have_their_own_line_styles_and_names(tmp_path: Path) -> None:
    for seed in (1, 2):
        add_run(tmp_path, [range(seed)] * 3, spec={"seed": 3 - seed})
    axes = only_section(tmp_path)["pictures"]["search"].draw().axes[0]
    assert [text.get_text() for text in axes.texts] == ["dense-seed1", "dense-seed2"]
    assert len({line.get_linestyle() for line in axes.lines}) == 2


@pytest.mark.parametrize(("n_test", "hollow"), [(20, 1), (200, 0)])
def test_bins_with_few_predictions_are_hollow(tmp_path: Path, n_test: int, hollow: int) -> None:
    # Three refits predict all images with a confidence of 70%: 60 or 600 predictions in one bin.
    add_run(tmp_path, dataset=make_dataset(n_test=n_test))
    _, rare, common = only_section(tmp_path)["pictures"]["reliability"].draw().axes[0].lines
    assert (rare.get_markerfacecolor(), rare.get_linestyle()) == ("none", "None")
    assert [len(line.get_xdata()) for line in (rare, common)] == [hollow, 1 - hollow]


@pytest.mark.parametrize(("confidence", "shown"), [(0.9, True), (0.4, False)])
def test_label_smoothing_is_named_only_if_log_loss_and_calibration_show_it(
    tmp_path: Path, confidence: float, *, shown: bool
) -> None:
    # Confidence of 70%, accuracy of 97.5%: a calibration error of 27.5 pp and a log loss of 0.41.
    tuned = add_run(tmp_path, [range(5)] * 3)
    # Accuracy of 95%: with a confidence of 90% 5 pp and 0.27, with 40% 55 pp and 0.95.
    spec, predictions = make_reference_spec(), make_predictions([range(10)] * 3)
    is_predicted = predictions.log_probabilities > np.log(0.5)
    probability = np.where(is_predicted, confidence, (1 - confidence) / 3)
    predictions = replace(predictions, log_probabilities=np.log(probability).astype(np.float16))
    run_id = run_folder(tmp_path, spec).path.name
    write_run(tmp_path, make_run(predictions, spec=spec, run_id=run_id, origin=make_reference()), predictions)
    for each, loss in ((tuned.spec, "CategoricalCrossentropy(label_smoothing=0.1)"), (spec, "'mse'")):
        run_folder(tmp_path, each).write_plain(PlainKeras(code="", recipe={"loss": loss}))
    section = only_section(tmp_path)
    assert ("mean confidence of dense is 27.5 points below the accuracy" in section["label_smoothing"]) == shown
    assert bool(section["label_smoothing"]) == shown


def test_winners_at_a_bound_are_counted(tmp_path: Path) -> None:
    trial = make_trial(0, 0.9, values={"layers": 1, "units_1": 160, "rate": 0.001})
    for family in ("dense", "resnet"):
        add_run(tmp_path, spec={"family": family}, search={"trials": (trial,), "winner": "0000"})
    add_run(tmp_path, spec={"family": "cnn"})
    assert only_section(tmp_path)["at_bounds"].startswith(
        "In 2 of 3 winners, a hyperparameter is at a bound of its range (most often units_1, in 2 winners)"
    )


def test_errors_of_the_second_best_model_fixed_by_the_best(tmp_path: Path) -> None:
    # Labels cycle through four classes, and errors predict the next class: images 0 to 19 for dense, image 0 for cnn.
    add_run(tmp_path, [[0]] * 3, spec={"family": "cnn"})
    add_run(tmp_path, [range(20)] * 3)
    section = only_section(tmp_path)
    assert section["fixed_models"] == ("dense", "cnn")
    assert section["fixed"].iloc[0].tolist() == ["Square predicted as Triangle", "5", "0", "+5"]
    assert section["fixed"].iloc[-1].tolist() == ["Circle predicted as Square", "4", "0", "+4"]


def test_images_that_every_network_misclassifies_are_counted_and_shown(tmp_path: Path) -> None:
    add_run(tmp_path, [[0, 1, 2]] * 3, spec={"family": "cnn"})
    add_run(tmp_path, [[0, 1, 9], [0, 1, 10], [0, 1, 11]])
    section = only_section(tmp_path)
    assert section["n_shared_errors"] == 2
    assert section["shared_errors"]["test image"].tolist() == ["0", "1"]
    assert section["shared_errors"]["mean confidence (%)"].tolist() == ["70", "70"]
    assert "misclassified" in section["pictures"]


def test_of_reference_models_with_the_same_predictions_one_is_shown(tmp_path: Path) -> None:
    add_run(tmp_path)
    for name in ("tutorial-a", "tutorial-b"):
        add_reference(tmp_path, [range(40)] * 3, spec={"model": name})
    add_reference(tmp_path, [range(50)] * 3, spec={"model": "tutorial-c"})
    (table,) = leaderboard(tmp_path).tables
    assert [row.label for row in table.top] == ["dense", "tutorial-a", "tutorial-c"]
    assert only_section(tmp_path)["only_top"] == "Of reference models with the same predictions, only one is shown."


def test_ranks_are_explained_only_if_there_are_several(tmp_path: Path) -> None:
    add_run(tmp_path, [[0]] * 3)
    section = only_section(tmp_path)
    assert NOT_DIFFERENT not in section["scores"]["uncertainty"]
    assert not any("their ranks are ranges" in sentence for sentence in section["scores"]["ranking_caption"])
    add_run(tmp_path, [[1]] * 3, spec={"family": "cnn"})
    section = only_section(tmp_path)
    assert any("their ranks are ranges" in sentence for sentence in section["scores"]["ranking_caption"])


def test_metrics_that_give_another_order_are_named(tmp_path: Path) -> None:
    add_run(tmp_path, [range(0, 40, 4)] * 3, spec={"family": "cnn"})  # all errors in one class
    add_run(tmp_path, [range(12)] * 3)
    board = leaderboard(tmp_path)
    assert metrics_text(board.tables[0].top).startswith("The order by ")
    assert "lowest class recall" in metrics_text(board.tables[0].top)


def test_the_order_of_a_single_model_is_not_mentioned(tmp_path: Path) -> None:
    add_run(tmp_path)
    assert only_section(tmp_path)["metrics_text"] == ""


@pytest.mark.parametrize(("spread", "expected"), [(0, "test-set size"), (40, "seeds")])
def test_the_main_source_of_uncertainty_is_named(tmp_path: Path, spread: int, expected: str) -> None:
    add_run(tmp_path, [range(20), range(20 + spread), range(20 + 2 * spread)])
    assert uncertainty_source(leaderboard(tmp_path).tables[0].rows[0].run.interval) == expected


def test_a_single_seed_has_no_source_of_uncertainty(tmp_path: Path) -> None:
    add_run(tmp_path, [range(3)], spec={"refit_seeds": 1})
    assert only_section(tmp_path)["scores"]["uncertainty"].iloc[0]["main source of uncertainty"] == "-"


def test_calibration_is_computed_from_the_probabilities(tmp_path: Path) -> None:
    # Confidence 0.7, accuracy 90%: an error of 20 points; each of the 3 other classes has 0.1.
    add_run(tmp_path, [range(20)] * 3)
    section = only_section(tmp_path)
    (row,), (metrics,) = (section[table].to_dict("records") for table in ("calibration", "metrics"))
    brier = 0.9 * (0.3**2 + 3 * 0.1**2) + 0.1 * (0.7**2 + 0.9**2 + 2 * 0.1**2)
    assert float(metrics["calibration error (pp)"].split()[0]) == pytest.approx(20, abs=0.1)
    assert float(metrics["Brier score"].split()[0]) == pytest.approx(brier, abs=1e-3)
    assert (row["mean confidence, correct (%)"], row["mean confidence, misclassified (%)"]) == ("70.0", "70.0")


def test_plots_have_titles(tmp_path: Path) -> None:
    add_run(tmp_path, spec={"preset": "quick"})
    add_run(tmp_path, spec={"preset": "quick", "family": "cnn"})
    add_reference(tmp_path)
    pictures = only_section(tmp_path)["pictures"]
    titles = {kind: picture.draw().get_suptitle().replace("\n", " ") for kind, picture in pictures.items()}
    assert len({*titles.values()}) == len(titles) == 6
    assert all(title.endswith(": Synthetic test data (not a real dataset), preset quick") for title in titles.values())
