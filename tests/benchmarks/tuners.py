"""Which tuner finds the best candidate within the default budget: the measured reason for the default tuner.

python tests/benchmarks/tuners.py --families dense cnn

Trains a pool of random candidates, each to full length. Random search and Hyperband are then simulated many times on
that pool, with the oracles that a run uses: since a candidate's training does not depend on the tuner, its learning
curve in the pool is the one a search would have seen. Bayesian optimization proposes candidates outside any pool, so
its searches are trained. Only validation accuracy is compared: the choice of a default must not depend on the test set.

The runs are kept in results/benchmarks/tuners, so that the script can resume; with --page-only it writes
results/benchmarks/tuners.md from them and trains nothing.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import keras_tuner
import numpy as np
import pandas as pd
from numpy.typing import NDArray

import search_spaces
from bench.cli.progress import display
from bench.data import catalog
from bench.execution.options import Options
from bench.execution.runner import run
from bench.machine import supports_bfloat16, usable_cores
from bench.records.files import write_atomic
from bench.records.record import RunRecord, SearchOutcome
from bench.records.spec import Budget, SearchSpec
from bench.report.markdown import table as markdown_table
from bench.report.runs import load
from bench.tuning import tuners
from bench.tuning.presets import PLANS
from bench.tuning.proposer import Proposer
from bench.tuning.trials import Proposal

DATASET = catalog.locate("fashion_mnist")
BUDGET = PLANS["fashion_mnist", "cnn", "default"].budget
POOL = 4 * BUDGET.trials
SIMULATIONS = 1000
SIMULATED = ("hyperband", "random")
RUNS = Path("results/benchmarks/tuners")
PAGE = RUNS.with_suffix(".md")


def main(families: Sequence[str], seeds: Sequence[int], *, page_only: bool) -> None:
    """Train the runs that RUNS lacks, then write the page."""
    if not page_only:
        _train(families, seeds)
    records = [loaded.record for loaded in load(RUNS).runs]
    write_atomic(PAGE, _page(records).encode())
    sys.stdout.write(PAGE.read_text())


def _train(families: Sequence[str], seeds: Sequence[int]) -> None:
    complete = [loaded.record.spec for loaded in load(RUNS).runs]
    pool = Budget(trials=POOL, epochs=BUDGET.epochs)
    for tuner, budget, seed in [("random", pool, 0), *(("bayesian", BUDGET, seed) for seed in seeds)]:
        specs = [_spec(family, search_spaces.source_digest(family), tuner, budget, seed) for family in families]
        missing = [spec for spec in specs if spec not in complete]
        if missing:
            with display() as report:
                run(missing, Options(results=RUNS, dataset=DATASET, workers=usable_cores()), report)


def _spec(family: str, source: str, tuner: str, budget: Budget, seed: int) -> SearchSpec:
    return SearchSpec(
        dataset=DATASET.name,
        family=family,
        source=source,
        tuner=tuner,
        budget=budget,
        seed=seed,
        refit_seeds=1,
        precision="bfloat16" if supports_bfloat16() else "float32",
    )


def simulate(tuner: str, pool: RunRecord, seed: int) -> float:
    """The best full-length score, in [0, 1], that a search by `tuner` finds among the trials of `pool`."""
    curves = [trial.curve.validation_accuracy for trial in _search(pool).trials if trial.status == "ok"]
    space = keras_tuner.HyperParameters()
    space.Choice("candidate", list(range(len(curves))))
    spec = _spec(pool.spec.model, pool.spec.source, tuner, BUDGET, seed)
    proposer = Proposer(tuners.choose(spec, space).oracle(spec, space), BUDGET.epochs)
    best = 0.0
    while isinstance(proposal := proposer.propose(), Proposal):
        candidate = int(proposal.values["candidate"])
        score = curves[candidate][proposal.epochs - 1]
        proposer.report(proposal.trial_id, score)
        best = max(best, score if proposal.epochs == BUDGET.epochs else 0.0)
    return best


def _search(record: RunRecord) -> SearchOutcome:
    if record.search is None:
        raise TypeError(f"{record.run_id} is no search")
    return record.search


def _tuner(record: RunRecord) -> str:
    return record.spec.tuner if isinstance(record.spec, SearchSpec) else ""


def _page(records: Sequence[RunRecord]) -> str:
    machine = records[0].environment
    pools = {record.spec.model: record for record in records if _tuner(record) == "random"}
    winners = {
        (family, tuner): 100 * np.array([simulate(tuner, pool, seed) for seed in range(SIMULATIONS)])
        for family, pool in pools.items()
        for tuner in SIMULATED
    }
    trained = pd.DataFrame(
        {"family": record.spec.model, "score": 100 * _search(record).winning_trial.score}
        for record in records
        if _tuner(record) == "bayesian"
    )
    for family, group in trained.groupby("family"):
        winners[str(family), "bayesian"] = group["score"].to_numpy()
    precision = records[0].spec.precision if isinstance(records[0].spec, SearchSpec) else ""
    return "\n".join(
        [
            "# Tuners compared at the default budget",
            "",
            (
                f"{records[0].dataset.title}, budget of {BUDGET.total_epochs} epochs (equivalent to {BUDGET.trials} "
                f"trials of {BUDGET.epochs} epochs) in {precision}, on {machine.cpu} with {machine.cores} cores, "
                f"TensorFlow {machine.tensorflow}, Keras {machine.keras}, Keras Tuner {machine.keras_tuner}."
            ),
            "",
            markdown_table(_table(winners)),
            "",
            *_sentences(winners, pools),
            "",
            (
                f"Simulated searches draw from {POOL} random candidates of each family, each trained once to full "
                "length. Bayesian optimization proposes candidates outside any pool, so its searches were run in full. "
                "Only validation accuracy is compared; the test set is not used."
            ),
            "",
            "Generated by `python tests/benchmarks/tuners.py`.",
            "",
        ]
    )


def _table(winners: dict[tuple[str, str], NDArray[np.float64]]) -> pd.DataFrame:
    rows = []
    for (family, tuner), scores in sorted(winners.items()):
        simulated = tuner in SIMULATED
        rows.append(
            {
                "family": family,
                "tuner": tuner,
                "searches": f"{len(scores):,} {'simulated' if simulated else 'run in full'}",
                "validation accuracy of the winner, mean (%)": f"{scores.mean():.2f}",
                "5th percentile (%)": f"{np.quantile(scores, 0.05):.2f}" if simulated else "-",
                "95th percentile (%)": f"{np.quantile(scores, 0.95):.2f}" if simulated else "-",
            }
        )
    return pd.DataFrame(rows)


def _sentences(winners: dict[tuple[str, str], NDArray[np.float64]], pools: dict[str, RunRecord]) -> Iterator[str]:
    for family, pool in sorted(pools.items()):
        scores = sorted(100 * trial.score for trial in _search(pool).trials if trial.status == "ok")
        hyperband, random = winners[family, "hyperband"], winners[family, "random"]
        yield (
            f"- {family}: the best candidate of the pool has {scores[-1]:.2f}% validation accuracy, the median "
            f"candidate {np.median(scores):.2f}%. Hyperband found a better winner than random search in "
            f"{np.mean(hyperband > random):.0%} of {SIMULATIONS:,} simulated searches, the same in "
            f"{np.mean(hyperband == random):.0%}, a worse one in {np.mean(hyperband < random):.0%}; the mean "
            f"difference is {np.mean(hyperband - random):+.2f} pp."
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", nargs="+", default=["dense", "cnn"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="of the Bayesian searches")
    parser.add_argument("--page-only", action="store_true", help="write the page from the stored runs, train nothing")
    arguments = parser.parse_args()
    main(arguments.families, arguments.seeds, page_only=arguments.page_only)
