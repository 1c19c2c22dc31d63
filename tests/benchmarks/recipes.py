"""Which training recipe and which layers give the most validation accuracy for their cost?

python tests/benchmarks/recipes.py --families cnn dense

Every variant changes one thing of its family's base recipe, or names a combination, and is trained with several seeds
on the training images of split 0. Only validation images are scored: a recipe must not be chosen on the test set.

Each training is appended to results/benchmarks/recipes/FAMILY.jsonl when it ends; repeating the command continues. The
page next to that folder is made from these files, with --page-only without training.
"""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import pandas as pd
from scipy import stats

from bench.data import catalog
from bench.machine import environment, supports_bfloat16
from bench.records.choices import PRESETS, Precision, Preset
from bench.records.encoding import encode, read_lines
from bench.records.files import append_line
from bench.records.spec import PROTOCOL_VERSION, SearchSpec
from bench.report.runs import load
from bench.seeds import derive_seed
from bench.tuning.presets import PLANS

sys.path.append(str(Path(__file__).parents[1]))
from benchmarks.shared import machine_text, page, page_parser, publish, table, verdicts

if TYPE_CHECKING:
    import keras

RUNS = Path("results/benchmarks/recipes")
PAGE = RUNS.with_suffix(".md")
DATASET = catalog.locate("fashion_mnist")
# Goals: the mean test accuracy of published runs, as a fraction.
GOALS: Mapping[tuple[str, Preset], float] = {
    ("dense", "quick"): 0.890,
    ("dense", "default"): 0.905,
    ("dense", "long"): 0.910,
    ("cnn", "quick"): 0.913,
    ("cnn", "default"): 0.931,
    ("cnn", "long"): 0.942,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Layers and training of one model."""

    blocks: tuple[tuple[int, ...], ...]  # filters of the 3x3 convolutions in each block, which ends with max pooling
    units: tuple[int, ...]  # of the fully connected layers
    epochs: int
    batch_size: int
    learning_rate: float
    dropout: float  # after each fully connected layer
    normalization: Literal["after pooling", "before activation", "after activation", "none"]
    block_dropout: float = 0.0  # after each block
    activation: str = "relu"
    features: Literal["flatten", "average"] = "flatten"
    warmup: float = 0.15  # share of the steps
    decay: Literal["cosine", "linear"] = "cosine"
    label_smoothing: float = 0.1
    optimizer: Literal["adam", "sgd", "lion"] = "adam"
    weight_decay: float = 0.0
    averaging: float = 0.0  # momentum of the moving average of the weights; 0 for none
    flips: bool = False  # random horizontal flips
    shift: int = 0  # random shifts by at most this many pixels, the same for all images of a batch
    mirror: bool = False  # predictions are averaged over the image and its mirror image
    pixels: Literal["0 to 1", "-1 to 1", "standardized"] = "0 to 1"  # range of the inputs
    momentum: float = 0.99  # of the moving averages of batch normalization


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """One line of a family's file."""

    variant: str
    recipe: Recipe
    seed: int  # number of the seed, from 0
    validation_accuracy: tuple[float, ...]  # one per epoch, fraction in [0, 1]
    training_accuracy: tuple[float, ...]
    parameters: int
    fit_seconds: float  # wall clock
    cpu_seconds: float  # of the process, during training and validation
    precision: Precision
    machine: str


CNN = Recipe(
    blocks=((24,), (48,), (96,)),
    units=(256,),
    epochs=6,
    batch_size=128,
    learning_rate=0.008,
    dropout=0.0,
    normalization="after pooling",
)
DENSE = Recipe(
    blocks=(),
    units=(512, 256),
    epochs=20,
    batch_size=256,
    learning_rate=0.004,
    dropout=0.2,
    normalization="before activation",
)
# Mean and standard deviation of the training pixels are 72.9 and 90.0.
SCALES = {"0 to 1": (1 / 255, 0.0), "-1 to 1": (2 / 255, -1.0), "standardized": (1 / 90, -72.94 / 90)}
BASES = {"cnn": CNN, "dense": DENSE}
SHARED: dict[str, dict[str, Any]] = {
    "base": {},
    "no warm-up": {"warmup": 0.0},
    "no label smoothing": {"label_smoothing": 0.0},
    "linear decay": {"decay": "linear"},
    "weight decay 0.02": {"weight_decay": 0.02},
    "weight averaging 0.98": {"averaging": 0.98},
    "gelu": {"activation": "gelu"},
    "half the learning rate": {"learning_rate": None},
    "flips": {"flips": True},
    "shifts of 1 pixel": {"shift": 1},
    "flips, mirror averaging": {"flips": True, "mirror": True},
    "standardized pixels": {"pixels": "standardized"},
    "pixels from -1 to 1": {"pixels": "-1 to 1"},
    "batch normalization momentum 0.9": {"momentum": 0.9},
    "shifts of 1 pixel, flips, mirror averaging": {"shift": 1, "flips": True, "mirror": True},
    "SGD 0.2 with Nesterov momentum": {"optimizer": "sgd", "learning_rate": 0.2},
    "no batch normalization": {"normalization": "none", "learning_rate": 0.001},
    "batch normalization after activation": {"normalization": "after activation"},
}
VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    "cnn": SHARED
    | {
        "batch 64": {"batch_size": 64},
        "batch 256": {"batch_size": 256},
        "batch normalization before activation": {"normalization": "before activation"},
        "dropout 0.3": {"dropout": 0.3},
        "block dropout 0.1": {"block_dropout": 0.1},
        "global average": {"features": "average"},
        "blocks 16, 48, 128": {"blocks": ((16,), (48,), (128,))},
        "blocks 16-16, 48, 96": {"blocks": ((16, 16), (48,), (96,))},
        "blocks 16-16, 32-32, 64-64": {"blocks": ((16, 16), (32, 32), (64, 64))},
        "blocks 16, 48-48, 96": {"blocks": ((16,), (48, 48), (96,))},
        "blocks 24, 48": {"blocks": ((24,), (48,))},
        "blocks 24, 24, 24": {"blocks": ((24,), (24,), (24,))},
        "3 epochs": {"epochs": 3},
        "12 epochs": {"epochs": 12},
        "12 epochs, flips": {"epochs": 12, "flips": True},
        "12 epochs, dropout 0.3": {"epochs": 12, "dropout": 0.3},
        "12 epochs, flips, dropout 0.3": {"epochs": 12, "flips": True, "dropout": 0.3},
        "2 epochs, blocks 16, 32, 64": {"epochs": 2, "blocks": ((16,), (32,), (64,))},
        "3 epochs, blocks 8, 16, 32": {"epochs": 3, "blocks": ((8,), (16,), (32,))},
        "3 epochs, blocks 12, 24, 48": {"epochs": 3, "blocks": ((12,), (24,), (48,))},
        "4 epochs, blocks 8, 16, 32": {"epochs": 4, "blocks": ((8,), (16,), (32,))},
        "12 epochs, blocks 16-16, 48, 96, flips": {"epochs": 12, "blocks": ((16, 16), (48,), (96,)), "flips": True},
        "20 epochs, blocks 16-16, 48-48, 96-96, flips, dropout 0.3": {
            "epochs": 20,
            "blocks": ((16, 16), (48, 48), (96, 96)),
            "flips": True,
            "dropout": 0.3,
        },
        "20 epochs, blocks 16-16, 48-48, 96-96, flips, shifts of 1 pixel, dropout 0.3": {
            "epochs": 20,
            "blocks": ((16, 16), (48, 48), (96, 96)),
            "flips": True,
            "shift": 1,
            "dropout": 0.3,
        },
        "14 epochs, blocks 16-16, 48-48, 96-96, flips, dropout 0.3": {
            "epochs": 14,
            "blocks": ((16, 16), (48, 48), (96, 96)),
            "flips": True,
            "dropout": 0.3,
        },
        "14 epochs, blocks 16-16, 48-48, 96-96, flips, shifts of 1 pixel, mirror averaging, dropout 0.3": {
            "epochs": 14,
            "blocks": ((16, 16), (48, 48), (96, 96)),
            "flips": True,
            "shift": 1,
            "mirror": True,
            "dropout": 0.3,
        },
        "20 epochs, blocks 32-32, 64-64, 128, flips, shifts of 1 pixel, dropout 0.3": {
            "epochs": 20,
            "blocks": ((32, 32), (64, 64), (128,)),
            "flips": True,
            "shift": 1,
            "dropout": 0.3,
        },
    },
    "dense": SHARED
    | {
        "batch 128": {"batch_size": 128},
        "batch 512": {"batch_size": 512},
        "no dropout": {"dropout": 0.0},
        "dropout 0.3": {"dropout": 0.3},
        "dropout 0.4": {"dropout": 0.4},
        "units 1024, 512": {"units": (1024, 512)},
        "units 1024, 512, dropout 0.4": {"units": (1024, 512), "dropout": 0.4},
        "units 256, 256": {"units": (256, 256)},
        "units 512": {"units": (512,)},
        "units 512, 256, 128": {"units": (512, 256, 128)},
        "6 epochs": {"epochs": 6},
        "10 epochs": {"epochs": 10},
        "40 epochs": {"epochs": 40},
        "40 epochs, dropout 0.4": {"epochs": 40, "dropout": 0.4},
        "double the learning rate": {"learning_rate": 0.008},
    },
}
# Fields of a recipe that became hyperparameters of a family.
HYPERPARAMETERS: Mapping[str, set[str]] = {
    "cnn": {"flips", "mirror", "shift", "dropout", "blocks", "learning_rate"},
    "dense": {"flips", "mirror", "dropout", "units", "activation", "learning_rate"},
}


