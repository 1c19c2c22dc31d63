"""The images of each batch: a function of seed and epoch only, each image at most once in an epoch."""

import tracemalloc
from pathlib import Path

import numpy as np
import psutil  # type: ignore[import-untyped]  # distributed depends on it
import pytest

from bench.baselines.tutorials import TUTORIALS
from bench.data.catalog import DatasetLocation, from_arrays
from bench.data.development import load_development
from bench.data.splits import split
from bench.training.batches import (
    Batching,
    TrainingData,
    cached_development,
    epoch_orders,
    training_data,
)
from builders import make_trial_spec
from search_spaces._recipe import BATCH_SIZE

pytestmark = pytest.mark.slow

DIGITS = DatasetLocation("digits")


@pytest.mark.parametrize("n", [BATCH_SIZE // 2, BATCH_SIZE, 1198])
def test_each_epoch_contains_each_image_at_most_once(n: int) -> None:
    steps, _ = Batching().steps(n)
    batches = epoch_orders(1, n, 0, 3)
    assert batches.shape == (3 * steps, min(n, BATCH_SIZE))
    for epoch in np.split(batches, 3):
        assert len(set(epoch.ravel().tolist())) == epoch.size
        assert set(epoch.ravel().tolist()) <= set(range(n))


def test_order_of_an_epoch_depends_on_seed_and_epoch_only() -> None:
    epochs = np.split(epoch_orders(1, 1198, 0, 4), 4)
    assert np.array_equal(epoch_orders(1, 1198, 2, 4), np.concatenate(epochs[2:]))
    assert not np.array_equal(epochs[0], epochs[1])
    assert not np.array_equal(epoch_orders(2, 1198, 0, 1), epochs[0])


def test_orders_of_many_epochs_need_twice_their_size() -> None:
    tracemalloc.start()
    try:
        orders = epoch_orders(1, 100_000, 0, 20)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert orders.dtype == np.int32
    assert peak < 2.5 * orders.nbytes  # of single epochs, and of all together


def test_batches_hold_images_and_labels_in_that_order() -> None:
    dataset = cached_development(DIGITS)
    indices, _ = split(dataset)
    orders = epoch_orders(1, len(indices), 0, 2)
    batches = list(TrainingData(dataset=dataset, fitted=indices, held_back=None).training_batches(1, 0, 2))
    assert len(batches) == len(orders)
    for order, (images, labels) in zip(orders, batches, strict=True):
        assert np.array_equal(images.numpy(), dataset.images[indices[order]])
        assert np.array_equal(labels.numpy(), dataset.labels[indices[order]])


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        # 390 batches of 128: 15 at once drop none; 16 would drop 6, more than half a percent.
        (50_000, (390, 15)),
        # 468 batches: 13 at once drop none, 14 would drop 6, 15 would drop 3, 16 would drop 4.
        (60_000, (468, 13)),
        # 9 batches: none may be dropped.
        (1198, (9, 9)),
        (10, (1, 1)),
    ],
)
def test_steps_of_an_epoch_are_whole_executions(n: int, expected: tuple[int, int]) -> None:
    assert Batching().steps(n) == expected


def test_recipe_of_a_tutorial_drops_no_steps() -> None:
    # 1,250 batches of 48: 16 at once would drop 2, which half a percent allows; 10 at once drop none.
    assert Batching(batch_size=48).steps(60_000) == (1248, 16)
    assert Batching(batch_size=48, may_drop_steps=False).steps(60_000) == (1250, 10)


def test_tutorial_holds_back_the_last_images_and_gets_the_labels_it_was_published_with() -> None:
    tutorial = TUTORIALS["tutorial-cnn"]
    data = training_data(make_trial_spec(model=tutorial.name, part="reference"), DIGITS)
    # 80% of the 1,437 development images, rounded down.
    assert data.fitted.tolist() == list(range(1149))
    assert data.held_back is not None
    assert data.held_back.tolist() == list(range(1149, 1437))
    batches = data.validation_batches()
    assert batches is not None
    labels = np.concatenate([labels for _, labels in batches.as_numpy_iterator()])
    assert labels.shape == (288, 10)
    assert np.array_equal(labels.argmax(axis=1), data.dataset.labels[1149:])


def test_memory_mapped_images_give_the_same_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    digits = load_development(DIGITS)
    imported = from_arrays((digits.images, digits.labels), (digits.images[:500], digits.labels[:500]))
    mapped = load_development(imported)
    assert isinstance(mapped.images, np.memmap)
    assert mapped.checksum == digits.checksum
    train, validation = split(digits)
    for batching in (Batching(), Batching(batch_size=50, one_hot_classes=10)):
        data = [
            TrainingData(dataset=d, fitted=train, held_back=validation, batching=batching) for d in (digits, mapped)
        ]
        for batches in (
            [each.training_batches(1, 0, 2) for each in data],
            [each.validation_batches() for each in data],
            [each.fitted_batches() for each in data],
        ):
            for expected, actual in zip(*map(list, batches), strict=True):
                for a, b in zip(expected, actual, strict=True):
                    assert np.array_equal(a.numpy(), b.numpy())


def test_memory_mapped_images_are_not_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    size = 200 * 2**20
    images = np.zeros((10_000, size // 10_000, 1, 1), np.uint8)  # small, so that batches take little memory
    images[:, 0, 0, 0], images[:, 1, 0, 0] = np.arange(10_000) % 256, np.arange(10_000) // 256
    labels = np.arange(10_000) % 2
    mapped = load_development(from_arrays((images, labels), (images[-10:], labels[-10:])))
    del images
    data = TrainingData(dataset=mapped, fitted=np.arange(9_000), held_back=np.arange(9_000, 10_000))
    before = _anonymous_bytes()
    for batch, _ in data.training_batches(1, 0, 1):
        assert batch.shape[0] == BATCH_SIZE
    assert _anonymous_bytes() - before < size / 2


def _anonymous_bytes() -> int:
    memory = psutil.Process().memory_info()
    return int(memory.rss - memory.shared)
