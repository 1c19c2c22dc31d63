"""Names, specs and descriptions of the reference models."""

import pytest

from bench.baselines import catalog
from bench.baselines.external import external_spec
from bench.errors import SpecError
from bench.records.record import PublishedAccuracy
from builders import make_dataset
from processes import python

NAMES = (
    "tutorial-linear",
    "tutorial-dense-128",
    "tutorial-dense-128-logits",
    "tutorial-dense-256-dropout",
    "tutorial-cnn",
    "baseline-majority",
    "baseline-logistic-regression",
    "baseline-random-forest",
)


def test_names_are_those_of_tutorials_and_classifiers() -> None:
    assert catalog.NAMES == NAMES


def test_names_import_neither_keras_nor_scikit_learn() -> None:
    code = (
        "import sys; from bench.baselines import catalog; [catalog.source(name) for name in catalog.NAMES]; "
        "print([m for m in sys.modules if m.split('.')[0] in ('keras', 'sklearn', 'tensorflow')])"
    )
    assert python(code) == "[]\n"


def test_deterministic_model_is_trained_once_and_a_classifier_has_no_epochs() -> None:
    specs = [catalog.reference_spec(name, "digits", seed=0, refit_seeds=7) for name in NAMES]
    assert [spec.model for spec in specs] == list(NAMES)
    assert [spec.refit_seeds for spec in specs] == [7, 7, 7, 7, 7, 1, 1, 7]
    assert [spec.epochs for spec in specs] == [10, 10, 10, 5, 10, 0, 0, 0]


def test_every_classifier_has_a_source_of_its_own() -> None:
    assert len({catalog.source(name) for name in catalog.CLASSIFIERS}) == len(catalog.CLASSIFIERS)


def test_tutorial_is_described_in_words() -> None:
    described = catalog.reference_model("tutorial-cnn")
    assert described.group == "tutorial"
    assert described.published == PublishedAccuracy(text="0.30 loss, 90%", low=0.895, high=0.905)
    assert described.recipe == (
        "Adam, softmax, one-hot labels, batches of 64, 10 epochs on all development images but the last 20%, "
        "weights after the last epoch"
    )


def test_classifier_is_described_in_words() -> None:
    described = catalog.reference_model("baseline-logistic-regression")
    assert (described.group, described.deterministic, described.published) == ("classifier", True, None)
    assert described.recipe == "multinomial logistic regression of the pixels, L2 penalty with C = 0.1, L-BFGS"


def test_images_that_are_too_small_are_named() -> None:
    small = make_dataset(name="digits", image_shape=(8, 8, 1))
    assert catalog.unsuitable("tutorial-cnn", small) == (
        "tutorial-cnn needs images of at least 10 x 10 pixels, digits has 8 x 8"
    )
    assert catalog.unsuitable("tutorial-linear", small) is None
    assert catalog.unsuitable("baseline-majority", small) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tutorial-cnn", "is taken by another model"),
        ("cnn", "is taken by another model"),
        ("all", "means several reference models"),
        ("tutorials", "means several reference models"),
        ("é b", r"^--name must consist of ASCII letters, digits, _ and -, got 'é b'$"),
    ],
)
def test_names_with_a_meaning_are_refused_for_models_trained_elsewhere(name: str, expected: str) -> None:
    with pytest.raises(SpecError, match=expected):
        external_spec(name, [], "digits")