def published() -> dict[str, Any]:
    """The fields of the recipe that all published families share."""
    from search_spaces import _recipe as shared

    return {
        "batch_size": shared.BATCH_SIZE,
        "warmup": shared.WARM_UP,
        "label_smoothing": shared.LABEL_SMOOTHING,
        "momentum": shared.NORMALIZATION_MOMENTUM,
    }


def decision(family: str, variant: str, shared: Mapping[str, Any]) -> str:
    """Whether the suite uses the variant: used, dropped, a hyperparameter of the family, or the epochs of a preset.

    Args:
        family: of the variant.
        variant: its name.
        shared: what `published` returns.
    """
    if variant == "base":
        return "base"
    if VARIANTS[family][variant].items() <= shared.items():
        return "used"
    if "epochs" in variant:
        plans = {preset: PLANS[DATASET.name, family, preset] for preset in PRESETS}
        same = [preset for preset, plan in plans.items() if plan.epochs == VARIANTS[family][variant]["epochs"]]
        return f"preset {same[0]}" if same else "dropped"
    return "hyperparameter" if VARIANTS[family][variant].keys() <= HYPERPARAMETERS[family] else "dropped"


def recipe(family: str, variant: str) -> Recipe:
    """The recipe of a variant."""
    base, changes = BASES[family], VARIANTS[family][variant]
    if "learning_rate" in changes and changes["learning_rate"] is None:
        changes = {**changes, "learning_rate": base.learning_rate / 2}
    return replace(base, **changes)


