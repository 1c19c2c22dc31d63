"""The glossary of a dataset's page."""

from collections.abc import Iterable

from bench.evaluation.metric import Metric
from bench.report.markdown import inline

_TERMS = {
    "accuracy": "fraction of images classified correctly",
    "baseline": "a reference model that is a scikit-learn classifier with fixed settings, trained on raw pixels",
    "budget": "number of training epochs that a search may use, enough for the stated number of full-length trials; "
    "Hyperband stops weak trials early and may use the saved epochs for additional trials",
    "code digest": "checksum of the code that defines a model; equal digests mean equal code",
    "confidence": "predicted probability of the predicted class",
    "confidence interval (CI)": "if training and evaluation were repeated with other seeds and other test "
    "images (for families also with other searches and splits), 95% of such intervals would contain the expected "
    "accuracy",
    "core-seconds": "time that trials and refits took, each on one core",
    "dataset checksum, test-label checksum": "checksums of the development images and of the true classes of the test "
    "images; equal checksums mean equal data",
    "epoch": "one pass over the training images; a few that do not fill a step are left out, other ones in each epoch",
    "F1": "harmonic mean of precision (fraction of the images predicted as a class that belong to it) and recall",
    "family": "models of one architecture, whose hyperparameters a search chooses",
    "full-length trial": "a trial trained to the last epoch of its learning-rate schedule; only these can win",
    "out-of-bag R²": "fraction of the variance in trial scores that a random forest explains on trials it was not "
    "fitted on; 1 is perfect, 0 or less is no better than predicting the mean",
    "parameters": "numbers that a fitted model stores, trainable or not; of a random forest, the nodes of its trees",
    "Pareto front": "the models for which no other model is more accurate without being more expensive, or cheaper "
    "without being less accurate",
    "pp": "percentage points, the unit of differences of percentages",
    "preset": "a fixed plan of trials and epochs, sized for about 1 (quick), 10 (default) or 60 minutes (long) per "
    "family on two cores",
    "published run": "a finished run in the results folder without its models, for example from a git checkout",
    "recall": "fraction of the images of a class that are predicted as that class",
    "reference model": "a model that is not tuned here: that of a published tutorial with its original recipe, a "
    "baseline, or a model trained elsewhere",
    "refit": "the winner of a search, retrained from scratch with one seed on all development images, or a reference "
    "model, trained with one seed by its recipe",
    "reproduction": "a rerun of a published run, compared with its predictions",
    "search": "one run of a tuner on a family, which trains candidates and selects a winner on validation images",
    "search precision": "floating-point format used in a search; bfloat16 is less precise than float32 and faster on "
    "some processors",
    "seed": "initial state of a random number generator; it determines initial weights and the order of images",
    "significantly different": "a difference this large would be rare if the models were equally accurate (5% level "
    "after Holm's correction)",
    "split": "division of the development images into training and validation images; search k of a family "
    "uses split k",
    "trial": "the training of one candidate, a set of hyperparameter values, in a search",
    "tuned model": "a model whose hyperparameters were chosen by a search",
    "validation images": "development images that are held out from training to compare candidates",
}


def glossary(metrics: Iterable[Metric]) -> list[str]:
    """The entries in alphabetical order, as Markdown."""
    terms = _TERMS | {metric.name: metric.glossary for metric in metrics}
    return [f"- **{inline(term)}**: {inline(terms[term])}." for term in sorted(terms, key=lambda term: term.lower())]
