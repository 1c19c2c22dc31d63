"""The training recipe shared by all families, so that comparing families compares architectures.

Adam, a tuned learning rate with cosine decay to zero, cross-entropy from logits, batches of 128.
"""

import keras
from keras_tuner import HyperParameters

BATCH_SIZE = 128
LEARNING_RATES = (0.0005, 0.008)


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
    schedule = keras.optimizers.schedules.CosineDecay(rate, training_steps) if training_steps else rate
    model.compile(
        optimizer=keras.optimizers.Adam(schedule),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
