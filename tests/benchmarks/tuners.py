"""Which tuner finds the best candidate within the default budget: the measured reason for the default.

python tests/benchmarks/tuners.py --families dense cnn

Trains a pool of candidates drawn by chance, each at full length. Random search and Hyperband are then played many times
over that pool, by the oracles that a run uses: what a trial of the pool scored after each epoch is what a search would
have seen, since a candidate's training does not depend on who asks for it. Bayesian search proposes what is in no pool,
so it is really run, a few times. Compared are validation scores: the test part has no say in a default.

The runs are kept in results/benchmarks/tuners, so that this can be taken up again; the page beside it is
results/benchmarks/tuners.md.
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
from bench.cli.progress import show
from bench.data.catalog import default_budget
from bench.execution.options import Options
from bench.execution.runner import run
from bench.machine import supports_bfloat16, usable_cores
from bench.records.files import write_atomic
from bench.records.record import RunRecord
from bench.records.spec import DEFAULT_LOOKAHEAD, Budget, RunSpec, Tuner, candidate_values
from bench.report.markdown import table as markdown_table
from bench.report.runs import load
from bench.tuning.oracles import Answer, make

DATASET = "fashion_mnist"
BUDGET = default_budget(DATASET)
POOL = 4 * BUDGET.trials
GAMES = 1000
PLAYED: tuple[Tuner, ...] = ("hyperband", "random")
RUNS = Path("results/benchmarks/tuners")
PAGE = RUNS.with_suffix(".md")


def main(families: Sequence[str], seeds: Sequence[int]) -> None:
    """Run what is missing in RUNS, then write the page."""
    pool = Budget(trials=POOL, epochs=BUDGET.epochs)
    for tuner, budget, seed in [("random", pool, 0), *(("bayesian", BUDGET, seed) for seed in seeds)]:
        specs = [_spec(family, tuner, budget, seed) for family in families]  # type: ignore[arg-type]
        show(run(specs, Options(results=RUNS, workers=usable_cores())))
    records = [found.record for found in load(RUNS).runs]
    write_atomic(PAGE, _page(records).encode())
    sys.stdout.write(PAGE.read_text())


def _spec(family: str, tuner: Tuner, budget: Budget, seed: int) -> RunSpec:
    return RunSpec(
        dataset=DATASET,
        family=family,
        family_source=search_spaces.source_digest(family),
        tuner=tuner,
        budget=budget,
        seed=seed,
        seeds=1,
        precision="bfloat16" if supports_bfloat16() else "float32",
        lookahead=DEFAULT_LOOKAHEAD,
    )


def play(tuner: Tuner, pool: RunRecord, seed: int) -> float:
    """The best score at full length, in [0, 1], that a search by `tuner` finds among the trials of `pool`."""
    curves = [trial.curve.validation_accuracy for trial in pool.trials if trial.status == "ok"]
    space = keras_tuner.HyperParameters()
    space.Choice("candidate", list(range(len(curves))))
    oracle = make(_spec(pool.spec.family, tuner, BUDGET, seed), space)
    best = 0.0
    while not isinstance(proposal := oracle.ask(), Answer):
        (candidate,) = candidate_values(proposal.values).values()
        score = curves[int(candidate)][proposal.epochs - 1]
        oracle.tell(proposal.trial_id, score)
        best = max(best, score if proposal.epochs == BUDGET.epochs else 0.0)
    oracle.close()
    return best


def _page(records: Sequence[RunRecord]) -> str:
    machine = records[0].environment
    pools = {record.spec.family: record for record in records if record.spec.tuner == "random"}
    games = {
        (family, tuner): 100 * np.array([play(tuner, pool, seed) for seed in range(GAMES)])
        for family, pool in pools.items()
        for tuner in PLAYED
    }
    searches = pd.DataFrame(
        {"family": record.spec.family, "score": 100 * record.winning_trial.score}
        for record in records
        if record.spec.tuner == "bayesian"
    )
    for family, group in searches.groupby("family"):
        games[str(family), "bayesian"] = group["score"].to_numpy()
    rows = pd.DataFrame(
        {
            "family": family,
            "tuner": tuner,
            "searches": f"{len(scores)} {'run' if tuner == 'bayesian' else 'played'}",
            "winner's validation accuracy, %, mean": f"{scores.mean():.2f}",
            "5 % of searches are below": f"{np.quantile(scores, 0.05):.2f}" if tuner != "bayesian" else "-",
            "95 % are below": f"{np.quantile(scores, 0.95):.2f}" if tuner != "bayesian" else "-",
        }
        for (family, tuner), scores in sorted(games.items())
    )
    return "\n".join(
        [
            "# Which tuner finds the best candidate within the default budget",
            "",
            (
                f"{records[0].dataset.title}, {BUDGET.trials} trials x {BUDGET.epochs} epochs, in "
                f"{records[0].spec.precision}, on {machine.cpu} with {machine.cores} cores, TensorFlow "
                f"{machine.tensorflow}, Keras {machine.keras}, Keras Tuner {machine.keras_tuner}."
            ),
            "",
            markdown_table(rows),
            "",
            *_sentences(games, pools),
            "",
            (
                f"Played searches draw from {POOL} candidates of each family, drawn by chance and trained whole "
                "once; runs are searches of their own."
            ),
            "Compared are validation scores only. Made by `python tests/benchmarks/tuners.py`.",
            "",
        ]
    )


def _sentences(games: dict[tuple[str, Tuner], NDArray[np.float64]], pools: dict[str, RunRecord]) -> Iterator[str]:
    for family, pool in sorted(pools.items()):
        scores = sorted(100 * trial.score for trial in pool.trials if trial.status == "ok")
        one, other = games[family, "hyperband"], games[family, "random"]
        yield (
            f"- {family}: the best of the pool scored {scores[-1]:.2f} %, the median {np.median(scores):.2f} %. "
            f"Hyperband found a better candidate than random search in {np.mean(one > other):.0%} of the games, the "
            f"same in {np.mean(one == other):.0%}, a worse one in {np.mean(one < other):.0%}; the mean difference is "
            f"{np.mean(one - other):+.2f} points."
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", nargs="+", default=["dense", "cnn"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="of the Bayesian searches")
    arguments = parser.parse_args()
    main(arguments.families, arguments.seeds)
