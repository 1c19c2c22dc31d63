"""Write the synthetic results folder next to this file: `python tests/golden/make.py`, with tests/ in PYTHONPATH."""

import shutil
from pathlib import Path

from bench.records.encoding import encode
from bench.records.evaluation_log import EvaluationLog, TestSetEvaluation
from bench.records.files import append_line
from bench.records.plain import PlainKeras
from bench.records.reproductions import Reproduction
from bench.records.spec import Budget
from bench.records.store import run_folder
from bench.report.build import write
from builders import (
    add_reference,
    add_run,
    make_environment,
    make_failed_trial,
    make_predictions,
    make_run,
    make_spec,
    make_trial,
    write_unfinished_run,
)

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Two families with one budget on two machines, one also with another budget and a single seed, one reproduced."""
    shutil.rmtree(RESULTS, ignore_errors=True)
    promoted = make_trial(1, 0.91, parent="0000", initial_epoch=1, values={"layers": 2, "units_1": 64, "units_2": 32})
    dense = add_run(RESULTS, [range(10), range(5, 17), range(10)])
    other_machine = make_environment(cpu="Synthetic CPU B", instruction_sets=("avx512f", "avx512_bf16"))
    reproduction = add_run(
        RESULTS,
        [range(11), range(5, 17), range(9)],
        repeat=2,
        environment=other_machine,
        reproduces=dense.run_id,
        finished="2026-01-02T00:05:00+00:00",
    )
    runs = [
        dense,
        reproduction,
        add_run(
            RESULTS,
            [[0, 1], [0, 1, 2], [1, 50]],
            spec={"family": "cnn", "tuner": "hyperband"},
            environment=other_machine,
            search={
                "trials": (
                    make_trial(0, 0.85, epochs=1),
                    promoted,
                    make_trial(2, 0.85, epochs=1, duplicate_of="0000"),
                    make_failed_trial(
                        3, "Traceback (most recent call last):\nMemoryError: no room for 10 | 20 weights"
                    ),
                )
            },
        ),
        add_run(RESULTS, [range(30)], spec={"refit_seeds": 1, "budget": Budget(trials=2, epochs=3)}),
        add_reference(RESULTS, [range(20), range(21), range(19)]),
    ]
    for run in runs:
        line = TestSetEvaluation(time=run.finished, run=run.run_id)
        path = EvaluationLog(RESULTS, run.dataset.name).path
        append_line(path, encode(line, path))
    run_folder(RESULTS, dense.spec).append_reproduction(
        Reproduction(
            time=reproduction.finished,
            run_id=reproduction.run_id,
            environment=other_machine,
            search_precision="float32",
            conditions={"cpu": ("Synthetic CPU A", "Synthetic CPU B")},
            identical=False,
            changed_predictions=2,
            test_accuracy=0.9467,
            prediction_interval=(0.93, 0.96),
            total_seconds=300.0,
        )
    )
    run_folder(RESULTS, dense.spec).write_plain(
        PlainKeras(
            code="import keras\n\nmodel = keras.Sequential([keras.layers.Dense(4)])\n",
            recipe={"optimizer": "keras.optimizers.Adam(0.01)", "epochs": "3 of 4 batches each"},
        )
    )
    unfinished = make_spec(seed=2)
    write_unfinished_run(RESULTS, unfinished, make_run(make_predictions(), spec=unfinished), refits=1)
    write(RESULTS)


if __name__ == "__main__":
    main()
