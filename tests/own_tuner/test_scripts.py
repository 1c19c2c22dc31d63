"""Scripts in the style of public notebooks, with one line changed: `tuner.search(` to `bench.search(tuner, `."""

from pathlib import Path

import pytest

from tuner_scripts import DIGITS, run_script

pytestmark = [pytest.mark.slow, pytest.mark.long]

REGRESSION = """
import keras, keras_tuner, numpy as np, pandas as pd
from keras import layers
from sklearn.datasets import load_diabetes

frame = load_diabetes(as_frame=True).frame
labels = frame.pop("target")
normalizer = layers.Normalization()
normalizer.adapt(frame.to_numpy())

def build_model(hp):
    model = keras.Sequential([normalizer])
    for layer in range(hp.Int("layers", 1, 3)):
        model.add(layers.Dense(hp.Int(f"units_{layer}", 8, 32, step=8), activation="relu"))
    model.add(layers.Dense(1))
    rate = hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")
    model.compile(keras.optimizers.Adam(rate), "mse", metrics=["mae"])
    return model

objective = keras_tuner.Objective("val_mae", "min")
tuner = keras_tuner.BayesianOptimization(build_model, objective, max_trials=6, num_initial_points=3, seed=1)
tuner.search(frame, labels, validation_split=0.25, epochs=4, batch_size=64)
tuner.results_summary()
errors = [trial.score for trial in tuner.oracle.get_best_trials(6)]
assert len(errors) == 6 and errors == sorted(errors) and errors[0] < 150
model = tuner.get_best_models()[0]
print(abs(model.predict(frame, verbose=0)[:, 0] - labels).mean())
# Layers that only some models have were searched, too.
assert len({trial.hyperparameters.values.get("units_1") for trial in tuner.oracle.trials.values()}) > 2
"""

SEQUENCES = """
import keras, keras_tuner, numpy as np
from keras import layers

random = np.random.default_rng(1)
x = random.integers(1, 50, (600, 12))
y = (x[:, :6].sum(axis=1) > x[:, 6:].sum(axis=1)).astype("int32")

class Net(keras_tuner.HyperModel):
    def __init__(self, words):
        super().__init__()
        self.words = words

    def build(self, hp):
        model = keras.Sequential([keras.Input((12,))])
        model.add(layers.Embedding(self.words, hp.Choice("embedding", [4, 8])))
        model.add(layers.LSTM(hp.Int("units", 4, 12, step=4), dropout=hp.Choice("dropout", [0.0, 0.2])))
        model.add(layers.Dense(1, activation="sigmoid"))
        model.compile("adam", "binary_crossentropy", metrics=[keras.metrics.AUC(name="auc")])
        return model

tuner = keras_tuner.Hyperband(Net(50), keras_tuner.Objective("val_auc", "max"), max_epochs=4, factor=2, seed=1)
callbacks = [keras.callbacks.EarlyStopping("val_loss")]
tuner.search(x[:400], y[:400], validation_data=(x[400:], y[400:]), callbacks=callbacks)
tuner.results_summary(3)
best = tuner.get_best_hyperparameters()[0]
model = tuner.hypermodel.build(best)
model.fit(x, y, epochs=1, verbose=0)
assert {trial.status for trial in tuner.oracle.trials.values()} == {"COMPLETED"}
assert any("tuner/trial_id" in trial.hyperparameters.values for trial in tuner.oracle.trials.values())
"""

DATASETS = (
    DIGITS
    + """
import tensorflow as tf

def batches(images, labels):
    return tf.data.Dataset.from_tensor_slices((images, labels)).batch(64)

def train():
    return batches(x_train, y_train).shuffle(10)

tuner = keras_tuner.RandomSearch(build_model, "val_loss", max_trials=3, executions_per_trial=2, seed=1)
tuner.search(train, validation_data=lambda: batches(x_val, y_val), epochs=2, verbose=0)
assert {trial.status for trial in tuner.oracle.trials.values()} == {"COMPLETED"}
"""
)