def build(recipe: Recipe, shape: tuple[int, int, int], classes: int, steps: int) -> "keras.Model":
    """The compiled model: uint8 images (batch, *shape) to float32 logits (batch, classes)."""
    import keras
    from keras import layers

    def activate(values: keras.KerasTensor) -> keras.KerasTensor:
        activation = layers.Activation(recipe.activation)
        normalization = layers.BatchNormalization(momentum=recipe.momentum)
        order = {"before activation": (normalization, activation), "after activation": (activation, normalization)}
        for layer in order.get(recipe.normalization, (activation,)):
            values = layer(values)
        return values

    bias = recipe.normalization != "before activation"
    pixels = keras.Input(shape, dtype="uint8")
    scale, offset = SCALES[recipe.pixels]
    images = layers.Rescaling(scale, offset=offset)(pixels)
    if recipe.flips:
        images = layers.RandomFlip("horizontal")(images)
    if recipe.shift:
        images = _shift(recipe.shift)(images)
    features = images
    for widths in recipe.blocks:
        for width in widths:
            features = activate(layers.Conv2D(width, 3, padding="same", use_bias=bias)(features))
        features = layers.MaxPooling2D()(features)
        if recipe.normalization == "after pooling":
            features = layers.BatchNormalization(momentum=recipe.momentum)(features)
        if recipe.block_dropout:
            features = layers.Dropout(recipe.block_dropout)(features)
    features = layers.GlobalAveragePooling2D()(features) if recipe.features == "average" else layers.Flatten()(features)
    for width in recipe.units:
        features = activate(layers.Dense(width, use_bias=bias)(features))
        features = layers.Dropout(recipe.dropout)(features) if recipe.dropout else features
    logits = layers.Dense(classes, dtype="float32")(features)
    model = keras.Model(pixels, logits)
    model.compile(
        optimizer=_optimizer(recipe, steps),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.label_smoothing),
        metrics=["accuracy"],
    )
    return model


