"""Keras Tuner: Hyperband's brackets, and oracles that write no files."""

from dataclasses import dataclass
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


def keep_in_memory(oracle: Any) -> None:
    """Keep the state of an oracle in memory only; Keras Tuner would rewrite its files at every call."""
    oracle.save = lambda: None
    oracle._save_trial = lambda _trial: None  # noqa: SLF001 - not public


def check_hyperband() -> None:
    """Check on a known bracket that an oracle works in memory and that `hyperband_brackets` describes it correctly.

    Raises:
        CompatibilityError: it does not.
    """
    import keras_tuner

    with expecting(KERAS_TUNER, "a HyperbandOracle that runs without files"):
        space = keras_tuner.HyperParameters()
        space.Float("x", 0, 1)
        oracle = keras_tuner.oracles.HyperbandOracle(
            objective=keras_tuner.Objective("score", "max"), max_epochs=3, factor=3, hyperparameters=space, seed=1
        )
        keep_in_memory(oracle)
        oracle.verbose = 0
        for number in range(4):
            trial = oracle.create_trial(f"slot {number}")
            if number < 3:
                oracle.update_trial(trial.trial_id, {"score": float(number)})
                trial.status = "COMPLETED"
                oracle.end_trial(trial)
        brackets = hyperband_brackets(oracle)
    # Three trials of one epoch, the best of which is promoted to three epochs: ceil(2 / 2 * 3), then ceil(2 / 2).
    expected: tuple[object, ...] = ((3, ("0000", "0001", "0002"), frozenset()), (1, ("0003",), frozenset({"0002"})))
    shape = tuple((rung.size, rung.trials, rung.promoted) for bracket in brackets for rung in bracket)
    if shape != expected:
        raise incompatible(KERAS_TUNER, f"Hyperband rungs {expected}", f"{shape}")