GENERATORS = (
    DIGITS
    + """
class Batches(keras.utils.PyDataset):
    def __init__(self, images, labels):
        super().__init__(workers=2, use_multiprocessing=True)
        self.images, self.labels = images, labels

    def __len__(self):
        return len(self.images) // 100

    def __getitem__(self, index):
        return self.images[index * 100 : (index + 1) * 100], self.labels[index * 100 : (index + 1) * 100]

def endless():
    while True:
        yield x_train[:100], y_train[:100]

tuner = keras_tuner.GridSearch(build_model, "val_accuracy", max_trials=2, project_name="pydataset")
tuner.search(Batches(x_train, y_train), validation_data=Batches(x_val, y_val), epochs=2)
assert {trial.status for trial in tuner.oracle.trials.values()} == {"COMPLETED"}

tuner = keras_tuner.GridSearch(build_model, "val_accuracy", max_trials=2, project_name="generator")
tuner.search(endless, validation_data=(x_val.astype(">f4"), y_val), steps_per_epoch=5, epochs=2)
assert {trial.status for trial in tuner.oracle.trials.values()} == {"COMPLETED"}
"""
)

OWN_FIT = (
    DIGITS
    + """
import tensorflow as tf

class Net(keras_tuner.HyperModel):
    def build(self, hp):
        return build_model(hp)

    def fit(self, hp, model, x, y, validation_data=None, **kwargs):
        @tf.function  # which needs the source of the function
        def all_positive():
            positive = True
            for each in tf.constant([1, 2]):
                if each < 0:
                    positive = False
            return positive

        assert all_positive()
        if hp.Boolean("flip"):
            x, validation_data = x[:, ::-1], (validation_data[0][:, ::-1], validation_data[1])
        return model.fit(
            x, y, batch_size=hp.Choice("batch_size", [32, 64, 128]), validation_data=validation_data, **kwargs
        )

tuner = keras_tuner.RandomSearch(Net(), "val_accuracy", max_trials=4, seed=2)
tuner.search(x_train, y_train, validation_data=(x_val, y_val), epochs=2)
values = [trial.hyperparameters.values for trial in tuner.oracle.trials.values()]
assert values[0]["batch_size"] == 32 and len({each["batch_size"] for each in values}) > 1, values
assert tuner.get_best_models()[0].count_params() > 0
"""
)

OWN_MODEL = (
    DIGITS
    + """
class Reversed(keras.Sequential):
    def fit(self, x, *args, **kwargs):
        return super().fit(x[:, ::-1].copy(), *args, **kwargs)

def build(hp):
    model = Reversed([keras.Input((64,)), layers.Dense(hp.Choice("units", [8, 16]), activation="relu")])
    model.add(layers.Dense(10, activation="softmax"))
    model.compile("adam", "categorical_crossentropy", metrics=[keras.metrics.F1Score(), "accuracy"])
    return model

labels = keras.utils.to_categorical(y_train)
tuner = keras_tuner.GridSearch(build, "val_loss", max_trials=2, executions_per_trial=2)
result = tuner.search(x_train, labels, validation_split=0.2, sample_weight=y_train / 10, epochs=2)
trials = tuner.oracle.trials.values()
assert [trial.status for trial in trials] == ["COMPLETED"] * 2, [trial.message for trial in trials]
# Like Keras Tuner, the mean of the F1 scores of all classes.
assert all(0 < trial.metrics.get_best_value("val_f1_score") < 1 for trial in trials)
assert result.curves["val_f1_score"].between(0, 1).all()
"""
)

OWN_LAYER = (
    DIGITS
    + """
@keras.saving.register_keras_serializable("mine")
class Scale(layers.Layer):
    def call(self, inputs):
        return inputs * 2

scaling = keras.Sequential([keras.Input((64,)), Scale()], name="scaling")

def build(hp):
    model = keras.Sequential([scaling, build_model(hp)])
    model = keras.Sequential.from_config(model.get_config())
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model

tuner = keras_tuner.GridSearch(build, "val_loss", max_trials=2)
tuner.search(x_train, y_train, validation_data=(x_val, y_val), epochs=1)
trials = tuner.oracle.trials.values()
assert [trial.status for trial in trials] == ["COMPLETED"] * 2, [trial.message for trial in trials]
"""
)

# Trials save to the same files, many times.
CHECKPOINTS = (
    DIGITS
    + """
callbacks = [
    keras.callbacks.ModelCheckpoint("last.keras"),
    keras.callbacks.ModelCheckpoint("last.weights.h5", save_weights_only=True, save_freq=5),
]
tuner = keras_tuner.RandomSearch(build_model, "val_loss", max_trials=6, seed=1)
tuner.search(x_train, y_train, validation_data=(x_val, y_val), epochs=10, callbacks=callbacks)
trials = tuner.oracle.trials.values()
assert [trial.status for trial in trials] == ["COMPLETED"] * 6, [trial.message for trial in trials]
keras.models.load_model("last.keras")
"""
)