def _shift(pixels: int) -> "keras.Layer":
    import keras
    from keras import ops

    class Shift(keras.layers.Layer):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.seeds = keras.random.SeedGenerator()

        def call(self, images: Any, training: bool = False) -> Any:
            if not training:
                return images
            sides = [(0, 0), (pixels, pixels), (pixels, pixels), (0, 0)]
            down, right = ops.unstack(keras.random.randint((2,), 0, 2 * pixels + 1, seed=self.seeds), 2)
            return ops.slice(ops.pad(images, sides), (0, down, right, 0), ops.shape(images))

    return Shift()


def _optimizer(recipe: Recipe, steps: int) -> "keras.Optimizer":
    import keras

    warmup = round(recipe.warmup * steps)
    if recipe.decay == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(
            recipe.learning_rate if not warmup else 0.0,
            steps - warmup,
            warmup_target=recipe.learning_rate if warmup else None,
            warmup_steps=warmup,
        )
    else:
        rate = _Linear(recipe.learning_rate, warmup, steps)
    average = {"use_ema": True, "ema_momentum": recipe.averaging} if recipe.averaging else {}
    decay = {"weight_decay": recipe.weight_decay} if recipe.weight_decay else {}
    if recipe.optimizer == "sgd":
        return keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, **average, **decay)
    kind = keras.optimizers.Lion if recipe.optimizer == "lion" else keras.optimizers.Adam
    return kind(rate, **average, **decay)


def _Linear(peak: float, warmup: int, steps: int) -> Any:  # noqa: N802 - a class, made late since it needs Keras
    import keras

    class Linear(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
        def __call__(self, step: Any) -> Any:
            done = keras.ops.cast(step, "float32")
            rise = (done + 1) / max(warmup, 1) if warmup else 1.0
            return peak * keras.ops.minimum(rise, (steps - done) / (steps - warmup))

    return Linear()


def train(variant: str, recipe: Recipe, seed: int, precision: Precision) -> Training:
    """Train one model in this process."""
    import keras
    import numpy as np

    from bench.compat.tensorflow import release_graphs, silence_graph_reports
    from bench.data.splits import split
    from bench.training.batches import Batching, TrainingData, cached_development
    from bench.training.precision import prepare_process

    prepare_process(precision)
    dataset = cached_development(DATASET)
    fitted, held_back = split(dataset)
    classes = len(dataset.class_names)
    batching = Batching(batch_size=recipe.batch_size, one_hot_classes=classes)
    data = TrainingData(dataset=dataset, fitted=fitted, held_back=held_back, batching=batching)
    keras.utils.clear_session()
    number = derive_seed(0, "recipe", seed)
    keras.utils.set_random_seed(number)
    model = build(recipe, dataset.image_shape, classes, data.steps * recipe.epochs)
    model.steps_per_execution = data.steps_per_execution
    callbacks = [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)] if recipe.averaging else []
    started, cpu = time.perf_counter(), time.process_time()
    with silence_graph_reports():
        history = model.fit(
            data.training_batches(number, 0, recipe.epochs),
            epochs=recipe.epochs,
            steps_per_epoch=data.steps,
            validation_data=data.validation_batches(),
            callbacks=callbacks,
            shuffle=False,
            verbose=0,
        ).history
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    validation = history["val_accuracy"]
    if recipe.mirror:
        images, labels = dataset.images[held_back], dataset.labels[held_back]
        logits = sum(model.predict(view, batch_size=500, verbose=0) for view in (images, images[:, :, ::-1]))
        validation[-1] = float(np.mean(np.argmax(logits, axis=1) == labels))
    result = Training(
        variant=variant,
        recipe=recipe,
        seed=seed,
        validation_accuracy=tuple(validation),
        training_accuracy=tuple(history["accuracy"]),
        parameters=model.count_params(),
        fit_seconds=seconds,
        cpu_seconds=cpu,
        precision=precision,
        machine=_machine(),
    )
    release_graphs()
    return result


