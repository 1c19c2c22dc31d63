"""Does a search in bfloat16 choose winners as good as those of a search in float32?

python tests/benchmarks/bfloat16.py --families cnn dense

Refits are always in float32, so bfloat16 can change a result only by making a search choose another candidate. The same
random candidates are trained in both precisions with the same seeds, and each precision chooses the best. The cost of
choosing in bfloat16 is the float32 accuracy of float32's choice minus that of bfloat16's choice, both measured with
other seeds than the one used for the choice, since the best of many candidates owes part of its score to its seed. A
cost grows with the number of candidates, so it is averaged over many random pools of each of the sizes in POOL_SIZES.
The goal is a 95% upper bound of at most GOAL percentage points, with the largest pools.

Each training is appended to results/benchmarks/bfloat16/FAMILY.jsonl when it ends; repeating the command continues. The
page next to that folder is made from these files, with --page-only without training.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

import search_spaces
from bench.data.catalog import DatasetLocation, locate
from bench.evaluation.arrays import FloatArray, IntArray
from bench.evaluation.text import joined
from bench.execution.plans import sampling_spec
from bench.machine import environment, supports_bfloat16, usable_cores
from bench.records.choices import Precision
from bench.records.encoding import encode, read_lines
from bench.records.files import append_line
from bench.records.record import Curve
from bench.records.spec import Budget, TrialSpec
from bench.seeds import derive_seed
from bench.tuning.presets import PLANS
from bench.tuning.trials import trial_spec
from bench.workers import tasks as worker
from bench.workers.executor import Executor, TaskCompleted, TaskFailed
from bench.workers.local import LocalPool

sys.path.append(str(Path(__file__).parents[1]))  # as pytest does

from benchmarks.shared import (
    draw_candidates,
    machine_text,
    page,
    page_parser,
    publish,
    run_tasks,
    spaces_note,
    table,
    verdicts,
)

GOAL = 0.3  # percentage points of accuracy
PRECISIONS: tuple[Precision, ...] = ("bfloat16", "float32")  # the order of the first axis of scores
POOL_SIZES = (12, 20)
POOLS = 2000
RESAMPLES = 1000
POOLS_PER_RESAMPLE = 200
RUNS = Path("results/benchmarks/bfloat16")
PAGE = RUNS.with_suffix(".md")

Job = tuple[int, int, TrialSpec]  # candidate, number of the seed, the training


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """One line of a family's file."""

    candidate: int  # from 0
    seed_number: int  # from 0
    source: str  # digest of the family's code
    machine: str
    spec: TrialSpec
    error: str | None  # why it has no score; None if it has one
    curve: Curve
    fit_seconds: float
    task_seconds: float

    @property
    def key(self) -> tuple[int, int, str]:
        """Identifies the training within its family."""
        return self.candidate, self.seed_number, self.spec.precision


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Statistics of a family's trainings; accuracies in percentage points."""

    candidates: int
    losses: Mapping[int, tuple[float, float]]  # by pool size: mean over pools, and its 95% upper bound, one-sided
    loss_of_all: float  # of choosing from all candidates, mean over seeds
    correlation: float  # rank correlation between the precisions, with different seeds
    correlation_of_seeds: float  # rank correlation between seeds, both in float32
    difference: float  # bfloat16 minus float32 of the same candidate
    interval: tuple[float, float]  # 95% confidence interval of the difference


def main(*, families: Sequence[str], dataset: str, candidates: int, seeds: int, epochs: int, page_only: bool) -> None:
    """Run the missing trainings, then write the page."""
    if not page_only:
        if not supports_bfloat16():
            raise SystemExit("this processor has no bfloat16 arithmetic, and searches do not use its emulation")
        location = locate(dataset)
        for family in families:
            _train(family, location, list(_jobs(family, location, candidates, seeds, epochs)))
    trainings = {file.stem: read_lines(Training, file) for file in sorted(RUNS.glob("*.jsonl"))}
    publish(PAGE, _page(trainings))