OWN_SCORES = (
    DIGITS
    + """
class Net(keras_tuner.HyperModel):
    def build(self, hp):
        return build_model(hp)

    def fit(self, hp, model, x, y, validation_data, **kwargs):
        model.fit(x, y, **kwargs)
        predicted = model.predict(validation_data[0], verbose=0).argmax(axis=1)
        return self.score(float((predicted != validation_data[1]).mean()), model.count_params())

    def score(self, error, size):
        return error

class Several(Net):
    def score(self, error, size):
        return {"error": error, "size": size}

tuner = keras_tuner.RandomSearch(Net(), max_trials=3, seed=2, project_name="float")
tuner.search(x_train, y_train, validation_data=(x_val, y_val), epochs=2)
scores = [trial.score for trial in tuner.oracle.get_best_trials(3)]
assert scores == sorted(scores) and 0 < scores[0] < 0.9

tuner = keras_tuner.RandomSearch(
    Several(), keras_tuner.Objective("error", "min"), max_trials=3, seed=2, project_name="dictionary"
)
result = tuner.search(x_train, y_train, validation_data=(x_val, y_val), epochs=2)
assert result.curves.groupby("trial")["accuracy"].count().tolist() == [2] * 3
assert result.executions["best_epoch"].isna().all()
assert {trial.metrics.get_best_value("size") for trial in tuner.oracle.trials.values()} != set()

objectives = ["val_loss", keras_tuner.Objective("val_accuracy", "max")]
tuner = keras_tuner.RandomSearch(build_model, objectives, max_trials=3, seed=2, project_name="several")
tuner.search(x_train, y_train, validation_data=(x_val, y_val), epochs=2)
for trial in tuner.oracle.trials.values():
    value = {name: trial.metrics.get_best_value(name) for name in ("val_loss", "val_accuracy")}
    assert abs(trial.score - (value["val_loss"] - value["val_accuracy"])) < 1e-6
"""
)

OWN_RUN_TRIAL = """
import keras_tuner

class Parabola(keras_tuner.RandomSearch):
    def run_trial(self, trial, offset):
        x = trial.hyperparameters.Float("x", -1.0, 1.0)
        return {"value": x * x + offset}

tuner = Parabola(objective=keras_tuner.Objective("value", "min"), max_trials=20, seed=1)
tuner.search(1)
scores = {trial.hyperparameters.values["x"]: trial.score for trial in tuner.oracle.trials.values()}
assert len(scores) == 20 and all(score == x * x + 1 for x, score in scores.items())
"""

SKLEARN = """
import keras_tuner
from sklearn import base, datasets, linear_model, model_selection, pipeline, svm

class Centered(base.TransformerMixin, base.BaseEstimator):
    def fit(self, x, y=None):
        self.mean_ = x.mean(axis=0)
        return self

    def transform(self, x):
        return x - self.mean_

def build_model(hp):
    if hp.Choice("kind", ["ridge", "svm"]) == "ridge":
        return linear_model.RidgeClassifier(alpha=hp.Float("alpha", 1e-3, 1, sampling="log"))
    return pipeline.make_pipeline(Centered(), svm.SVC(C=hp.Float("C", 1e-2, 10, sampling="log")))

x, y = datasets.load_iris(return_X_y=True)
oracle = keras_tuner.oracles.RandomSearchOracle(keras_tuner.Objective("score", "max"), max_trials=6, seed=1)
tuner = keras_tuner.tuners.SklearnTuner(oracle, build_model, cv=model_selection.StratifiedKFold(3))
tuner.search(x, y)
assert tuner.get_best_models()[0].predict(x).shape == (150,)
trials = tuner.oracle.trials.values()
assert [trial.status for trial in trials] == ["COMPLETED"] * 6, [trial.message for trial in trials]
assert tuner.oracle.get_best_trials()[0].score > 0.9
"""

SCRIPTS = {
    "regression": REGRESSION,
    "sequences": SEQUENCES,
    "datasets": DATASETS,
    "generators": GENERATORS,
    "own_fit": OWN_FIT,
    "own_model": OWN_MODEL,
    "own_layer": OWN_LAYER,
    "checkpoints": CHECKPOINTS,
    "own_scores": OWN_SCORES,
    "own_run_trial": OWN_RUN_TRIAL,
    "sklearn": SKLEARN,
}


# Other tests run scripts in the same way, with other models and data.
@pytest.mark.parametrize("name", SCRIPTS)
def test_script_runs_with_one_line_changed(name: str, tmp_path: Path) -> None:
    run_script(SCRIPTS[name].replace("tuner.search(", "bench.search(tuner, "), tmp_path, prelude="import bench\n")
