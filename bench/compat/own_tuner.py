"""Keras Tuner: the state of a user's tuner, whose trials run in other processes."""

import inspect
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from copy import deepcopy
from typing import Any

from bench.compat.expectations import expecting, incompatible
from bench.compat.keras_tuner import KERAS_TUNER, keep_in_memory
from bench.seeds import derive_seed

Config = Mapping[str, Any]  # JSON


@contextmanager
def held_files(tuner: Any) -> Iterator[None]:
    """Inside the block, a tuner and its oracle write no files and do not show their progress."""
    oracle, verbose = tuner.oracle, tuner.oracle.verbose
    keep_in_memory(oracle)
    tuner.save = lambda: None
    oracle.verbose = 0
    try:
        yield
    finally:
        del oracle.save, oracle._save_trial, tuner.save  # noqa: SLF001 - not public
        oracle.verbose = verbose


@contextmanager
def seeded_values(oracle: Any) -> Iterator[None]:
    """Inside the block, every value that an oracle proposes depends on its seed.

    A promoted trial of Hyperband lacks the hyperparameters that were found after its parent. Keras Tuner draws them
    without a seed.
    """
    populate = oracle.populate_space

    def populate_seeded(trial_id: str) -> Mapping[str, Any]:
        response: Mapping[str, Any] = populate(trial_id)
        if (values := response.get("values")) is not None:
            space = oracle.get_space()
            space.values = values
            for parameter in space.space:
                if space.is_active(parameter) and parameter.name not in values:
                    seed = derive_seed(oracle.seed, trial_id, parameter.name)
                    values[parameter.name] = parameter.random_sample(seed)
        return response

    oracle.populate_space = populate_seeded
    try:
        yield
    finally:
        del oracle.populate_space


@contextmanager
def earlier_trials(oracle: Any, length: int | None, number: int) -> Iterator[None]:
    """Inside the block, an oracle proposes the trials of an earlier call, with their ids, whatever `max_trials` is now.

    Args:
        oracle: of the tuner.
        length: digits of the ids; None for as many as `max_trials` has.
        number: of trials that are proposed even if `max_trials` is smaller.
    """
    maximum = oracle.max_trials
    count = max(maximum, number) if maximum else maximum
    if length is not None and (length, count) != (len(str(maximum)), maximum):
        oracle.max_trials = _TrialCount(count or 0)
        oracle.max_trials.digits = length
    try:
        yield
    finally:
        if isinstance(oracle.max_trials, _TrialCount):  # not changed by the tuner
            oracle.max_trials = maximum


class _TrialCount(int):
    """A number whose text has a given length; 0 for no limit."""

    digits: int

    def __str__(self) -> str:
        return "0" * self.digits


def space_config(hyperparameters: Any) -> Config:
    """Hyperparameters as JSON, without the NumPy numbers that Bayesian optimization proposes."""
    config: Config = json.loads(json.dumps(hyperparameters.get_config()))
    return config


def hyperparameters_of(config: Config) -> Any:
    """The opposite of `space_config`."""
    import keras_tuner

    return keras_tuner.HyperParameters.from_config(deepcopy(config))  # which it changes, if there are conditions


def oracle_settings(oracle: Any) -> dict[str, Any] | None:
    """The arguments that an oracle was created with; None if its attributes do not tell."""
    parameters = list(inspect.signature(type(oracle)).parameters.values())
    names = [each.name for each in parameters]
    variable = any(each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD) for each in parameters)
    if variable or not all(hasattr(oracle, name) for name in names):
        return None
    return {name: getattr(oracle, name) for name in names}


def restored_options(oracle: Any) -> dict[str, Any]:
    """The options that Keras Tuner restores when it reloads an oracle, whatever the new one was created with."""
    state = oracle.get_state().keys() - {"hyperparameters", "seed"}
    return {name: value for name, value in (oracle_settings(oracle) or {}).items() if name in state}