# Training


def _jobs(family: str, location: DatasetLocation, candidates: int, seeds: int, epochs: int) -> Iterator[Job]:
    """All trainings, both precisions of a candidate next to each other."""
    budget = Budget(trials=candidates, epochs=epochs)
    search = sampling_spec(search_spaces.locate(family), location.name, budget)
    for candidate, values in enumerate(draw_candidates(search, location)):
        for number in range(seeds):
            seed = derive_seed(0, "bfloat16", family, candidate, number)
            for precision in PRECISIONS:
                yield (
                    candidate,
                    number,
                    replace(trial_spec(search, values), seed=seed, precision=precision, source=None),
                )


def _train(family: str, location: DatasetLocation, jobs: Sequence[Job]) -> None:
    """Run the trainings missing in the family's file, one candidate per core at a time."""
    file = RUNS / f"{family}.jsonl"
    waiting = missing(jobs, read_lines(Training, file), search_spaces.source_digest(family))
    if not waiting:
        return
    done = len(jobs) - len(waiting)
    by_key = {
        f"{spec.precision} {candidate} {number}": (candidate, number, spec) for candidate, number, spec in waiting
    }
    tasks = [(key, worker.train, spec, None, location, None) for key, (_, _, spec) in by_key.items()]
    with closing(LocalPool(usable_cores())) as pool:
        for event in run_tasks(Executor(pool), tasks):
            if isinstance(event, TaskCompleted | TaskFailed):
                training = _training(*by_key[event.key], event)
                append_line(file, encode(training, file))
                done += 1
                score = training.error or f"{100 * training.curve.validation_accuracy[-1]:.2f}%"
                sys.stderr.write(f"{family} {done}/{len(jobs)}: {event.key}: {score}, {training.fit_seconds:.0f} s\n")


def _training(candidate: int, number: int, spec: TrialSpec, event: TaskCompleted | TaskFailed) -> Training:
    if isinstance(event, TaskFailed) and (event.worker_died or event.fatal):
        raise RuntimeError(f"{event.key}: {event.reason}. Repeat the command to continue")
    return Training(
        candidate=candidate,
        seed_number=number,
        source=search_spaces.source_digest(spec.model),
        machine=machine_text(environment(), "TensorFlow", "Keras", "Keras Tuner"),
        spec=spec,
        error=event.reason if isinstance(event, TaskFailed) else None,
        curve=event.value.curve if isinstance(event, TaskCompleted) else Curve(),
        fit_seconds=event.value.fit_seconds if isinstance(event, TaskCompleted) else 0.0,
        task_seconds=event.value.task_seconds if isinstance(event, TaskCompleted) else 0.0,
    )


def missing(jobs: Sequence[Job], trained: Sequence[Training], source: str) -> list[Job]:
    """The jobs that are not in `trained`.

    Raises:
        ValueError: `trained` has other settings, or other code of the family.
    """
    by_key = {training.key: training for training in trained}
    left = []
    for candidate, number, spec in jobs:
        training = by_key.get((candidate, number, spec.precision))
        if training is None:
            left.append((candidate, number, spec))
        elif (training.spec, training.source) != (spec, source):
            raise ValueError(
                f"{RUNS / spec.model}.jsonl was trained with other settings or code: expected {spec} with code "
                f"{source}, found {training.spec} with code {training.source}. Move the file away, or repeat the "
                "command that made it"
            )
    return left


# Analysis: scores are validation accuracies, shape (precisions, candidates, seeds)


def scores(trainings: Sequence[Training]) -> FloatArray:
    """Fractions in [0, 1], in the order of PRECISIONS, of the candidates that never failed."""
    frame = pd.DataFrame(
        {
            "precision": training.spec.precision,
            "candidate": training.candidate,
            "seed": training.seed_number,
            "score": training.curve.validation_accuracy[-1],
        }
        for training in trainings
        if training.error is None
    )
    complete = frame.pivot_table(index="candidate", columns=["precision", "seed"], values="score").dropna()
    return np.stack([complete[precision].sort_index(axis=1).to_numpy() for precision in PRECISIONS])


