"""Find the hyperparameters of a hypermodel that declares some of them in some builds only."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import keras_tuner

from bench.records.spec import Value, candidate_key

MAX_BUILDS = 200
MAX_LISTED = 4  # values of a numeric hyperparameter that are all tried; of more, only the bounds
RANDOM_BUILDS = 3

Declare = Callable[[keras_tuner.HyperParameters], None]  # builds a candidate, which declares hyperparameters
Values = dict[str, Value]


def discover(declare: Declare) -> keras_tuner.HyperParameters:
    """The hyperparameters that builds of various candidates declare, in order of discovery.

    The first build has the defaults. Each hyperparameter that a build declares for the first time is then varied in
    that candidate, so that those that depend on it are found, too. Finally, a few random candidates are built. The
    order is fixed, so that repeated searches have the same space.

    Args:
        declare: an exception for any but the default candidate is ignored: that candidate will fail as a trial.
    """
    found = keras_tuner.HyperParameters()
    declare(found)
    waiting = list(_varied(found.space, found.values))
    tried = {candidate_key(found.values)}
    random_builds = 0
    while len(tried) < MAX_BUILDS and (waiting or random_builds < RANDOM_BUILDS):
        if not waiting:
            random_builds += 1
            waiting.append(_random(found, random_builds))
        values = waiting.pop(0)
        if candidate_key(values) not in tried:
            tried.add(candidate_key(values))
            waiting += _explore(declare, found, values)
    return found


def _explore(declare: Declare, found: keras_tuner.HyperParameters, values: Values) -> list[Values]:
    """Build a candidate, add what it declares to `found`, and return the variations of what is new."""
    hp = keras_tuner.HyperParameters()
    hp.values = dict(values)
    with suppress(Exception, SystemExit):
        declare(hp)
    before = {each.name for each in found.space}
    found.merge(hp, overwrite=False)
    return list(_varied([each for each in hp.space if each.name not in before], hp.values))


def _varied(hyperparameters: list[Any], values: Values) -> Iterator[Values]:
    """`values` with other values of each of the hyperparameters."""
    for each in hyperparameters:
        yield from ({**values, each.name: value} for value in _alternatives(each) if values.get(each.name) != value)


def _alternatives(hyperparameter: Any) -> list[Value]:
    """The values to try: all of a few, or the bounds."""
    if not hasattr(hyperparameter, "min_value"):
        return list(hyperparameter.values)
    low, high = hyperparameter.min_value, hyperparameter.max_value
    if isinstance(low, int) and hyperparameter.sampling == "linear":
        listed = range(low, high + 1, hyperparameter.step or 1)
        if len(listed) <= MAX_LISTED:
            return list(listed)
    return [low, high]


def _random(found: keras_tuner.HyperParameters, seed: int) -> Values:
    """A random candidate: the active hyperparameters in `found`."""
    hp = found.copy()
    hp.values = {}
    for number, each in enumerate(hp.space):
        if hp.is_active(each):
            hp.values[each.name] = each.random_sample(1_000 * seed + number)
    return dict(hp.values)