def reset(oracle: Any, space: Config, seed: int) -> bool:
    """Put an oracle into the state in which it was created, with a space and a seed; False if that is not possible.

    Keras Tuner restores neither the random state of Bayesian optimization nor the position of a grid search.

    Raises:
        CompatibilityError: the oracle's attributes have changed.
    """
    settings = oracle_settings(oracle)
    if settings is None or not {"hyperparameters", "seed"} <= settings.keys():
        return False
    fresh = type(oracle)(**settings | {"hyperparameters": hyperparameters_of(space), "seed": seed})
    with expecting(KERAS_TUNER, "an oracle with `_directory`, `_project_name` and a `_display`"):
        fresh._set_project_dir(oracle._directory, oracle._project_name)  # noqa: SLF001 - not public
        fresh.verbose = oracle.verbose
        fresh._display.oracle = oracle  # noqa: SLF001 - not public
    vars(oracle).clear()
    vars(oracle).update(vars(fresh))
    return True


def extend_trial(oracle: Any, trial: Any, hyperparameters: Any) -> None:
    """Give a trial hyperparameters that are also new in the space, as the oracle does when the trial ends.

    Raises:
        CompatibilityError: the oracle's methods have changed.
    """
    trial.hyperparameters = hyperparameters
    with suppress(RuntimeError):  # not allowed, which ends the search when the trial ends
        oracle.update_space(hyperparameters)
    with expecting(KERAS_TUNER, "an oracle with `_record_values`"):
        oracle._record_values(trial)  # noqa: SLF001 - not public


def propose_ahead(oracle: Any, trial_id: str) -> None:
    """Let a grid search continue after a trial that has not ended, as it does after the first one."""
    import keras_tuner

    if isinstance(oracle, keras_tuner.oracles.GridSearchOracle):
        with expecting(KERAS_TUNER, "a GridSearchOracle with a list `_populate_next`"):
            if trial_id not in oracle._populate_next:  # noqa: SLF001 - not public
                oracle._populate_next.append(trial_id)  # noqa: SLF001 - not public


def continue_once(oracle: Any, trial_id: str) -> None:
    """Keep a grid search from continuing again after a trial that has ended without new hyperparameters.

    It would need the trial's values of hyperparameters that were found since, which do not exist.
    """
    import keras_tuner

    if isinstance(oracle, keras_tuner.oracles.GridSearchOracle):
        with expecting(KERAS_TUNER, "a GridSearchOracle with a list `_populate_next`"):
            if oracle._populate_next[-1:] == [trial_id]:  # noqa: SLF001 - not public
                oracle._populate_next.pop()  # noqa: SLF001 - not public


def retry_ongoing(oracle: Any, tuner_id: str) -> None:
    """Leave the trials without a result to a later search, as Keras Tuner does when it reloads an oracle.

    Raises:
        CompatibilityError: the oracle's attributes have changed.
    """
    with expecting(KERAS_TUNER, "an oracle with `ongoing_trials`, `tuner_ids` and `_retry_queue`"):
        # The queue's last trial is the first to be retried. After too many failures, trials that ended are ongoing.
        ongoing = [trial.trial_id for trial in reversed(oracle.ongoing_trials.values())]
        oracle._retry_queue += [each for each in ongoing if each not in oracle.end_order]  # noqa: SLF001 - not public
        oracle.ongoing_trials = {}
        oracle.tuner_ids = {tuner_id}


def needs_results(oracle: Any) -> bool:
    """Whether proposals depend on earlier results, except where the oracle itself waits for them."""
    import keras_tuner

    oracles = keras_tuner.oracles
    independent = (oracles.RandomSearchOracle, oracles.GridSearchOracle, oracles.HyperbandOracle)
    return not isinstance(oracle, independent)


def max_failures(tuner: Any) -> int | None:
    """After how many consecutive failures the oracle of a tuner ends the search; None if it is unknown."""
    oracle = tuner.oracle
    if oracle.max_retries_per_trial or overridden(oracle, "end_trial") or overridden(tuner, "on_trial_end"):
        return None
    maximum: int = oracle.max_consecutive_failed_trials
    return maximum


def planned_trials(oracle: Any) -> int | None:
    """The maximum number of trials; None if it is unknown."""
    import keras_tuner

    if not isinstance(oracle, keras_tuner.oracles.HyperbandOracle):
        return oracle.max_trials if oracle.max_trials is None else int(oracle.max_trials)
    if oracle.hyperband_iterations == float("inf"):
        return None
    with expecting(KERAS_TUNER, "a HyperbandOracle with the sizes of its brackets"):
        brackets = range(oracle._get_num_brackets())  # noqa: SLF001 - not public
        sizes = [oracle._get_size(bracket, rung) for bracket in brackets for rung in range(bracket + 1)]  # noqa: SLF001
    return int(oracle.hyperband_iterations) * int(sum(sizes))


