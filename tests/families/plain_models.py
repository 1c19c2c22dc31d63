"""Models written for Keras Tuner, not for this suite: as in its documentation and in public notebooks."""
# mypy: ignore-errors
# ruff: noqa: B905, PLR0917

import keras
import keras_tuner as kt
import tensorflow as tf
from keras import layers


def build_model(hp):
    """Keras Tuner's getting started guide: built on its first call, and layers that exist in some builds only."""
    model = keras.Sequential()
    model.add(layers.Flatten())
    for i in range(hp.Int("num_layers", 1, 3)):
        model.add(
            layers.Dense(
                units=hp.Int(f"units_{i}", min_value=8, max_value=24, step=8),
                activation=hp.Choice("activation", ["relu", "tanh"]),
            )
        )
    if hp.Boolean("dropout"):
        model.add(layers.Dropout(rate=0.25))
    model.add(layers.Dense(10, activation="softmax"))
    learning_rate = hp.Float("lr", min_value=1e-3, max_value=1e-2, sampling="log")
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate=learning_rate),
        loss="categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def model_builder(hp):
    """TensorFlow's Keras Tuner tutorial: flattens (28, 28) and returns logits for integer labels."""
    model = keras.Sequential()
    model.add(keras.layers.Flatten(input_shape=(8, 8)))
    hp_units = hp.Int("units", min_value=32, max_value=96, step=32)
    model.add(keras.layers.Dense(units=hp_units, activation="relu"))
    model.add(keras.layers.Dense(10))
    hp_learning_rate = hp.Choice("learning_rate", values=[1e-2, 1e-3])
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate=hp_learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def build_cnn(hp, num_classes):
    """A functional CNN that rescales pixels itself, with a softmax layer, without metrics."""
    inputs = keras.Input((8, 8, 1))
    x = layers.Rescaling(1.0 / 255)(inputs)
    x = layers.Conv2D(hp.Choice("filters", [4, 8]), 3, activation="relu", padding="same")(x)
    x = layers.MaxPooling2D()(x)
    x = layers.Dense(num_classes)(layers.Flatten()(x))
    model = keras.Model(inputs, layers.Softmax()(x))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy())
    return model


def build_softmax_as_logits(hp):
    """A common mistake: a loss that expects logits, after a softmax."""
    model = keras.Sequential([layers.Flatten(), layers.Dense(hp.Choice("units", [8, 16])), layers.Dense(10, "softmax")])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def build_half(hp):
    """A dtype policy for which Keras wraps the optimizer, to scale the loss."""
    keras.mixed_precision.set_global_policy("mixed_float16")
    outputs = layers.Dense(10, "softmax", dtype="float32")
    model = keras.Sequential([layers.Flatten(), layers.Dense(hp.Choice("units", [8, 16])), outputs])
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def build_averaged(hp):
    """`fit` ends with the moving average of the weights."""
    model = keras.Sequential([layers.Flatten(), layers.Dense(hp.Choice("units", [8, 16])), layers.Dense(10, "softmax")])
    model.compile(keras.optimizers.Adam(0.01, use_ema=True), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def build_sigmoid(hp):
    """A search that includes an output that does not sum to 1."""
    output = hp.Choice("output", ["softmax", "sigmoid"])
    model = keras.Sequential([layers.Flatten(), layers.Dense(10, activation=output)])
    model.compile("adam", "categorical_crossentropy")
    return model


def build_uint8(hp):
    """A model whose input is uint8, as those of this suite."""
    inputs = keras.Input((8, 8, 1), dtype="uint8")
    x = layers.Flatten()(layers.Rescaling(1 / 255)(inputs))
    x = layers.Dense(hp.Choice("units", [8, 16]), activation="relu")(x)
    model = keras.Model(inputs, layers.Dense(10)(x))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["acc"])
    return model


