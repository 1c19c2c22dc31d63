"""Write the synthetic results folder beside this file: `python tests/golden/make.py`, with tests/ in PYTHONPATH."""

import shutil
from pathlib import Path

from bench.records.spec import Budget
from bench.records.store import note_test_reading
from bench.report.report import write
from builders import (
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
    """Two families under one budget on two machines, one of them also under another budget with a single seed."""
    shutil.rmtree(RESULTS, ignore_errors=True)
    promoted = make_trial(1, 0.91, parent="0000", initial_epoch=1, values={"layers": 2, "units_1": 64, "units_2": 32})
    runs = [
        add_run(RESULTS, [range(10), range(5, 17), range(10)]),
        add_run(
            RESULTS,
            [[0, 1], [0, 1, 2], [1, 50]],
            spec={"family": "cnn", "tuner": "hyperband", "precision": "bfloat16"},
            environment=make_environment(cpu="Synthetic CPU B", instruction_sets=("avx512f", "avx512_bf16")),
            trials=(
                make_trial(0, 0.85, epochs=1),
                promoted,
                make_trial(2, 0.85, epochs=1, repeats="0000"),
                make_failed_trial(3, "Traceback (most recent call last):\nMemoryError: no room for 10 | 20 weights"),
            ),
        ),
        add_run(RESULTS, [range(30)], spec={"seeds": 1, "budget": Budget(trials=2, epochs=3)}),
    ]
    for run in runs:
        note_test_reading(RESULTS, run.dataset.name, run.run_id, run.finished)
    unfinished = make_spec(seed=2)
    write_unfinished_run(RESULTS, unfinished, make_run(make_predictions(), spec=unfinished), refits=1)
    write(RESULTS)


if __name__ == "__main__":
    main()