def choice_loss(score: FloatArray, pools: IntArray) -> FloatArray:
    """Float32 accuracy of float32's choice minus that of bfloat16's choice, with the other seeds.

    Args:
        score: shape (2, candidates, seeds), in the order of PRECISIONS; at least two seeds.
        pools: candidates of each choice, shape (pools, pool size).

    Returns:
        Shape (pools, seeds), by the seed used for the choice.
    """
    _, _, seeds = score.shape
    others = (score[1].sum(axis=1, keepdims=True) - score[1]) / (seeds - 1)  # mean over the other seeds
    losses = []
    for seed in range(seeds):
        low, high = (np.take_along_axis(pools, score[p, pools, seed].argmax(axis=1)[:, None], 1)[:, 0] for p in (0, 1))
        losses.append(others[high, seed] - others[low, seed])
    return np.stack(losses, axis=1)


def draw_pools(random: np.random.Generator, candidates: IntArray, pools: int, pool: int) -> IntArray:
    """Shape (pools, pool): in each row `pool` elements of `candidates`, drawn without replacement, or all if fewer."""
    order = random.random((pools, len(candidates))).argsort(axis=1)
    return candidates[order[:, :pool]]


def loss_and_bound(score: FloatArray, pool: int, seed: int = 0) -> tuple[float, float]:
    """The mean loss of choosing in bfloat16 from pools of `pool` candidates, and its 95% upper bound.

    The bound is the 95th percentile over bootstrap samples of the candidates.
    """
    random = np.random.default_rng(seed)
    candidates = np.arange(score.shape[1])
    mean = choice_loss(score, draw_pools(random, candidates, POOLS, pool)).mean()
    means = []
    for _ in range(RESAMPLES):
        drawn = random.choice(candidates, len(candidates))
        means.append(choice_loss(score, draw_pools(random, drawn, POOLS_PER_RESAMPLE, pool)).mean())
    return float(mean), float(np.quantile(means, 0.95))


def rank_correlation(first: FloatArray, second: FloatArray) -> float:
    """Spearman's correlation of two arrays (candidates, seeds), averaged over all pairs of different seeds."""
    seeds = range(first.shape[1])
    correlations = [stats.spearmanr(first[:, s], second[:, t]).statistic for s in seeds for t in seeds if s != t]
    return float(np.mean(correlations))


def difference(score: FloatArray) -> tuple[float, tuple[float, float]]:
    """Mean of bfloat16 minus float32 over candidates, and its 95% confidence interval by Student's t."""
    test = stats.ttest_1samp((score[0] - score[1]).mean(axis=1), 0.0)
    low, high = test.confidence_interval(0.95)
    return float((score[0] - score[1]).mean()), (float(low), float(high))


def verdict(trainings: Sequence[Training]) -> Verdict:
    """The statistics of a family."""
    score = 100 * scores(trainings)
    mean, interval = difference(score)
    return Verdict(
        candidates=score.shape[1],
        losses={pool: loss_and_bound(score, pool) for pool in POOL_SIZES},
        loss_of_all=float(choice_loss(score, np.arange(score.shape[1])[None]).mean()),
        correlation=rank_correlation(score[0], score[1]),
        correlation_of_seeds=rank_correlation(score[1], score[1]),
        difference=mean,
        interval=interval,
    )


# The page


