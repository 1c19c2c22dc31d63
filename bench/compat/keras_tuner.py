"""Keras Tuner: Hyperband's brackets, Hyperband in small spaces, and oracles that write no files and keep values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

from bench.compat.expectations import expecting, incompatible

KERAS_TUNER = ("keras-tuner",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """Trials of one length in a Hyperband bracket."""

    size: int  # number of trials in the full rung
    trials: tuple[str, ...]  # ids of the trials proposed so far
    promoted: frozenset[str]  # ids of the trials of the previous rung that they continue; empty in the first rung


def hyperband_brackets(oracle: Any) -> tuple[tuple[Rung, ...], ...]:
    """The unfinished brackets of a HyperbandOracle, each with its rungs from shortest to longest trials.

    Raises:
        CompatibilityError: the oracle's attributes have changed.
    """
    with expecting(KERAS_TUNER, "a HyperbandOracle with `_brackets` and `_get_size`"):
        return tuple(
            tuple(
                Rung(
                    size=int(oracle._get_size(bracket["bracket_num"], number)),  # noqa: SLF001 - not public
                    trials=tuple(entry["id"] for entry in entries),
                    promoted=frozenset(entry["past_id"] for entry in entries if entry["past_id"] is not None),
                )
                for number, entries in enumerate(bracket["rounds"])
            )
            for bracket in oracle._brackets  # noqa: SLF001 - not public
        )


def draw_in_turn(oracle: Any, candidates: Sequence[Mapping[str, Any]]) -> None:
    """Let a new HyperbandOracle draw `candidates` in turn, again and again, and each at most once in a bracket.

    By itself it draws at random, and ends the search once it finds no candidate that it has not drawn before.
    """
    turn, full_size = cycle(candidates), oracle._get_size  # noqa: SLF001 - not public
    oracle._random_values = lambda: dict(next(turn))  # noqa: SLF001 - not public
    oracle._get_size = lambda bracket_num, round_num: min(  # noqa: SLF001 - not public
        full_size(bracket_num, round_num), len(candidates)
    )


def keep_in_memory(oracle: Any) -> None:
    """Keep the state of an oracle in memory only; Keras Tuner would rewrite its files at every call."""
    oracle.save = lambda: None
    oracle._save_trial = lambda _trial: None  # noqa: SLF001 - not public


def keep_values(oracle: Any) -> None:
    """Record proposed values as they are.

    If two hyperparameters with different conditions have the same name, Keras Tuner drops the value of the active one,
    or samples it again without a seed.

    Raises:
        CompatibilityError: the oracle's methods have changed.
    """
    with expecting(KERAS_TUNER, "an oracle with `_record_values`"):
        record = oracle._record_values  # noqa: SLF001 - not public

    def record_unchanged(trial: Any) -> None:
        trial.hyperparameters.ensure_active_values = lambda: None
        record(trial)

    oracle._record_values = record_unchanged  # noqa: SLF001 - not public


def check_hyperband() -> None:
    """Check on known brackets that an oracle works in memory, is described correctly, and draws what it should.

    Raises:
        CompatibilityError: it does not.
    """
    # Three trials of one epoch, the best of which is promoted to three epochs: ceil(2 / 2 * 3), then ceil(2 / 2).
    _check_bracket((3, ("0000", "0001", "0002"), frozenset()), (1, ("0003",), frozenset({"0002"})))
    # Of two candidates, one is promoted.
    candidates = ({"x": 0.25}, {"x": 0.75})
    _check_bracket((2, ("0000", "0001"), frozenset()), (1, ("0002",), frozenset({"0001"})), candidates=candidates)


def _check_bracket(*expected: tuple[int, tuple[str, ...], frozenset[str]], candidates: Sequence[Any] = ()) -> None:
    """Check the rungs of the first bracket once its first rung is trained and the best trial is promoted."""
    import keras_tuner

    trials = len(expected[0][1])
    with expecting(KERAS_TUNER, "a HyperbandOracle that runs without files"):
        space = keras_tuner.HyperParameters()
        space.Float("x", 0, 1)
        oracle = keras_tuner.oracles.HyperbandOracle(
            objective=keras_tuner.Objective("score", "max"), max_epochs=3, factor=3, hyperparameters=space, seed=1
        )
        keep_in_memory(oracle)
        if candidates:
            draw_in_turn(oracle, candidates)
        oracle.verbose = 0
        for number in range(trials + 1):
            trial = oracle.create_trial(f"slot {number}")
            if number < trials:
                oracle.update_trial(trial.trial_id, {"score": float(number)})
                trial.status = "COMPLETED"
                oracle.end_trial(trial)
        brackets = hyperband_brackets(oracle)
        drawn = [oracle.trials[trial_id].hyperparameters.values["x"] for trial_id in brackets[0][0].trials]
    shape = tuple((rung.size, rung.trials, rung.promoted) for bracket in brackets for rung in bracket)
    if shape != expected:
        raise incompatible(KERAS_TUNER, f"Hyperband rungs {expected}", f"{shape}")
    if candidates and drawn != [candidate["x"] for candidate in candidates]:
        raise incompatible(KERAS_TUNER, f"a HyperbandOracle that draws {candidates}", f"x = {drawn}")
