"""Whether a search in bfloat16 picks winners as good as one in float32.

python tests/benchmarks/bfloat16.py --families cnn dense

Refits are always in float32, so all that bfloat16 can do to a result is to make a search choose another candidate. The
same candidates, drawn by chance, are trained in both precisions under the same seeds, and one choice is made by each.
What the choice of bfloat16 costs is the float32 accuracy of the candidate that float32 chose, less that of the one that
bfloat16 chose, both under seeds other than the one by which they were chosen, since what looked best under a seed was
also lucky there. A search has fewer candidates than are trained here, so the cost is the mean over many pools of as
many as a search has by default. The aim is an upper 95 % bound of AIM points.

Each training is a line of results/benchmarks/bfloat16/FAMILY.jsonl as soon as it ends, so that this can be taken up
again; the page beside the folder is made from them, with --page-only without training more.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

import search_spaces
from bench.data.catalog import default_budget
from bench.machine import environment, supports_bfloat16, usable_cores
from bench.records.files import append_line, write_atomic
from bench.records.record import Curve
from bench.records.spec import Budget, Precision, RunSpec, TrialSpec, Value, candidate_values
from bench.report.markdown import table
from bench.seeds import derive_seed
from bench.workers import tasks as worker
from bench.workers.executor import Done, Engine, Failed
from bench.workers.pools import LocalPool

AIM = 0.3  # points of accuracy
PRECISIONS: tuple[Precision, ...] = ("bfloat16", "float32")  # the order of the first axis of scores
POOL = default_budget("fashion_mnist").trials
POOLS = 2000
RESAMPLES = 1000
POOLS_OF_A_RESAMPLE = 200
RUNS = Path("results/benchmarks/bfloat16")
PAGE = RUNS.with_suffix(".md")

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Asked = tuple[int, int, TrialSpec]  # candidate, number of the seed, what to train


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """One line of a family's file."""

    candidate: int  # from 0
    seed_number: int  # from 0
    family_source: str
    machine: str
    spec: TrialSpec
    error: str | None  # why it has no score; else None
    curve: Curve
    fit_seconds: float
    task_seconds: float

    @property
    def key(self) -> tuple[int, int, str]:
        """What it is known by."""
        return self.candidate, self.seed_number, self.spec.precision


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the trainings of a family say; accuracies in points."""

    candidates: int
    loss: float  # mean over pools
    bound: float  # upper 95 % bound of it, one-sided
    correlation: float  # of ranks between the precisions, under different seeds
    correlation_of_seeds: float  # of ranks between seeds, both in float32
    difference: float  # bfloat16 less float32 of the same candidate
    interval: tuple[float, float]  # 95 %, of the difference


def main(*, families: Sequence[str], dataset: str, candidates: int, seeds: int, epochs: int, page_only: bool) -> None:
    """Train what is missing, then write the page."""
    if not page_only:
        if not supports_bfloat16():
            raise SystemExit("this processor has no bfloat16 arithmetic: its emulation is not what a search uses")
        for family in families:
            _train(family, list(_specs(family, dataset, candidates, seeds, epochs)))
    trainings = {file.stem: read(file) for file in sorted(RUNS.glob("*.jsonl"))}
    write_atomic(PAGE, _page(trainings).encode())
    sys.stdout.write(PAGE.read_text(encoding="utf-8"))


# Training


def _specs(family: str, dataset: str, candidates: int, seeds: int, epochs: int) -> Iterator[Asked]:
    """All that is to be trained, both precisions of a candidate next to each other."""
    for candidate, values in enumerate(_candidates(family, dataset, candidates, epochs)):
        for number in range(seeds):
            for precision in PRECISIONS:
                yield (
                    candidate,
                    number,
                    TrialSpec(
                        dataset=dataset,
                        family=family,
                        values=values,
                        part="train",
                        seed=derive_seed(0, "bfloat16", family, candidate, number),
                        initial_epoch=0,
                        epochs=epochs,
                        horizon=epochs,
                        precision=precision,
                        keep_state=False,
                    ),
                )


def _candidates(family: str, dataset: str, candidates: int, epochs: int) -> Iterator[dict[str, Value]]:
    from bench.data.development import development
    from bench.tuning.oracles import Answer, make

    data = development(dataset)
    spec = RunSpec(
        dataset=dataset,
        family=family,
        family_source=search_spaces.source_digest(family),
        tuner="random",
        budget=Budget(trials=candidates, epochs=epochs),
        seed=0,
        seeds=1,
        precision="float32",
        lookahead=1,
    )
    oracle = make(spec, search_spaces.load(family)(data.image_shape, len(data.class_names)).space())
    while not isinstance(proposal := oracle.ask(), Answer):
        yield candidate_values(proposal.values)
    oracle.close()


def _train(family: str, asked: Sequence[Asked]) -> None:
    """Train what the family's file does not have yet, one candidate on each core."""
    file = RUNS / f"{family}.jsonl"
    waiting = missing(asked, read(file), search_spaces.source_digest(family))
    if not waiting:
        return
    done = len(asked) - len(waiting)
    under_way: dict[str, Asked] = {}
    pool = LocalPool(usable_cores())
    engine = Engine(pool)
    try:
        while waiting or under_way:
            while waiting and engine.idle():
                item = waiting.pop(0)
                under_way[key := f"{item[2].precision} {item[0]} {item[1]}"] = item
                engine.submit(key, worker.train, item[2], None, None, None)
            event = engine.next_event(1)
            if isinstance(event, Done | Failed):
                training = _training(*under_way.pop(event.key), event)
                append_line(file, encode(training))
                done += 1
                score = training.error or f"{100 * training.curve.validation_accuracy[-1]:.2f} %"
                sys.stderr.write(f"{family} {done}/{len(asked)}: {event.key}: {score}, {training.fit_seconds:.0f} s\n")
    finally:
        pool.close()