def build_flat(hp):
    """For images that a notebook reshapes to vectors."""
    model = keras.Sequential([keras.Input((64,)), layers.Dense(hp.Choice("units", [8, 16]), "relu")])
    model.add(layers.Dense(10, "softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def build_rows(hp):
    """A recurrent network over the rows of an image, built on its first call."""
    model = keras.Sequential([layers.LSTM(hp.Choice("units", [8, 16])), layers.Dense(10, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@keras.saving.register_keras_serializable("plain_models")
class Scale(layers.Layer):
    """A layer of the user's own, with the configuration that saving needs."""

    def __init__(self, factor=1.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, x):
        return x * self.factor

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


class Unregistered(Scale):
    """The same, not registered."""


def focal(y_true, y_pred):
    """A loss of the user's own, for one-hot labels."""
    return keras.ops.sum(-y_true * (1 - y_pred) ** 2 * keras.ops.log(y_pred + 1e-7), axis=-1)


def build_own_parts(hp):
    """Layers and a loss of the user's own."""
    model = keras.Sequential([layers.Flatten(), Scale(2.0), Unregistered(hp.Choice("factor", [1.0, 2.0]))])
    model.add(layers.Dense(10, "softmax"))
    model.compile("adam", focal, metrics=["accuracy"])
    return model


def twice_silu(x):
    return keras.ops.silu(2 * x)


def build_functions(hp):
    """Functions of the user's own in layers, and a lambda; such a model cannot be copied."""
    model = keras.Sequential([layers.Lambda(lambda x: x / 255), layers.Flatten()])
    model.add(layers.Dense(hp.Choice("units", [8, 16]), activation=twice_silu))
    model.add(layers.Dense(10, "softmax"))
    model.compile("adam", focal)
    return model


class MyModel(keras.Model):
    """A subclass of keras.Model."""

    def __init__(self, units=8, **kwargs):
        super().__init__(**kwargs)
        self.flatten = layers.Flatten()
        self.hidden = layers.Dense(units, activation="relu")
        self.out = layers.Dense(10, activation="softmax")
        self.units = units

    def call(self, x):
        return self.out(self.hidden(self.flatten(x)))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def build_subclass(hp):
    model = MyModel(hp.Choice("units", [8, 16]))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


class MyHyperModel(kt.HyperModel):
    """Keras Tuner's guide: tunes batch size, shuffling and class weights in `fit`."""

    def __init__(self, num_classes):
        super().__init__()
        self.num_classes = num_classes

    def build(self, hp):
        model = keras.Sequential([layers.Flatten(), layers.Dense(hp.Choice("units", [16, 32]), activation="relu")])
        model.add(layers.Dense(self.num_classes, activation="softmax"))
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    def fit(self, hp, model, *args, **kwargs):
        weights = {0: hp.Float("weight_0", 1.0, 2.0, step=0.5)} | dict.fromkeys(range(1, 10), 1.0)
        return model.fit(
            *args,
            batch_size=hp.Choice("batch_size", [16, 64]),
            shuffle=hp.Boolean("shuffle"),
            class_weight=weights if hp.Boolean("weighted") else None,
            **kwargs,
        )


INSTANCE = MyHyperModel(10)


class StopsEarly(MyHyperModel):
    """Stops early and restores the best weights."""

    def fit(self, hp, model, x, y, callbacks=(), **kwargs):
        stop = keras.callbacks.EarlyStopping(patience=0, restore_best_weights=True, min_delta=0.5)
        return model.fit(x, y, callbacks=[*callbacks, stop], **kwargs)


class AveragesWeights(MyHyperModel):
    """`fit` ends with the moving average of the weights, but reports scores of the weights themselves."""

    def build(self, hp):
        model = super().build(hp)
        model.compile(keras.optimizers.Adam(use_ema=True), "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model


class OwnLoop(MyHyperModel):
    """Keras Tuner's guide: a training loop of its own, which returns a float."""

    def fit(self, hp, model, x, y, validation_data, epochs, callbacks=None, **kwargs):
        batches = tf.data.Dataset.from_tensor_slices((x, y)).batch(hp.Choice("batch_size", [32, 64]))
        optimizer, loss = keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy()
        model(x[:1])

        @tf.function
        def step(images, labels):
            with tf.GradientTape() as tape:
                value = loss(labels, model(images, training=True))
            gradients = tape.gradient(value, model.trainable_variables)
            optimizer.apply_gradients(zip(gradients, model.trainable_variables))
            return value

        for _ in range(epochs):
            for images, labels in batches:
                value = step(images, labels)
        return float(value)


class OwnEpochs(MyHyperModel):
    """Tunes the number of epochs in `fit`, as many notebooks do."""

    def fit(self, hp, model, *args, **kwargs):
        return model.fit(*args, epochs=hp.Int("epochs", 2, 4), verbose=0, **kwargs)


class OwnCallbacks(MyHyperModel):
    """Replaces the callbacks that it is given."""

    def fit(self, hp, model, *args, **kwargs):
        return model.fit(*args, callbacks=[keras.callbacks.EarlyStopping()], **kwargs)


class FewArguments(MyHyperModel):
    """Takes images and labels only."""

    def fit(self, hp, model, x, y):
        return model.fit(x, y)


class Preprocesses(MyHyperModel):
    """Scales images in `fit`, where the test images never come."""

    def fit(self, hp, model, x, y, validation_data, **kwargs):
        images, labels = validation_data
        shift = 1 - 2 * hp.Boolean("inverted")
        return model.fit(shift * x, y, validation_data=(shift * images, labels), **kwargs)


class Nested:
    """Hyperparameters that exist only for some values of others, two levels deep."""

    @staticmethod
    def build(hp):
        model = keras.Sequential([layers.Flatten()])
        if hp.Choice("kind", ["linear", "mlp"]) == "mlp":
            model.add(layers.Dense(hp.Choice("units", [8, 16]), activation="relu"))
            if hp.Boolean("regularized"):
                model.add(layers.Dropout(hp.Float("rate", 0.1, 0.5)))
        model.add(layers.Dense(10, activation="softmax"))
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model


def build_late(hp):
    """A hyperparameter that exists only for one value of thirty."""
    model = keras.Sequential([layers.Flatten()])
    if hp.Int("units", 8, 38) == 23:
        model.add(layers.Dropout(hp.Float("late_rate", 0.1, 0.5, default=0.2)))
    model.add(layers.Dense(10, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
