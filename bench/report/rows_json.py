"""The leaderboard's rows as plain values at full precision, for JSON."""

import math
from dataclasses import asdict
from typing import Any

from bench.records.objective import objective_name
from bench.records.spec import SearchSpec
from bench.report.board import Board, PairTest, Row, Table
from bench.report.ranking import TEST_LABELS
from bench.report.text.signature import signature_text
from bench.tuning.space import count_candidates


def rows_json(board: Board) -> list[dict[str, Any]]:
    """One dict per row."""
    return [row_json(table, row) for table, row in board.placed]


def row_json(table: Table, row: Row) -> dict[str, Any]:
    """The values of one row."""
    run, record, search = row.run, row.record, row.record.search
    best_rank, worst_rank = row.rank or (None, None)
    return {
        "dataset": record.dataset.name,
        "table": table.number,
        "rank": best_rank,
        "rank_worst": worst_rank,
        "label": row.label,
        "run_id": record.run_id,
        "model": record.spec.model,
        "reference": None if record.reference is None else record.reference.group,
        "reproduces": None if run.reproduces is None else run.reproduces.record.run_id,
        "tuner": record.spec.tuner if isinstance(record.spec, SearchSpec) else None,
        "test_accuracy": row.test_accuracy,
        "test_accuracy_by_seed": run.scores.accuracy_by_seed.tolist(),
        "interval": None if run.interval is None else asdict(run.interval),
        "seeds": len(record.refits),
        "n_test": record.dataset.n_test,
        "not_significantly_different_from": None if row.not_different_from is None else list(row.not_different_from),
        "difference_from_best_tuned": None if row.versus_best is None else _test_json(row.versus_best),
        "metrics": {metric.key: run.value(metric) for metric in run.metrics},
        "objective": objective_name(record.spec),
        "validation_score": None if search is None else search.winning_trial.score,
        "validation_accuracy": None if search is None else search.winning_trial.validation_accuracy,
        "own_recipe": search is not None and search.own_recipe is not None,
        "f1_by_class": dict(zip(record.dataset.class_names, run.scores.by_class.f1.tolist(), strict=False)),
        "parameters": run.costs["parameters"],
        "core_seconds": run.costs.get("core-seconds"),
        "trials": None if search is None else len(search.trials),
        "candidates": None if search is None else count_candidates(search.space),  # None if infinite
        "search_seconds": None if search is None else search.search_seconds,
        "training_seconds": run.costs.get("training time per refit"),
        "prediction_microseconds_per_image": record.latency.microseconds_per_image,
        "cpu": record.environment.cpu,
        # Keys of the JSON do not change with the texts of pages.
        "conditions": {
            "test labels" if name == TEST_LABELS else name: value for name, value in table.conditions.items()
        },
        "reproductions": len(run.reproductions),
        "signature": signature_text(record),
        "page": row.page,
    }


def _test_json(test: PairTest) -> dict[str, Any]:
    return {
        "compared_with": test.b,
        "verdict": test.verdict,
        "difference": None if test.difference is None else asdict(test.difference),
        "p_adjusted": None if math.isnan(test.p_adjusted) else test.p_adjusted,
    }