def _machine() -> str:
    return machine_text(environment(), "TensorFlow", "Keras")


def main(families: Sequence[str], seeds: int, workers: int, only: Sequence[str], page_only: bool) -> None:
    """Run the missing trainings, then write the page."""
    if not page_only:
        _train(families, seeds, workers, only)
    publish(PAGE, _page({file.stem: read_lines(Training, file) for file in sorted(RUNS.glob("*.jsonl"))}))


def _train(families: Sequence[str], seeds: int, workers: int, only: Sequence[str]) -> None:
    precision: Precision = "bfloat16" if supports_bfloat16() else "float32"
    jobs = []
    for seed in range(seeds):
        for family in families:
            trained: list[Training] = read_lines(Training, RUNS / f"{family}.jsonl")
            # Differences are paired with the base on the same machine.
            done = {
                (training.variant, training.seed): training.recipe
                for training in trained
                if training.variant != "base" or training.machine == _machine()
            }
            for variant in VARIANTS[family]:
                if only and variant not in only:
                    continue
                if (variant, seed) not in done:
                    jobs.append((family, variant, recipe(family, variant), seed))
                elif done[variant, seed] != recipe(family, variant):
                    raise SystemExit(f"{RUNS / family}.jsonl has another recipe named {variant!r}: remove its lines")
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(train, *job[1:], precision): job for job in jobs}
        for number, future in enumerate(as_completed(running), 1):
            family, variant, _, seed = running[future]
            if future.exception() is not None:
                sys.stderr.write(f"{family}, {variant}, seed {seed}: {future.exception()}\n")
                continue
            result = future.result()
            file = RUNS / f"{family}.jsonl"
            append_line(file, encode(result, file))
            sys.stderr.write(
                f"{number}/{len(jobs)} {family}, {variant}, seed {seed}: "
                f"{100 * result.validation_accuracy[-1]:.2f}%, {result.cpu_seconds:.0f} s\n"
            )


def _page(trainings: Mapping[str, Sequence[Training]]) -> str:
    sections = []
    for family, trained in trainings.items():
        sections += [
            f"## {family}",
            f"Base: {_description(BASES[family])}.{_differences(BASES[family])}",
            table(_rows(family, trained)),
            f"Trained {_conditions(trained)}, with one thread.",
        ]
    return page(
        "# Training recipes and layers",
        *sections,
        (
            "Validation accuracy after the last epoch on the 10,000 validation images of split 0, mean over "
            "trainings. The difference from the base is paired by machine and seed, with its 95% confidence interval "
            "by Student's t; a single training gives none, and differences as small as these intervals may be noise. "
            "If a variant has fewer trainings than the base, it is not the difference of the two means. CPU time "
            "covers training and validation; other work on the machine may have slowed it down."
        ),
        (
            "Decisions: variants that are used are part of the published families, which share one recipe, so that "
            "a variant may be used by a family that it does not help; momentum 0.9 suits short trainings, and was "
            "not chosen for its accuracy here. A hyperparameter is left to the search; a preset trains for as many "
            "epochs as the variants that name it. All others were dropped. The [page on tuners](tuners.md) compares "
            "numbers of rungs."
        ),
        "## Test accuracies with the chosen recipe",
        (
            "Of the published runs ([leaderboard](../leaderboard.md)), refits in float32; the goals were set "
            "before the runs."
        ),
        *verdicts(_goals(Path("results"))),
        (
            "Generated by `python tests/benchmarks/recipes.py` from the records in [recipes](recipes) and those of "
            "the published runs."
        ),
    )


