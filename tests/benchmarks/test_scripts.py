"""The statistics of the scripts in tests/benchmarks, on numbers small enough to check by hand."""

import mmap
import subprocess
import sys
from pathlib import Path
from typing import Literal

import numpy as np
import psutil  # type: ignore[import-untyped]  # distributed depends on it
import pytest

from bench.machine import environment
from bench.records.choices import Precision
from bench.records.record import Curve
from bench.report.pages.benchmarks import goals_of
from benchmarks import bfloat16, large_dataset, memory, recipes, scaling, startup
from benchmarks.shared import VERDICTS
from builders import make_trial_spec

# Memory


def test_growth_is_the_slope_after_the_warm_up_with_a_bound_above_it() -> None:
    # Steep in the warm-up, then x = 2..6, y = 10, 13, 12, 13, 14 has mean 12.4,
    # Sxy = (-2)(-2.4) + (-1)(0.6) + 0 + (1)(0.6) + (2)(1.6) = 8, Sxx = 10, so the slope is 0.8.
    line = memory.growth([0.0, 5.0, 10.0, 13.0, 12.0, 13.0, 14.0], warm_up=2)
    assert line.slope == pytest.approx(0.8)
    # The line passes through (4, 12.4); residuals -0.8, 1.4, -0.4, -0.2, 0 have squares that sum to 2.8.
    assert (line.first, line.last) == pytest.approx((10.8, 14.0))
    # Standard error sqrt(2.8 / 3 / 10) = 0.3055; Student's t at 95%, 3 degrees of freedom: 2.3534.
    assert line.bound == pytest.approx(0.8 + 2.3534 * 0.3055, abs=1e-3)


def test_memory_is_separated_by_worker_and_kind() -> None:
    sizes = [
        memory.Size(trial=number, family="dense", worker=worker, resident_bytes=resident, anonymous_bytes=10**6)
        for number, (worker, resident) in enumerate([(2, 3_000_000), (1, 2_000_000), (2, 5_000_000)])
    ]
    assert [(line.worker, line.kind, line.megabytes) for line in memory.lines(sizes)] == [
        (1, "resident", (2.0,)),
        (1, "anonymous", (1.0,)),
        (2, "resident", (3.0, 5.0)),
        (2, "anonymous", (1.0, 1.0)),
    ]


# Memory of a run on a large dataset

MAP = """
import mmap, subprocess, sys
with open(sys.argv[1], "rb") as file:
    mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
assert sum(mapped[::mmap.PAGESIZE]) == 0
child = subprocess.Popen([sys.executable, "-c", sys.argv[3], *sys.argv[1:2], "0", ""]) if int(sys.argv[2]) else None
print(flush=True)
sys.stdin.read()
"""


def test_memory_that_processes_share_counts_once(tmp_path: Path) -> None:
    file = tmp_path / "images"
    file.write_bytes(bytes(100 * mmap.PAGESIZE * 256))
    sizes = [_mapping(file, children) for children in (0, 1)]
    assert [size.processes for size in sizes] == [1, 2]
    # 100 MiB are mapped by one process or by two; a second interpreter takes about 10 MB.
    assert all(file.stat().st_size < size.bytes < 1.5 * file.stat().st_size for size in sizes)
    assert all(size.anonymous_bytes < 0.5 * file.stat().st_size for size in sizes)


def _mapping(file: Path, children: int) -> large_dataset.Sample:
    """The memory of a process that maps `file`, and of a child that maps it too."""
    command = [sys.executable, "-c", MAP, str(file), str(children), MAP]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(1 + children):
            process.stdout.readline()
        measured = large_dataset.sample(psutil.Process(process.pid))
        process.communicate()
    return measured


def test_process_that_has_ended_has_no_memory() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        ended = psutil.Process(process.pid)
    assert large_dataset.sample(ended).bytes == 0


@pytest.mark.parametrize(("peak", "verdict"), [(3_210_000_000, "Met"), (8_100_000_000, "Missed")])
def test_page_states_whether_the_goal_was_met(peak: int, verdict: Literal["Missed", "Met"]) -> None:
    sample = large_dataset.Sample(seconds=20.0, bytes=peak, anonymous_bytes=10**9, processes=7)
    step = large_dataset.Step(name="import", samples=100, max_gap_seconds=0.3, peak=sample)
    measurement = large_dataset.Measurement(environment=environment(), images=200_000, steps=(step,))
    text = large_dataset._page(measurement)
    stated = f"200,000 images on 4 workers take {peak / 1e9:.2f} GB at the peak (goal 8 GB)"
    assert {each: goals_of(text, each) for each in VERDICTS} == {"Missed": [], "Met": [], verdict: [stated]}


# Scaling


def test_efficiency_is_the_share_of_time_that_workers_slept() -> None:
    # 8 tasks of 1 s on 4 workers are 2 s of sleep for each, in 2.5 s.
    assert scaling.Load(workers=4, tasks=8, task_seconds=1.0, seconds=2.5).efficiency == pytest.approx(0.8)


