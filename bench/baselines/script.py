"""A scikit-learn classifier as a script that needs nothing of this package."""

from bench.baselines.catalog import CLASSIFIERS
from bench.baselines.classifiers import MODELS
from bench.records.dataset import DatasetFacts
from bench.records.plain import KERAS_DATASETS, PlainKeras, data_lines


def classifier_script(name: str, seed: int, dataset: DatasetFacts) -> PlainKeras:
    """The script that fits a classifier as `bench.baselines.classifiers.fit` does.

    Args:
        name: one of MODELS.
        seed: of its random generator.
        dataset: the facts of its dataset.
    """
    model = MODELS[name](seed)
    package = type(model).__module__.partition("._")[0]  # the module itself is private
    is_public = dataset.name in KERAS_DATASETS
    parts = ["train", "test"] if is_public else ["train"]
    lines = [
        *(["import keras"] if is_public else []),
        f"from {package} import {type(model).__name__}",
        "",
        *data_lines(dataset),
        "# One feature per pixel and channel, divided by 255.",
        *(f'x_{part} = x_{part}.reshape(len(x_{part}), -1).astype("float32") / 255' for part in parts),
        *(f"y_{part} = y_{part}.ravel()" for part in parts),
        "",
        f"model = {model!r}",
        "model.fit(x_train, y_train)",
        *(["print(model.score(x_test, y_test))"] if is_public else []),
    ]
    recipe = {
        "method": CLASSIFIERS[name].recipe,
        "classifier": repr(model),
        "features": "one per pixel and channel, divided by 255",
        "images": f"all {dataset.n_train + dataset.n_validation:,} development images",
    }
    return PlainKeras(code="\n".join(lines) + "\n", recipe=recipe)