def _goals(results: Path) -> Iterator[tuple[str, bool]]:
    """The goals of which there are published runs."""
    runs = load(results).runs
    for (family, preset), goal in GOALS.items():
        scores = [
            run.scores.accuracy
            for run in runs
            if isinstance(run.record.spec, SearchSpec)
            and (run.record.spec.dataset, run.record.spec.family) == (DATASET.name, family)
            and (run.record.spec.preset, run.record.spec.protocol) == (preset, PROTOCOL_VERSION)
        ]
        if scores:
            accuracy = sum(scores) / len(scores)
            text = f"{family} with preset {preset}, {100 * accuracy:.2f}% (searches: {len(scores)}"
            yield f"{text}, goal {100 * goal:.1f}%)", accuracy >= goal


def _conditions(trained: Sequence[Training]) -> str:
    machines: dict[str, set[str]] = {}
    for training in trained:
        machines.setdefault(training.precision, set()).add(training.machine)
    return " and ".join(f"in {precision} on {' and on '.join(sorted(names))}" for precision, names in machines.items())


def _description(recipe: Recipe) -> str:
    return ", ".join(f"{name} {value}" for name, value in msgspec.to_builtins(recipe).items())


def _differences(base: Recipe) -> str:
    """How the published families differ from a base in what they share, as a sentence or nothing."""
    shared = [f"{name} {value}" for name, value in published().items() if getattr(base, name) != value]
    return f" Published families differ from it: {', '.join(shared)}." if shared else ""


def _rows(family: str, trained: Sequence[Training]) -> Iterator[dict[str, str]]:
    scores = pd.DataFrame(
        {
            "variant": training.variant,
            "seed": f"{training.machine}, {training.seed}",
            "accuracy": 100 * training.validation_accuracy[-1],
            "cpu": training.cpu_seconds,
            "parameters": training.parameters,
        }
        for training in trained
    )
    by_seed = scores.pivot_table(index="variant", columns="seed", values="accuracy")
    order = by_seed.mean(axis=1).sort_values(ascending=False).index
    means = scores.groupby("variant")[["cpu", "parameters"]].mean()
    shared = published()
    for variant in order:
        yield {
            "variant": str(variant),
            "validation accuracy (%)": f"{by_seed.loc[variant].mean():.2f}",
            "trainings": str(by_seed.loc[variant].count()),
            "difference from the base (pp)": _difference(by_seed.loc[variant] - by_seed.loc["base"]),
            "CPU time (s)": f"{means.loc[variant, 'cpu']:.0f}",
            "parameters": f"{means.loc[variant, 'parameters']:,.0f}",
            "decision": decision(family, str(variant), shared),
        }


def _difference(differences: "pd.Series[float]") -> str:
    paired = differences.dropna()
    if len(paired) < 2 or not paired.any():
        return f"{paired.mean():+.2f}"
    low, high = stats.ttest_1samp(paired, 0.0).confidence_interval(0.95)
    return f"{paired.mean():+.2f} ({low:+.2f} to {high:+.2f})"


if __name__ == "__main__":
    parser = page_parser(__doc__)
    parser.add_argument("--families", nargs="+", default=["cnn", "dense"], choices=list(BASES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--only", nargs="+", default=[], help="names of variants")
    arguments = parser.parse_args()
    main(arguments.families, arguments.seeds, arguments.workers, arguments.only, arguments.page_only)
