"""Which tuner finds the best candidate within the default budget: the measured reason for the default.

python tests/benchmarks/tuners.py --families dense cnn --seeds 0 1 2 --runs DIR

Runs every tuner under every search seed, into the results folder DIR (kept, so that it can be taken up again), and
writes results/benchmarks/tuners.md. Compared are validation scores: the test part has no say in a default.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

import search_spaces
from bench.data.catalog import default_budget
from bench.environment import supports_bfloat16, usable_cores
from bench.pipeline import Options, run
from bench.progress import show
from bench.record import RunRecord
from bench.reporting.markdown import table as markdown_table
from bench.reporting.runs import load
from bench.spec import DEFAULT_LOOKAHEAD, RunSpec, Tuner
from bench.store import write_atomic

DATASET = "fashion_mnist"
TUNERS: tuple[Tuner, ...] = ("hyperband", "random", "bayesian")
OUTPUT = Path("results/benchmarks/tuners.md")


def main(families: Sequence[str], seeds: Sequence[int], runs: Path) -> None:
    """Run what is missing in `runs`, then write the table."""
    for seed in seeds:
        for tuner in TUNERS:
            specs = [_spec(family, tuner, seed) for family in families]
            show(run(specs, Options(results=runs, workers=usable_cores())))
    records = [found.record for found in load(runs).runs]
    write_atomic(OUTPUT, _page(records).encode())
    sys.stdout.write(OUTPUT.read_text())


def _spec(family: str, tuner: Tuner, seed: int) -> RunSpec:
    return RunSpec(
        dataset=DATASET,
        family=family,
        family_source=search_spaces.source_digest(family),
        tuner=tuner,
        budget=default_budget(DATASET),
        seed=seed,
        seeds=1,
        precision="bfloat16" if supports_bfloat16() else "float32",
        lookahead=DEFAULT_LOOKAHEAD,
    )


def _page(records: Sequence[RunRecord]) -> str:
    frame = pd.DataFrame(
        {
            "family": record.spec.family,
            "tuner": record.spec.tuner,
            "search seed": record.spec.seed,
            "score": 100 * record.winning_trial.score,
            "candidates": sum(trial.parent is None for trial in record.trials),
            "seconds": record.search_seconds,
        }
        for record in records
    )
    grouped = frame.groupby(["family", "tuner"])
    table = pd.DataFrame(
        {
            "searches": grouped["score"].size(),
            "candidates": grouped["candidates"].max(),
            "winner's validation accuracy, %, mean": grouped["score"].mean().map("{:.2f}".format),
            "lowest": grouped["score"].min().map("{:.2f}".format),
            "highest": grouped["score"].max().map("{:.2f}".format),
            "search, s, median": grouped["seconds"].median().map("{:.0f}".format),
        }
    ).reset_index()
    record = records[0]
    conditions = (
        f"{record.dataset.title}, {record.spec.budget.trials} trials x {record.spec.budget.epochs} epochs, "
        f"search in {record.spec.precision}, seeds {', '.join(map(str, sorted(set(frame['search seed']))))}, "
        f"{record.environment.cpu} with {record.environment.cores} cores, "
        f"TensorFlow {record.environment.tensorflow}, Keras {record.environment.keras}, "
        f"Keras Tuner {record.environment.keras_tuner}."
    )
    return "\n".join(
        [
            "# Which tuner finds the best candidate within the default budget",
            "",
            conditions,
            "",
            markdown_table(table.astype(str)),
            "",
            "Made by `python tests/benchmarks/tuners.py`.",
            "",
        ]
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", nargs="+", default=["dense"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--runs", type=Path, required=True)
    arguments = parser.parse_args()
    main(arguments.families, arguments.seeds, arguments.runs)