def _training(candidate: int, number: int, spec: TrialSpec, event: Done | Failed) -> Training:
    if isinstance(event, Failed) and event.worker_died:
        raise RuntimeError(f"{event.key}: {event.reason}. The same command goes on")
    machine = environment()
    return Training(
        candidate=candidate,
        seed_number=number,
        family_source=search_spaces.source_digest(spec.family),
        machine=(
            f"{machine.cpu} with {machine.cores} cores, TensorFlow {machine.tensorflow}, Keras {machine.keras}, "
            f"Keras Tuner {machine.keras_tuner}"
        ),
        spec=spec,
        error=event.reason if isinstance(event, Failed) else None,
        curve=event.value.curve if isinstance(event, Done) else Curve(),
        fit_seconds=event.value.fit_seconds if isinstance(event, Done) else 0.0,
        task_seconds=event.value.task_seconds if isinstance(event, Done) else 0.0,
    )


def read(file: Path) -> list[Training]:
    """The trainings that `file` has; a last line that a kill has torn is left out."""
    lines = file.read_bytes().split(b"\n")[:-1] if file.exists() else []
    return [msgspec.json.decode(line, type=Training) for line in lines]


def encode(training: Training) -> bytes:
    """The line that `read` reads."""
    return msgspec.json.encode(training) + b"\n"


def missing(asked: Sequence[Asked], had: Sequence[Training], family_source: str) -> list[Asked]:
    """What is asked and not in `had`.

    Raises:
        ValueError: `had` was trained by other settings, or from other code of the family.
    """
    kept = {training.key: training for training in had}
    left = []
    for candidate, number, spec in asked:
        found = kept.get((candidate, number, spec.precision))
        if found is None:
            left.append((candidate, number, spec))
        elif (found.spec, found.source) != (spec, family_source):
            raise ValueError(
                f"{RUNS / spec.family}.jsonl was trained by other settings: {found.spec} where {spec} is asked. "
                "Move it away, or ask for the same again"
            )
    return left


# Analysis: scores are validation accuracies, shape (precisions, candidates, seeds)


def scores(trainings: Sequence[Training]) -> FloatArray:
    """Fractions in [0, 1], in the order of PRECISIONS, of the candidates whose trainings all ended well."""
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
    whole = frame.pivot_table(index="candidate", columns=["precision", "seed"], values="score").dropna()
    return np.stack([whole[precision].sort_index(axis=1).to_numpy() for precision in PRECISIONS])


def choice_loss(score: FloatArray, pools: IntArray) -> FloatArray:
    """Float32 accuracy of what float32 chooses, less that of what bfloat16 chooses, under the other seeds.

    Args:
        score: shape (2, candidates, seeds), in the order of PRECISIONS; at least two seeds.
        pools: candidates that each choice is made from, shape (pools, pool).

    Returns:
        Shape (pools, seeds), by the seed under which the choice was made.
    """
    _, _, seeds = score.shape
    others = (score[1].sum(axis=1, keepdims=True) - score[1]) / (seeds - 1)  # mean over all seeds but this
    losses = []
    for seed in range(seeds):
        low, high = (np.take_along_axis(pools, score[p, pools, seed].argmax(axis=1)[:, None], 1)[:, 0] for p in (0, 1))
        losses.append(others[high, seed] - others[low, seed])
    return np.stack(losses, axis=1)


def draw_pools(random: np.random.Generator, candidates: IntArray, pools: int, pool: int) -> IntArray:
    """Shape (pools, pool): each row `pool` of `candidates`, or all where there are fewer, no place of them twice."""
    order = random.random((pools, len(candidates))).argsort(axis=1)
    return candidates[order[:, :pool]]


def loss_and_bound(score: FloatArray, seed: int = 0) -> tuple[float, float]:
    """The mean loss of choosing by bfloat16 from pools of POOL candidates, and its upper 95 % bound.

    The bound is the 95th percentile of the means that candidates drawn anew, with replacement, give.
    """
    random = np.random.default_rng(seed)
    candidates = np.arange(score.shape[1])
    mean = choice_loss(score, draw_pools(random, candidates, POOLS, POOL)).mean()
    means = []
    for _ in range(RESAMPLES):
        drawn = random.choice(candidates, len(candidates))
        means.append(choice_loss(score, draw_pools(random, drawn, POOLS_OF_A_RESAMPLE, POOL)).mean())
    return float(mean), float(np.quantile(means, 0.95))