def test_cost_of_a_trial_is_that_of_the_last_tenth() -> None:
    # 18 trials of 1 ms, then 2 of 5 ms.
    seconds = [*(0.001 * number for number in range(1, 19)), 0.023, 0.028]
    assert scaling.last_tenth(seconds) == pytest.approx(5.0)


def test_cost_of_a_short_search_is_that_of_its_last_trial() -> None:
    assert scaling.last_tenth([0.002, 0.005]) == pytest.approx(3.0)


def test_limit_is_how_many_trials_the_loop_gets_through_in_the_time_of_one() -> None:
    assert scaling.limit(30, 2.0) == 15_000


def test_growth_of_costs_is_a_power_of_the_number_of_trials() -> None:
    # 1 ms a trial in a search of 10, 4 ms in one of 20: twice the trials, four times the cost.
    costs = [_cost([0.001 * n for n in range(1, 11)]), _cost([0.004 * n for n in range(1, 21)])]
    assert scaling.growth(costs) == pytest.approx(2.0)


def _cost(total: list[float]) -> scaling.Cost:
    nothing = (0.0,) * len(total)
    return scaling.Cost(
        tuner="random",
        budget=len(total),
        complete=True,
        start_seconds=0.0,
        propose=nothing,
        report=nothing,
        ledger=nothing,
        total=tuple(total),
    )


@pytest.mark.parametrize("size", scaling.SIZES)
def test_space_of_grid_search_has_as_many_candidates_as_trials(size: int) -> None:
    assert len(scaling.factors(size)) == 9
    assert np.prod(scaling.factors(size)) == size


def test_size_that_no_grid_has_is_refused() -> None:
    with pytest.raises(ValueError, match="70 has the factor 7"):
        scaling.factors(70)


# bfloat16

# Three candidates, two seeds. In bfloat16, candidate 0 is the best with seed 0, and 1 with seed 1;
# in float32, candidate 2 with seed 0, and 1 with seed 1.
SCORE = np.array(
    [
        [[0.9, 0.1], [0.5, 0.8], [0.7, 0.2]],
        [[0.6, 0.3], [0.4, 0.9], [0.8, 0.5]],
    ]
)


def test_loss_is_measured_in_float32_with_the_other_seed() -> None:
    # Seed 0: float32 chooses 2, which has 0.5 with seed 1; bfloat16 chooses 0, which has 0.3. Seed 1: both choose 1.
    assert bfloat16.choice_loss(SCORE, np.array([[0, 1, 2]])) == pytest.approx(np.array([[0.2, 0.0]]))


def test_loss_is_of_choices_from_the_pool() -> None:
    # Without candidate 2, seed 0: both choose 0. Without 0, seed 0: both choose 2. Order does not matter.
    assert bfloat16.choice_loss(SCORE, np.array([[1, 0], [2, 1]])) == pytest.approx(np.zeros((2, 2)))
    # Without 1, seed 1: both choose 2; seed 0: as from all.
    assert bfloat16.choice_loss(SCORE, np.array([[0, 2]])) == pytest.approx(np.array([[0.2, 0.0]]))


def test_equal_precisions_have_no_loss() -> None:
    score = np.random.default_rng(0).random((1, 20, 3)).repeat(2, axis=0)
    assert bfloat16.loss_and_bound(score, 12) == (0.0, 0.0)


def test_upper_bound_exceeds_the_loss_and_is_repeatable() -> None:
    score = np.random.default_rng(0).random((2, 20, 3))
    loss, bound = bfloat16.loss_and_bound(score, 12)
    assert bound > loss
    assert bfloat16.loss_and_bound(score, 12) == (loss, bound)


def test_pool_is_drawn_without_replacement() -> None:
    pools = bfloat16.draw_pools(np.random.default_rng(0), np.arange(5), 100, 3)
    assert pools.shape == (100, 3)
    assert all(len(set(pool)) == 3 for pool in pools.tolist())
    assert set(pools.ravel().tolist()) == set(range(5))


def test_rank_correlation_is_between_different_seeds() -> None:
    # Ranks rise with seed 0 and fall with seed 1.
    scores = np.array([[1.0, 3.0], [2.0, 2.0], [3.0, 1.0]])
    assert bfloat16.rank_correlation(scores, scores) == pytest.approx(-1.0)
    assert bfloat16.rank_correlation(scores, scores[:, ::-1]) == pytest.approx(1.0)


def test_difference_is_of_the_same_candidate_with_its_interval() -> None:
    # Differences of the candidates are -0.1, 0.0, 0.4: mean 0.1, deviation 0.2646, over sqrt(3) 0.1528.
    score = np.array([[[0.4], [0.6], [0.6]], [[0.5], [0.6], [0.2]]])
    mean, interval = bfloat16.difference(score)
    assert mean == pytest.approx(0.1)
    # Student's t at 97.5%, 2 degrees of freedom: 4.3027.
    assert interval == pytest.approx((0.1 - 4.3027 * 0.15275, 0.1 + 4.3027 * 0.15275), abs=1e-4)


