"""Titles of the published tutorials, by which their readers recognize them, and where they were published."""

from dataclasses import dataclass

from bench.records.record import PublishedAccuracy, RunRecord
from bench.report.markdown import Markdown, link


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A published text with exactly these layers and this recipe."""

    title: str
    author: str
    url: str
    result: str  # that it states for Fashion-MNIST, which is no test accuracy

    @property
    def citation(self) -> Markdown:
        """The author and the title, which is a link."""
        return Markdown(f"{self.author}: {link(self.title, self.url)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TutorialTitle:
    """What a tutorial builds."""

    title: str  # kind of tutorial
    layers: str
    source: Source | None = None  # None if it is not known


_TITLES = {
    "tutorial-linear": TutorialTitle(
        title="Linear classifier without a hidden layer",
        layers="Flatten, Dense 10 (logits, from_logits=True); 10 epochs, batch 32",
    ),
    "tutorial-dense-128": TutorialTitle(
        title='Dense network: one hidden layer of 128, last layer Dense(10, activation="softmax")',
        layers="Flatten, Dense 128 ReLU, Dense 10 softmax; 10 epochs, batch 32",
    ),
    "tutorial-dense-128-logits": TutorialTitle(
        title="Basic classification: Classify images of clothing; last layer without softmax (from_logits=True)",
        layers="Flatten, Dense 128 ReLU, Dense 10 (logits, from_logits=True); 10 epochs, batch 32",
        source=Source(
            title="Basic classification: Classify images of clothing",
            author="The TensorFlow Authors",
            url="https://www.tensorflow.org/tutorials/keras/classification",
            result="about 91% on the training images",
        ),
    ),
    "tutorial-dense-256-dropout": TutorialTitle(
        title="Dense network with dropout: one hidden layer of 256",
        layers="Flatten, Dense 256 ReLU, Dropout 0.2, Dense 10 softmax; 5 epochs, batch 32, last 20% for validation",
    ),
    "tutorial-cnn": TutorialTitle(
        title="Convolutional network (CNN): two convolutions, one-hot labels",
        layers="Conv 32 3x3, MaxPool, Conv 64 3x3, MaxPool, Flatten, Dense 128 ReLU, Dropout 0.5, Dense 10 softmax; "
        "10 epochs, batch 64, last 20% for validation",
    ),
}


def tutorial_title(name: str) -> TutorialTitle:
    """The title of a tutorial, which is its name if it has none."""
    return _TITLES.get(name, TutorialTitle(title=name, layers="-"))


def published_accuracy(record: RunRecord) -> PublishedAccuracy | None:
    """What a tutorial published, if it is known; the published values are for Fashion-MNIST."""
    reference = record.reference
    return reference.published if reference is not None and record.dataset.name == "fashion_mnist" else None


def own_result(record: RunRecord) -> str | None:
    """What the tutorial itself states; None if it is not known."""
    published, source = published_accuracy(record), tutorial_title(record.spec.model).source
    if published is None:
        return None
    return published.text if source is None else source.result


def stated_result(record: RunRecord) -> str | None:
    """What a tutorial states about its result; None if it is not known.

    Records have a test accuracy that was published for the model, which is not always that of the linked source.
    """
    published, source = published_accuracy(record), tutorial_title(record.spec.model).source
    if published is None or source is None:
        return None if published is None else published.text
    return f"{source.result}; published elsewhere for the same model: {published.text}"
