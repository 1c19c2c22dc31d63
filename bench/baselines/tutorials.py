"""Models of published tutorials, each with its own recipe: fixed, never searched, shown beside what a search finds.

Keras is imported when a model is built, so that naming the references is fast.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import keras

ADAM_LEARNING_RATE = 0.001  # Keras' default, which all of these tutorials use


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The test accuracy that a tutorial names."""

    text: str  # in its words
    low: float  # what they may mean, in [0, 1]
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A model and the recipe that it was published with; the weights after the last epoch are kept."""

    name: str
    layers: (
        "Callable[[], Sequence[keras.Layer]]"  # between the scaled image and the output layer, made anew at each call
    )
    output: Literal["softmax", "logits"]
    labels: Literal["integer", "one-hot"]
    batch_size: int
    epochs: int
    validation_share: float  # of the development images, the last ones, which it is not fitted on; in [0, 1)
    published: Published | None
    smallest_side: int = 1  # pixels that height and width need, for the layers to leave any

    def build(self, input_shape: tuple[int, int, int], classes: int) -> "keras.Model":
        """A compiled model from uint8 images (batch, *input_shape) to probabilities or logits (batch, classes)."""
        import keras

        pixels = keras.Input(input_shape, dtype="uint8", name="pixels")
        features = keras.layers.Rescaling(1 / 255, name="scale")(pixels)
        for layer in self.layers():
            features = layer(features)
        softmax = self.output == "softmax"
        scores = keras.layers.Dense(classes, activation="softmax" if softmax else None, name=self.output)(features)
        model = keras.Model(pixels, scores, name=self.name.replace("-", "_"))
        entropy = (
            keras.losses.CategoricalCrossentropy
            if self.labels == "one-hot"
            else keras.losses.SparseCategoricalCrossentropy
        )
        model.compile(
            optimizer=keras.optimizers.Adam(ADAM_LEARNING_RATE),
            loss=entropy(from_logits=not softmax),
            metrics=["accuracy"],
        )
        return model


def _linear() -> "Sequence[keras.Layer]":
    from keras import layers

    return [layers.Flatten()]


def _dense_128() -> "Sequence[keras.Layer]":
    from keras import layers

    return [layers.Flatten(), layers.Dense(128, activation="relu")]


def _dense_256_dropout() -> "Sequence[keras.Layer]":
    from keras import layers

    return [layers.Flatten(), layers.Dense(256, activation="relu"), layers.Dropout(0.2)]


def _cnn() -> "Sequence[keras.Layer]":
    from keras import layers

    return [
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        layers.Dropout(0.5),
    ]


# What a rounded figure may mean is what would be rounded to it.
REFERENCES = (
    Reference(
        name="tutorial-linear",
        layers=_linear,
        output="logits",
        labels="integer",
        batch_size=32,
        epochs=10,
        validation_share=0.0,
        published=Published(text="around 80 %", low=0.75, high=0.85),
    ),
    Reference(
        name="tutorial-dense-128",
        layers=_dense_128,
        output="softmax",
        labels="integer",
        batch_size=32,
        epochs=10,
        validation_share=0.0,
        published=Published(text="88.41 % (training 91.20 %)", low=0.88405, high=0.88415),
    ),
    Reference(
        name="tutorial-dense-128-logits",
        layers=_dense_128,
        output="logits",
        labels="integer",
        batch_size=32,
        epochs=10,
        validation_share=0.0,
        published=Published(text="over 85 %", low=0.85, high=1.0),
    ),
    Reference(
        name="tutorial-dense-256-dropout",
        layers=_dense_256_dropout,
        output="softmax",
        labels="integer",
        batch_size=32,
        epochs=5,
        validation_share=0.2,
        published=None,
    ),
    Reference(
        name="tutorial-cnn",
        layers=_cnn,
        output="softmax",
        labels="one-hot",
        batch_size=64,
        epochs=10,
        validation_share=0.2,
        published=Published(text="0.30 loss, 90 %", low=0.895, high=0.905),
        smallest_side=10,
    ),
)


def find(name: str) -> Reference:
    """The reference of that name.

    Raises:
        ValueError: there is none.
    """
    for reference in REFERENCES:
        if reference.name == name:
            return reference
    raise ValueError(f"no reference {name!r}; there are {', '.join(each.name for each in REFERENCES)}")