def rank_correlation(one: FloatArray, other: FloatArray) -> float:
    """Spearman's, of two arrays (candidates, seeds), the mean over all pairs of different seeds."""
    seeds = range(one.shape[1])
    found = [stats.spearmanr(one[:, s], other[:, t]).statistic for s in seeds for t in seeds if s != t]
    return float(np.mean(found))


def difference(score: FloatArray) -> tuple[float, tuple[float, float]]:
    """Mean of bfloat16 less float32 over candidates, and its 95 % interval by Student's t."""
    found = stats.ttest_1samp((score[0] - score[1]).mean(axis=1), 0.0)
    low, high = found.confidence_interval(0.95)
    return float((score[0] - score[1]).mean()), (float(low), float(high))


def verdict(trainings: Sequence[Training]) -> Verdict:
    """All that the page says of a family."""
    score = 100 * scores(trainings)
    loss, bound = loss_and_bound(score)
    mean, interval = difference(score)
    return Verdict(
        candidates=score.shape[1],
        loss=loss,
        bound=bound,
        correlation=rank_correlation(score[0], score[1]),
        correlation_of_seeds=rank_correlation(score[1], score[1]),
        difference=mean,
        interval=interval,
    )


# The page


def _page(trainings: dict[str, list[Training]]) -> str:
    verdicts = {family: verdict(found) for family, found in trainings.items()}
    rows = pd.DataFrame(
        {
            "family": family,
            "candidates": str(found.candidates),
            "loss of the choice, points": f"{found.loss:+.3f}",
            "upper 95 % bound": f"{found.bound:+.3f}",
            "rank correlation with float32": f"{found.correlation:.3f}",
            "of float32 with itself": f"{found.correlation_of_seeds:.3f}",
            "accuracy less float32's, points": (
                f"{found.difference:+.3f} ({found.interval[0]:+.3f} to {found.interval[1]:+.3f})"
            ),
        }
        for family, found in verdicts.items()
    )
    return "\n".join(
        [
            "# Whether a search in bfloat16 picks winners as good",
            "",
            *_facts(trainings),
            "",
            table(rows),
            "",
            *(_sentence(family, found) for family, found in verdicts.items()),
            "",
            (
                f"The loss is what it costs to choose by bfloat16: a candidate is chosen by each precision under one "
                f"seed from a pool of {POOL}, as many as a search has by default, and the float32 accuracies of both "
                f"choices under the other seeds are compared; the mean over {POOLS} pools and all seeds. Its bound is "
                "one-sided, by a bootstrap over candidates. Rank correlations are between different seeds, so that "
                "those of bfloat16 with float32 and of float32 with itself may be compared. Accuracies are of the "
                "validation split. How much faster bfloat16 is, versus_keras_tuner.md says."
            ),
            "",
            "Chosen from all candidates:",
            "",
            table(pd.DataFrame(row for family, found in trainings.items() for row in _choices(family, found))),
            "",
            "Made by `python tests/benchmarks/bfloat16.py` from the files in [bfloat16](bfloat16).",
            "",
        ]
    )


def _facts(trainings: dict[str, list[Training]]) -> Iterator[str]:
    for family, found in trainings.items():
        spec = found[0].spec
        machines = " and ".join(sorted({training.machine for training in found}))
        failed = sum(training.error is not None for training in found)
        yield (
            f"- {family}: {len(found)} trainings of {spec.epochs} epochs on {spec.dataset}, {failed} of them failed, "
            f"in both precisions under {len({training.seed_number for training in found})} seeds, on {machines}."
        )


def _sentence(family: str, found: Verdict) -> str:
    if found.bound <= AIM:
        said = f"choosing by bfloat16 costs at most {max(found.bound, 0):.2f} points, within the aim of {AIM}"
    elif found.loss <= AIM:
        said = f"it is not shown that choosing by bfloat16 costs at most {AIM} points: it may be {found.bound:.2f}"
    else:
        said = f"choosing by bfloat16 costs {found.loss:.2f} points, more than the aim of {AIM}"
    return f"- {family}: {said}."


def _choices(family: str, trainings: Sequence[Training]) -> Iterator[dict[str, str]]:
    score = 100 * scores(trainings)
    everything = np.arange(score.shape[1])[None]
    for seed, loss in enumerate(choice_loss(score, everything)[0]):
        yield {
            "family": family,
            "seed": str(seed),
            "bfloat16 chose": str(score[0, :, seed].argmax()),
            "float32 chose": str(score[1, :, seed].argmax()),
            "loss under the other seeds, points": f"{loss:+.3f}",
        }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", nargs="+", default=["cnn"])
    parser.add_argument("--dataset", default="fashion_mnist")
    parser.add_argument("--candidates", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--page-only", action="store_true", help="write the page anew from what is kept")
    main(**vars(parser.parse_args()))
