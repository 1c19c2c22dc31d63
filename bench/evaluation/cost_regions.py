"""Regions of a search space whose candidates cost much more than others."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.evaluation.arrays import FloatArray
from bench.records.spec import Value

MAX_CONDITIONS = 3
MIN_SHARE = 0.05  # of the candidates, in a region
MIN_CANDIDATES = 3  # in a region: a single one may be slow by chance
MIN_RATIO = 1.5
INACTIVE = -1e9  # in place of the value of a number that does not exist


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """The candidates that fulfill some conditions."""

    conditions: tuple[str, ...]  # such as "filters > 28"
    share: float  # of the candidates, in [0, 1]
    ratio: float  # median cost in the region, divided by the median cost of all candidates


def expensive_regions(candidates: Sequence[Mapping[str, Value]], costs: Sequence[float]) -> tuple[Region, ...]:
    """The leaves of a small regression tree on the logarithm of the cost, whose median is high; most expensive first.

    Args:
        candidates: active hyperparameters of each candidate.
        costs: of each candidate, positive.
    """
    from sklearn.tree import DecisionTreeRegressor

    names, features = _features(candidates)
    if not names or len(costs) < 2:
        return ()
    measured = np.asarray(costs, dtype=np.float64)
    fewest = max(MIN_CANDIDATES, math.ceil(MIN_SHARE * len(costs)))
    tree = DecisionTreeRegressor(max_depth=MAX_CONDITIONS, min_samples_leaf=fewest, random_state=0)
    tree.fit(features, np.log(measured))
    leaves = tree.apply(features)
    regions = [
        Region(
            conditions=_conditions(tree.tree_, names, int(leaf)),
            share=float((leaves == leaf).mean()),
            ratio=float(np.median(measured[leaves == leaf]) / np.median(measured)),
        )
        for leaf in np.unique(leaves)
    ]
    expensive = [region for region in regions if region.ratio >= MIN_RATIO and region.conditions]
    return tuple(sorted(expensive, key=lambda region: -region.ratio))


def _features(candidates: Sequence[Mapping[str, Value]]) -> tuple[list[str], FloatArray]:
    """Numbers as they are; for each value of another hyperparameter, whether a candidate has it."""
    columns: dict[str, list[float]] = {}
    for name in dict.fromkeys(name for candidate in candidates for name in candidate):
        values = [candidate.get(name) for candidate in candidates]
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values if value is not None):
            columns[name] = [INACTIVE if value is None else float(value) for value in values]
        else:
            for each in sorted({str(value) for value in values if value is not None}):
                columns[f"{name} is {each}"] = [float(str(value) == each) for value in values]
    return list(columns), np.array(list(columns.values()), dtype=np.float64).T


def _conditions(tree: object, names: Sequence[str], leaf: int) -> tuple[str, ...]:
    """The conditions on the way from the root of a scikit-learn tree to a leaf."""
    left, right = tree.children_left.tolist(), tree.children_right.tolist()  # type: ignore[attr-defined]
    conditions: dict[tuple[str, bool], str] = {}  # of several for the same name, the last is the narrowest
    node = leaf
    while node != 0:
        below = node in left
        parent = (left if below else right).index(node)
        name, threshold = names[tree.feature[parent]], float(tree.threshold[parent])  # type: ignore[attr-defined]
        if " is " in name:
            condition = name.replace(" is ", " is not ") if below else name
        else:
            condition = _comparison(name, threshold, below=below)
        conditions.setdefault((name, below), condition)
        node = parent
    return tuple(reversed(conditions.values()))


def _comparison(name: str, threshold: float, *, below: bool) -> str:
    if threshold < INACTIVE / 4:
        return f"{name} is inactive" if below else f"{name} is active"
    return f"{name} {'<=' if below else '>'} {threshold:.4g}"