def _training(
    candidate: int, number: int, precision: Precision, *, score: float, error: str | None = None
) -> bfloat16.Training:
    spec = make_trial_spec(values={"units": candidate}, seed=number + 1, epochs=2, precision=precision)
    return bfloat16.Training(
        candidate=candidate,
        seed_number=number,
        source="0" * 12,
        machine="a machine",
        spec=spec,
        error=error,
        curve=Curve() if error else Curve(validation_accuracy=(0.0, score)),
        fit_seconds=1.0,
        task_seconds=1.0,
    )


def _trainings() -> list[bfloat16.Training]:
    return [
        _training(candidate, number, precision, score=float(SCORE[p, candidate, number]))
        for number in (1, 0)
        for candidate in (2, 0, 1)
        for p, precision in enumerate(bfloat16.PRECISIONS)
    ]


def test_scores_do_not_depend_on_the_order_of_training() -> None:
    assert np.array_equal(bfloat16.scores(_trainings()), SCORE)


def test_candidate_with_a_failed_training_is_left_out() -> None:
    trainings = _trainings()
    trainings[0] = _training(2, 1, "bfloat16", score=0.0, error="NonFiniteLossError: loss is nan")
    assert np.array_equal(bfloat16.scores(trainings), SCORE[:, :2])


def test_only_missing_trainings_are_left_to_do() -> None:
    trained = _trainings()
    jobs = [(training.candidate, training.seed_number, training.spec) for training in trained]
    assert bfloat16.missing(jobs, trained[2:], "0" * 12) == jobs[:2]


def test_trainings_with_other_settings_are_refused() -> None:
    trained = _trainings()
    jobs = [(training.candidate, training.seed_number, training.spec) for training in trained]
    with pytest.raises(ValueError, match="was trained with other settings"):
        bfloat16.missing(jobs, trained, "1" * 12)


# Recipes


def test_variants_of_the_published_recipe_are_used() -> None:
    shared = {"batch_size": 128, "momentum": 0.9}
    variants = ("base", "batch 128", "batch normalization momentum 0.9", "batch 512", "dropout 0.3", "6 epochs")
    expected = ["base", "used", "used", "dropped", "hyperparameter", "dropped"]
    assert [recipes.decision("dense", variant, shared) for variant in variants] == expected
    assert recipes.decision("dense", "40 epochs", shared) == "preset long"
    assert recipes.decision("cnn", "block dropout 0.1", shared) == "dropped"


def test_differences_are_paired_by_machine_and_seed() -> None:
    def training(variant: str, machine: str, seed: int, accuracy: float) -> recipes.Training:
        return recipes.Training(
            variant=variant,
            recipe=recipes.DENSE,
            seed=seed,
            validation_accuracy=(0.1, accuracy),
            training_accuracy=(0.1, accuracy),
            parameters=1000,
            fit_seconds=2.0,
            cpu_seconds=3.0,
            precision="bfloat16",
            machine=machine,
        )

    base = [training("base", "A", 0, 0.80), training("base", "B", 0, 0.90), training("base", "B", 1, 0.70)]
    other = [training("flips", "A", 0, 0.81), training("flips", "B", 1, 0.73)]
    rows = {row["variant"]: row for row in recipes._rows("dense", [*base, *other])}
    # Differences of 1 and 3 points: 2 +/- 12.706 * sqrt(2) / sqrt(2).
    assert rows["flips"]["difference from the base (pp)"] == "+2.00 (-10.71 to +14.71)"
    assert (rows["flips"]["trainings"], rows["flips"]["validation accuracy (%)"]) == ("2", "77.00")
    assert rows["base"]["difference from the base (pp)"] == "+0.00"


# Start-up


def test_added_time_is_the_difference_of_the_medians() -> None:
    # Imports 4, 5, 9: median 5. Commands of the second version 6, 9, 8: median 8.
    rounds = tuple(
        startup.Round(import_seconds=seconds, command_seconds=commands, load=0.0)
        for seconds, commands in ((4.0, (1.0, 6.0)), (9.0, (1.0, 9.0)), (5.0, (1.0, 8.0)))
    )
    measurement = startup.Measurement(environment=environment(), versions=("before", "after"), rounds=rounds)
    assert measurement.added_seconds(1) == pytest.approx(3.0)
    assert "| after     |         8.00 | 6.00 to 9.00 |                      3.00 | not met |" in startup._page(
        measurement
    )


@pytest.mark.slow
@pytest.mark.long
def test_first_training_step_of_a_run_is_timed() -> None:
    assert 0 < startup.seconds_to_first_step(startup.ROOT) < startup.WAIT_SECONDS