def _page(trainings: Mapping[str, Sequence[Training]]) -> str:
    everything = [training for trained in trainings.values() for training in trained]
    results = {family: verdict(trained) for family, trained in trainings.items()}
    rows = (
        {
            "family": family,
            "candidates": str(result.candidates),
            "rank correlation of bfloat16 and float32": f"{result.correlation:.3f}",
            "of float32 and float32": f"{result.correlation_of_seeds:.3f}",
            "accuracy difference from float32, pp (95% CI)": (
                f"{result.difference:+.3f} ({result.interval[0]:+.3f} to {result.interval[1]:+.3f})"
            ),
        }
        for family, result in results.items()
    )
    costs = (row for family, result in results.items() for row in _costs(family, result))
    budgets = joined([f"{PLANS['fashion_mnist', family, 'default'].trials} for {family}" for family in results])
    choices = (row for family, trained in trainings.items() for row in _choices(family, trained))
    return page(
        "# Choosing winners in bfloat16 and in float32",
        *spaces_note(each.spec.values for each in everything),
        "\n".join(_facts(trainings)),
        table(costs),
        *verdicts(_goal(family, result) for family, result in results.items()),
        (
            "The selection cost is that of choosing in bfloat16: from a pool of candidates, each precision chooses "
            "the best with one seed, and the float32 accuracies of both choices with the other seeds are compared; "
            f"mean over {POOLS:,} pools and all seeds. Its upper bound is one-sided, by a bootstrap over "
            "candidates; all candidates are a single pool, which has none. The budget of a search with preset "
            f"default on Fashion-MNIST is that of so many full-length trials: {budgets}. For the speed of "
            "bfloat16, see [versus_keras_tuner.md](versus_keras_tuner.md)."
        ),
        table(rows, keep=["family"]),
        (
            "Rank correlations are between different seeds, so that those of bfloat16 and float32 can be compared "
            "with those of float32 and float32. Accuracies are those on the validation images."
        ),
        "## Choices from all candidates",
        table(choices),
        "Generated by `python tests/benchmarks/bfloat16.py` from the files in [bfloat16](bfloat16).",
    )


def _facts(trainings: Mapping[str, Sequence[Training]]) -> Iterator[str]:
    for family, trained in trainings.items():
        spec = trained[0].spec
        machines = " and ".join(sorted({training.machine for training in trained}))
        failed = sum(training.error is not None for training in trained)
        seeds = len({training.seed_number for training in trained})
        title = locate(spec.dataset).definition().title
        yield (
            f"- {family}: {len(trained)} training runs of {spec.epochs} epochs on {title}, {failed} failed; "
            f"both precisions with {seeds} seeds, on {machines}."
        )


def _goal(family: str, result: Verdict) -> tuple[str, bool]:
    """What choosing in bfloat16 costs, and whether its upper bound is within the goal."""
    pool = max(POOL_SIZES)
    loss, bound = result.losses[pool]
    measured = f"{loss:.2f} pp on average, with a 95% upper bound of {bound:.2f} (goal {GOAL})"
    return f"{family}, choosing in bfloat16 among {pool} candidates costs {measured}", bound <= GOAL


def _costs(family: str, result: Verdict) -> Iterator[dict[str, str]]:
    pools = {str(pool): (f"{loss:+.3f}", f"{bound:+.3f}") for pool, (loss, bound) in result.losses.items()}
    pools[f"{result.candidates} (all)"] = (f"{result.loss_of_all:+.3f}", "-")
    for pool, (loss, bound) in pools.items():
        yield {
            "family": family,
            "candidates to choose from": pool,
            "selection cost, pp": loss,
            "95% upper bound, pp": bound,
        }


def _choices(family: str, trainings: Sequence[Training]) -> Iterator[dict[str, str]]:
    score = 100 * scores(trainings)
    all_candidates = np.arange(score.shape[1])[None]
    for seed, loss in enumerate(choice_loss(score, all_candidates)[0]):
        yield {
            "family": family,
            "seed": str(seed),
            "choice of bfloat16": str(score[0, :, seed].argmax()),
            "choice of float32": str(score[1, :, seed].argmax()),
            "loss with the other seeds, pp": f"{loss:+.3f}",
        }


if __name__ == "__main__":
    parser = page_parser(__doc__)
    parser.add_argument("--families", nargs="+", default=["cnn"])
    parser.add_argument("--dataset", default="fashion_mnist")
    parser.add_argument("--candidates", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=4)
    main(**vars(parser.parse_args()))
