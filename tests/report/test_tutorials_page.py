"""tutorials.md: titles by which readers recognize their tutorial, and what beats it."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from bench.baselines.tutorials import TUTORIALS
from bench.records.plain import PlainKeras
from bench.records.record import PublishedAccuracy
from bench.records.store import run_folder
from bench.report.text.tutorial_titles import tutorial_title
from builders import (
    add_reference,
    add_run,
    make_dataset,
    make_environment,
    make_predictions,
    make_run,
    make_spec,
    make_trial,
    page,
    write_run,
)


def titles(results: Path) -> str:
    """The line of the first tutorial in the table of titles."""
    return next(line for line in page(results, "tutorials.md").splitlines() if ".md#tutorial-" in line)


@pytest.mark.parametrize("name", TUTORIALS)
def test_every_tutorial_has_a_title_and_its_epochs_and_batch_size(name: str) -> None:
    tutorial, title = TUTORIALS[name], tutorial_title(name)
    assert title.title != name
    assert f"{tutorial.epochs} epochs, batch {tutorial.batch_size}" in title.layers
    assert ("last 20% for validation" in title.layers) == (tutorial.validation_share == 0.2)
    assert ("softmax" in title.layers) == (tutorial.output == "softmax")


def test_tutorial_without_a_title_is_listed_by_its_name() -> None:
    assert tutorial_title("tutorial-of-a-package").title == "tutorial-of-a-package"


def test_title_of_a_tutorial_is_a_link_to_its_known_source_which_comes_first(tmp_path: Path) -> None:
    add_reference(tmp_path, spec={"model": "tutorial-cnn"})
    add_reference(tmp_path, spec={"model": "tutorial-dense-128-logits"})
    url = "https://www.tensorflow.org/tutorials/keras/classification"
    title = "Basic classification: Classify images of clothing"
    cell = f"| [{title}; last layer without softmax (from_logits=True)]({url}), by The TensorFlow Authors ([tutorial-"
    assert titles(tmp_path).startswith(cell)
    own_page = page(tmp_path, "synthetic/tutorial-dense-128-logits.md")
    assert f"\n- Source: The TensorFlow Authors: [{title}]({url}).\n" in own_page


def test_open_ended_published_value_has_no_upper_limit(tmp_path: Path) -> None:
    published = PublishedAccuracy(text="over 85%", low=0.85, high=1.0)
    add_reference(tmp_path, spec={"dataset": "fashion_mnist"}, reference={"published": published})
    assert re.search(r"\| over 85% +\| +above 85.00 ", page(tmp_path, "tutorials.md"))


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.94, 0.96, "consistent"),
        (0.9395, 0.96, "too wide to test"),
        (0.75, 0.85, "below"),  # wide, but the interval is outside
    ],
)
def test_only_a_narrow_stated_range_can_be_consistent(low: float, high: float, verdict: str, tmp_path: Path) -> None:
    published = PublishedAccuracy(text="about so much", low=low, high=high)
    wrong = [range(9), range(10), range(11)]  # 95% of 200 images; half-width 4.30 * 0.5 * sqrt(1 + 1 / 3) = 2.48 points
    add_reference(tmp_path, wrong, spec={"dataset": "fashion_mnist"}, reference={"published": published})
    assert f"92.52 to 97.48 | {verdict} " in re.sub(" +", " ", page(tmp_path, "tutorials.md"))


def test_higher_log_loss_of_the_more_accurate_model_is_in_the_row(tmp_path: Path) -> None:
    smoothed = "keras.losses.CategoricalCrossentropy(label_smoothing=0.1)"
    dense = add_run(tmp_path, [range(10)] * 3, confidence=0.5)  # 95% of 200 images
    linear = add_reference(tmp_path, [range(20)] * 3, confidence=0.9)  # 90%
    for run, loss in ((dense, smoothed), (linear, "keras.losses.CategoricalCrossentropy()")):
        run_folder(tmp_path, run.spec).write_plain(PlainKeras(code="", recipe={"loss": loss}))
    losses = re.search(r"\), but a higher log loss \(([\d.]+) instead of ([\d.]+)\) \|", titles(tmp_path))
    assert losses is not None
    assert float(losses[1]) > float(losses[2])
    notes = page(tmp_path, "tutorials.md")
    assert "Label smoothing usually makes models less confident: the mean confidence of dense" in notes
    assert re.search(r" Calibration error: dense 4\d\.\d\d pp, tutorials \d\.\d\d pp\.\n", notes)
    assert re.search(r"\n- One training takes \S+ s for dense, \S+ s for the tutorials, on .+\.\n", notes)


def test_more_accurate_model_of_other_conditions_is_named(tmp_path: Path) -> None:
    add_run(tmp_path, [range(10)] * 3, spec={"preset": "default"})
    add_reference(tmp_path, [range(40)] * 3)
    add_run(tmp_path, [range(20)] * 3, spec={"preset": "quick", "family": "cnn"})
    notes = page(tmp_path, "tutorials.md")
    assert "other conditions" not in notes
    assert "Of family" not in notes
    best = add_run(tmp_path, [range(4)] * 3, spec={"preset": "long", "family": "resnet"})
    run_folder(tmp_path, best.spec).write_plain(PlainKeras(code="model.fit(x_train)\n", recipe={}))
    budget = r"A search under other conditions \(preset long, planned for 60 minutes per family on two cores\) found "
    gain = r"98\.00%, \+18\.00 pp compared with the tutorials"
    code = rf"{gain}, \S+ s per training, \[code\]\(synthetic/resnet\.md#code-of-resnet\)\.\n"
    assert re.search(rf"{budget}\[resnet\]\(synthetic/resnet\.md#resnet\): {code}", page(tmp_path, "tutorials.md"))
    add_run(tmp_path, [range(2)] * 3, spec={"preset": "default", "family": "mixer", "class_weights": "balanced"})
    other = "A search under other conditions (class weights balanced) found [mixer](synthetic/mixer.md#mixer): 99.00%, "
    assert other in page(tmp_path, "tutorials.md")


def test_only_models_with_the_same_test_set_are_compared(tmp_path: Path) -> None:
    for checksum, family, tutorial in (("5", "cnn", "tutorial-cnn"), ("6", "dense", "tutorial-linear")):
        dataset = make_dataset(checksum=checksum * 64)
        add_run(tmp_path, [range(10)] * 3, spec={"family": family}, dataset=dataset)
        add_reference(tmp_path, [range(40)] * 3, spec={"model": tutorial}, dataset=dataset)
    predictions, spec = make_predictions([[], [], []]), make_spec(family="resnet")
    reverse = replace(
        predictions, labels=predictions.labels[::-1], log_probabilities=predictions.log_probabilities[:, ::-1]
    )
    write_run(tmp_path, make_run(reverse, spec=spec), reverse)
    sections = [
        re.findall(r"]\(synthetic/([\w-]+)\.md", each) for each in page(tmp_path, "tutorials.md").split("\n## ")
    ]
    assert [{*models} for models in sections] == [set(), {"tutorial-cnn", "cnn"}, {"tutorial-linear", "dense"}]


@pytest.mark.parametrize(("cpu", "time"), [("Synthetic CPU A", r", 21 s per training"), ("Another", "")])
def test_best_model_of_every_other_family_is_named(tmp_path: Path, cpu: str, time: str) -> None:
    add_run(tmp_path, [range(4)] * 3, spec={"family": "cnn"})
    for seed, validation, wrong in ((1, 0.75, 10), (2, 0.70, 9)):
        trials = tuple(make_trial(number, validation) for number in range(3))
        environment = make_environment(cpu=cpu)
        add_run(tmp_path, [range(wrong)] * 3, spec={"seed": seed}, search={"trials": trials}, environment=environment)
    add_reference(tmp_path, [range(40)] * 3)
    gain = r"95\.00%, \+15\.00 pp compared with the tutorials"
    name = r"\[dense-seed1\]\(synthetic/dense\.md#dense-seed1\)"
    found = rf"\n- Of family dense, the best by validation accuracy is {name}: {gain}{time}\.\n"
    assert re.search(found, page(tmp_path, "tutorials.md"))


def test_reason_why_the_model_with_the_best_test_accuracy_is_not_named(tmp_path: Path) -> None:
    for seed, validation, wrong in ((1, 0.95, 10), (2, 0.93, 9)):
        trials = tuple(make_trial(number, validation) for number in range(3))
        add_run(tmp_path, [range(wrong)] * 3, spec={"seed": seed}, search={"trials": trials})
    add_reference(tmp_path, [range(40)] * 3)
    assert (
        "dense-seed1 is named although dense-seed2 has a higher test accuracy (not significantly different): "
        in page(tmp_path, "tutorials.md")
    )


@pytest.mark.parametrize(
    ("dataset", "model", "stated"),
    [
        ("fashion_mnist", "tutorial-linear", "90%"),
        ("synthetic", "tutorial-linear", "none"),
        # The text of its source states no test accuracy.
        (
            "fashion_mnist",
            "tutorial-dense-128-logits",
            "about 91% on the training images; published elsewhere for the same model: 90%",
        ),
    ],
)
def test_stated_result_is_on_both_pages_of_a_tutorial(dataset: str, model: str, stated: str, tmp_path: Path) -> None:
    add_reference(tmp_path, spec={"dataset": dataset, "model": model})
    measured = page(tmp_path, "tutorials.md").split("### Stated and measured accuracy")[1]
    row = next(line for line in measured.splitlines() if line.startswith(f"| {model}"))
    assert row.split(" | ")[1].strip() == stated
    own_page = page(tmp_path, f"{dataset}/{model}.md")
    assert f"\n- Result stated by the tutorial: {stated}" in own_page
    assert tutorial_title(model).title in own_page


def test_tutorial_and_its_page_link_to_the_code_of_a_better_tuned_model(tmp_path: Path) -> None:
    dense = add_run(tmp_path, [range(10)] * 3)  # 95% of 200 images
    add_reference(tmp_path, [range(40)] * 3)  # 80%
    assert "| [dense](synthetic/dense.md#dense): 95.00%, +15.00 pp (95% CI " in titles(tmp_path)
    assert "Code of the more accurate model" not in page(tmp_path, "synthetic/tutorial-linear.md")
    run_folder(tmp_path, dense.spec).write_plain(PlainKeras(code="model.fit(x_train)\n", recipe={}))
    line = titles(tmp_path)
    assert line.endswith("), [code](synthetic/dense.md#code-of-dense) |")
    assert "| Linear classifier without a hidden layer ([tutorial-linear](synthetic/tutorial-linear.md#" in line
    assert "Code of the more accurate model: [dense](dense.md#code-of-dense)." in page(
        tmp_path, "synthetic/tutorial-linear.md"
    )


@pytest.mark.parametrize(
    ("wrong", "verdict"),
    [(41, "not significantly different (+0.50 pp, "), (1, "worse than this (-19.50 pp, ")],
)
def test_tutorial_that_no_tuned_model_beats_has_none(wrong: int, verdict: str, tmp_path: Path) -> None:
    dense = add_run(tmp_path, [range(40)] * 3)  # 80% of 200 images
    run_folder(tmp_path, dense.spec).write_plain(PlainKeras(code="model.fit(x_train)\n", recipe={}))
    add_reference(tmp_path, [range(wrong)] * 3)
    assert f"| none: [dense](synthetic/dense.md#dense) is {verdict}" in titles(tmp_path)
    assert "Code of the more accurate model" not in page(tmp_path, "synthetic/tutorial-linear.md")


def test_tutorial_without_tuned_models_has_no_difference(tmp_path: Path) -> None:
    add_reference(tmp_path)
    assert " pp" not in titles(tmp_path)
