"""The training recipe shared by all families, so that comparing families compares architectures.

Adam in batches of 128; a tuned learning rate that rises linearly over the first 15% of the steps and then decays to
zero along a cosine; cross-entropy from logits with label smoothing 0.1; batch normalization with momentum 0.9.

Source: results/benchmarks/recipes.md compares it with alternatives.
"""

import keras
from keras_tuner import HyperParameters

BATCH_SIZE = 128
LEARNING_RATES = (0.002, 0.016)
WARM_UP = 0.15
LABEL_SMOOTHING = 0.1
# Keras' 0.99 needs more steps than a short training on a small dataset has.
NORMALIZATION_MOMENTUM = 0.9


class SmoothedCrossentropy(keras.losses.Loss):  # type: ignore[misc]
    """Cross-entropy of logits (batch, classes) and integer labels (batch,), with label smoothing.

    Keras smooths only one-hot labels.
    """

    from_logits = True

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        """The loss of each image, shape (batch,)."""
        classes = y_pred.shape[-1]
        labels = keras.ops.cast(keras.ops.reshape(y_true, (-1,)), "int32")  # Keras 3.1 passes them as floats
        one_hot = keras.ops.one_hot(labels, classes, dtype=y_pred.dtype)
        targets = (1 - LABEL_SMOOTHING) * one_hot + LABEL_SMOOTHING / classes
        return keras.losses.categorical_crossentropy(targets, y_pred, from_logits=True)


def compile_model(model: keras.Model, hp: HyperParameters, training_steps: int | None) -> None:
    """Compile `model` for integer labels (batch,).

    Args:
        model: its outputs are logits (batch, classes).
        hp: declares the learning rate.
        training_steps: optimizer steps over which the learning rate decays to zero; None keeps it constant.
    """
    low, high = LEARNING_RATES
    # Powers of two keep the space finite, as grid search requires.
    rate = hp.Float("learning_rate", low, high, step=2, sampling="log", default=2 * low)
    model.compile(
        optimizer=keras.optimizers.Adam(_schedule(rate, training_steps) if training_steps else rate),
        loss=SmoothedCrossentropy(),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
    )


def _schedule(rate: float, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    warm_up = round(WARM_UP * steps)
    return keras.optimizers.schedules.CosineDecay(0.0, steps - warm_up, warmup_target=rate, warmup_steps=warm_up)
