"""Models of published tutorials, with their original recipes.

Keras is imported only when a model is built, so that listing names is fast.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from bench.records.record import PublishedAccuracy

if TYPE_CHECKING:
    import keras

ADAM_LEARNING_RATE = 0.001  # Keras' default, which all of these tutorials use


@dataclass(frozen=True, slots=True, kw_only=True)
class Tutorial:
    """A model and its published recipe; it is evaluated with the weights after the last epoch."""

    name: str
    layers: "Callable[[], Sequence[keras.Layer]]"  # new layers between the scaled image and the output layer
    output: Literal["softmax", "logits"]
    labels: Literal["integer", "one-hot"]
    batch_size: int
    epochs: int
    validation_share: (
        float  # fraction of the development images, taken from the end, that are not trained on; in [0, 1)
    )
    published: PublishedAccuracy | None
    min_side: int = 1  # minimum height and width in pixels

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
    """Linear classifier of the pixels."""
    from keras import layers

    return [layers.Flatten()]


def _dense_128() -> "Sequence[keras.Layer]":
    """One hidden layer of 128 units."""
    from keras import layers

    return [layers.Flatten(), layers.Dense(128, activation="relu")]


def _dense_256_dropout() -> "Sequence[keras.Layer]":
    """One hidden layer of 256 units with dropout."""
    from keras import layers

    return [layers.Flatten(), layers.Dense(256, activation="relu"), layers.Dropout(0.2)]


def _cnn() -> "Sequence[keras.Layer]":
    """Two convolutions with max pooling, then one hidden layer with dropout."""
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


# `low` and `high` bound the values that round to the published figure.
_TUTORIALS = (
    Tutorial(
        name="tutorial-linear",
        layers=_linear,
        output="logits",
        labels="integer",
        batch_size=32,
        epochs=10,
        validation_share=0.0,
        published=PublishedAccuracy(text="around 80%", low=0.75, high=0.85),
    ),
    Tutorial(
        name="tutorial-dense-128",
        layers=_dense_128,
        output="softmax",
        labels="integer",
        batch_size=32,
        epochs=10,
        validation_share=0.0,
        published=PublishedAccuracy(text="88.41% (training 91.20%)", low=0.88405, high=0.88415),
    ),
    Tutorial(
        name="tutorial-dense-128-logits",
        layers=_dense_128,
        output="logits",
        labels="integer",
        batch_size=32,
        epochs=10,
        validation_share=0.0,
        published=PublishedAccuracy(text="over 85%", low=0.85, high=1.0),
    ),
    Tutorial(
        name="tutorial-dense-256-dropout",
        layers=_dense_256_dropout,
        output="softmax",
        labels="integer",
        batch_size=32,
        epochs=5,
        validation_share=0.2,
        published=None,
    ),
    Tutorial(
        name="tutorial-cnn",
        layers=_cnn,
        output="softmax",
        labels="one-hot",
        batch_size=64,
        epochs=10,
        validation_share=0.2,
        published=PublishedAccuracy(text="0.30 loss, 90%", low=0.895, high=0.905),
        min_side=10,
    ),
)

TUTORIALS: Mapping[str, Tutorial] = MappingProxyType({tutorial.name: tutorial for tutorial in _TUTORIALS})
