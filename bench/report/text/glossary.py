"""The glossary of a dataset's page."""

from collections.abc import Iterable

from bench.evaluation.metric import Metric
from bench.report.markdown import inline

_TERMS = {
    "accuracy": "fraction of images that are classified correctly",
    "baseline": "a classifier without a neural network, as a lower bound for the others",
    "budget": "training epochs that a search may use, over all candidates",
    "confidence": "predicted probability of the predicted class",
    "confidence interval (CI)": "over repetitions with other seeds and other test images, 95% of such intervals would "
    "contain the model's true accuracy",
    "dataset checksum, test labels": "digests of the development images and of the true classes of the test images; "
    "equal digests mean equal data",
    "epoch": "one pass over all training images",
    "F1": "harmonic mean of precision (fraction of the images predicted as a class that belong to it) and recall",
    "out-of-bag R²": "fraction of the variance in trial scores that a random forest explains on trials it was not "
    "fitted on; 1 is all, 0 is none",
    "parameters": "numbers that a model stores, trained or not",
    "recall": "fraction of the images of a class that are predicted as that class",
    "refit": "the winner of a search, retrained with one seed on all development images",
    "search precision": "number format of the arithmetic in a search; bfloat16 is faster and coarser than float32",
    "seed": "start of a random number generator; it decides initial weights and the order of images",
    "significantly different": "a difference this large would be rare if the models were equally accurate (5% level, "
    "Holm's correction)",
    "trial": "one candidate, a set of hyperparameters, trained once in a search",
    "tuned": "with hyperparameters chosen by a search",
    "validation images": "development images held back from training to compare candidates",
}


def glossary(metrics: Iterable[Metric]) -> list[str]:
    """The entries in alphabetical order, as Markdown."""
    terms = _TERMS | {metric.name: metric.glossary for metric in metrics}
    return [f"- **{inline(term)}**: {inline(terms[term])}." for term in sorted(terms, key=lambda term: term.lower())]