def overridden(obj: Any, method: str) -> bool:
    """Whether a tuner, an oracle or a hypermodel replaces a method of Keras Tuner's own classes."""
    if method in vars(obj):
        return True
    defining = next((each for each in type(obj).__mro__ if method in vars(each)), None)
    return defining is not None and not defining.__module__.startswith("keras_tuner.")


def state_files(tuner: Any) -> dict[str, Config]:
    """The state of a tuner and its oracle, except its trials, by the paths of their files.

    Raises:
        CompatibilityError: the names of the files have changed.
    """
    with expecting(KERAS_TUNER, "a tuner with `_get_tuner_fname`, and an oracle with `_get_oracle_fname`"):
        oracle_file, tuner_file = tuner.oracle._get_oracle_fname(), tuner._get_tuner_fname()  # noqa: SLF001 - not public
    return {oracle_file: tuner.oracle.get_state(), tuner_file: tuner.get_state()}


def run_trial(tuner: Any, trial: Any, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> None:
    """Run a trial as Keras Tuner's search does: errors become the trial's status and message.

    Raises:
        keras_tuner.errors.FatalError: the search cannot continue.
    """
    tuner._try_run_and_update_trial(trial, *arguments, **named)  # noqa: SLF001 - not public


def check_objective(oracle: Any, metrics: Mapping[str, float]) -> None:
    """Check that metrics contain what `oracle.objective` needs.

    Raises:
        ValueError: they do not.
    """
    import keras_tuner

    keras_tuner.Oracle._check_objective_found(oracle, metrics)  # noqa: SLF001 - not public


def execution_metrics(result: Any, objective: Any) -> tuple[Mapping[str, Any], int]:
    """The metrics and the best epoch, counted from 0, of what training a model once has returned.

    Raises:
        CompatibilityError: Keras Tuner's functions have changed.
    """
    with expecting(KERAS_TUNER, "tuner_utils with `convert_to_metrics_dict` and `get_best_step`"):
        from keras_tuner.src.engine import tuner_utils

        metrics: Mapping[str, Any] = tuner_utils.convert_to_metrics_dict(result, objective)
        return metrics, int(tuner_utils.get_best_step(result, objective))


def without_tensorboard(tuner: Any) -> None:
    """Let a tuner import tensorboard, which takes seconds, only if a callback is a TensorBoard."""
    configure = getattr(tuner, "_configure_tensorboard_dir", None)
    if configure is None or overridden(tuner, "_configure_tensorboard_dir"):
        return

    def configure_if_used(callbacks: Sequence[Any], *arguments: Any, **named: Any) -> None:
        if any(type(each).__name__ == "TensorBoard" for each in callbacks):
            configure(callbacks, *arguments, **named)

    tuner._configure_tensorboard_dir = configure_if_used  # noqa: SLF001 - not public


def check_own_tuner() -> None:
    """Check that an oracle without files runs as expected, can be reset, and gives up its ongoing trials.

    Raises:
        CompatibilityError: it does not.
    """
    import keras_tuner

    with expecting(KERAS_TUNER, "a GridSearchOracle that runs without files"):
        space = keras_tuner.HyperParameters()
        space.Choice("x", [1, 2, 3])
        oracle = keras_tuner.oracles.GridSearchOracle(objective=keras_tuner.Objective("score", "max"), seed=1)
        oracle._set_project_dir(".", "unused")  # noqa: SLF001 - not public
        initial = space_config(space)
        seen = []
        for _ in range(2):
            if not reset(oracle, initial, 1):
                raise incompatible(
                    KERAS_TUNER, "an oracle that stores its constructor arguments as attributes", "one that does not"
                )
            keep_in_memory(oracle)
            oracle.verbose = 0
            with earlier_trials(oracle, 2, 0):
                for number in range(3):
                    trial = oracle.create_trial(f"slot{number}")
                    seen.append(trial.hyperparameters.values.get("x"))
                    propose_ahead(oracle, trial.trial_id)
        retry_ongoing(oracle, "tuner0")
        seen.append(oracle.create_trial("tuner0").trial_id)
    expected: list[Any] = [1, 2, 3, 1, 2, 3, "00"]
    if seen != expected:
        raise incompatible(KERAS_TUNER, f"the trials {expected}", f"{seen}")
