"""Which tuner finds the best candidate within a budget: the measured reason for the default tuner.

python tests/benchmarks/tuners.py --families dense cnn

Trains a pool of random candidates of each family to full length. Random search and Hyperband are then simulated many
times on that pool: since the training of a candidate does not depend on the tuner, its learning curve in the pool is
the one that a search would have seen. The other tuners propose candidates outside any pool, so their searches are run:
Bayesian optimization and TPE with several seeds, grid search, which uses no random numbers, once. Only validation
accuracy is compared: the choice of a default must not depend on the test set, which stays closed.

The ledgers of pool and searches are kept in results/benchmarks/tuners. They are complete up to the last trial that
ended, so repeating the command continues; --minutes ends it in time. With --page-only it writes page and plots next to
that folder from the ledgers and trains nothing.
"""

import argparse
import math
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from matplotlib.figure import Figure
from scipy import stats

import search_spaces
from bench.data.catalog import DatasetLocation, locate
from bench.data.development import facts, load_development
from bench.errors import SearchError
from bench.evaluation.arrays import FloatArray, IntArray
from bench.evaluation.text import joined
from bench.execution.models import family_space
from bench.execution.options import Options
from bench.execution.plans import choose_plan, sampling_spec
from bench.machine import supports_bfloat16, usable_cores
from bench.records.choices import PRESETS
from bench.records.dataset import DatasetFacts
from bench.records.files import write_atomic
from bench.records.ledger import SessionStarted, TrialEnded, TrialProposed
from bench.records.limits import DEFAULT_TUNER
from bench.records.record import TrialRecord
from bench.records.spec import PROTOCOL_VERSION, Budget, SearchSpec
from bench.records.store import RunFolder, all_folders, run_folder
from bench.report.figures.labels import label_ends
from bench.report.figures.model import plain_axes
from bench.report.figures.picture import picture
from bench.tuning import tuners
from bench.tuning.presets import PLANS
from bench.tuning.proposer import Proposer
from bench.tuning.space import count_candidates, parameters
from bench.tuning.trials import Proposal

sys.path.append(str(Path(__file__).parents[1]))
from benchmarks.shared import TUNER_COLORS, machine_text, page, page_parser, publish, run_search, table

if TYPE_CHECKING:
    from bench.tuning.tuner import Tuner

NAME = "tuners"
SIMULATED = ("hyperband", "random")
RUN = ("bayesian", "tpe")
SIMULATIONS = 10_000
RESAMPLES = 200  # of the pool
SIMULATIONS_PER_RESAMPLE = 50
LEVEL = 0.95
LARGER = (2, 4, 8)  # budgets of simulated searches, times the budget of the preset
FACTORS = (2, 3, 4)  # of Hyperband
DEFAULT_SETTING = "hyperband with factor 3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A search to run until its first `trials` proposals have ended."""

    spec: SearchSpec
    trials: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """The ledger of a search: all trials before the first proposal that has not ended."""

    spec: SearchSpec
    dataset: DatasetFacts
    machines: tuple[str, ...]
    trials: tuple[TrialRecord, ...]  # in order of proposal; a duplicate takes no time


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pool:
    """Candidates that were trained to full length."""

    curves: FloatArray  # validation accuracy, fraction in [0, 1], shape (candidates, epochs)
    epoch_seconds: FloatArray  # (candidates,)
    start_seconds: FloatArray  # of a trial outside its epochs, (candidates,)


@dataclass(frozen=True, slots=True)
class Step:
    """A trial of a simulated search: a new candidate, or the promotion of the best one of the previous rung."""

    bracket: int
    initial_epoch: int  # 0 for a new candidate
    epochs: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trace:
    """A search, trial by trial."""

    core_seconds: FloatArray  # spent so far
    best: FloatArray  # score of the best full-length trial so far, in [0, 1]; 0 before the first one


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """All searches of a family by one tuner."""

    traces: tuple[Trace, ...]
    epochs: float  # trained by a search, mean
    standard_error: float  # of the mean of `scores`; NaN if unknown
    freedom: float  # its degrees of freedom
    resampled: FloatArray | None = None  # mean score in % for each bootstrap sample of the pool, if simulated

    @property
    def scores(self) -> FloatArray:
        """Validation accuracy of each search's winner, in %."""
        return np.array([100 * trace.best[-1] for trace in self.traces])

    @property
    def core_seconds(self) -> float:
        """Of a search, mean."""
        return float(np.mean([trace.core_seconds[-1] for trace in self.traces]))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Settings:
    """Simulated searches of a family with the same budget, by tuner and factor."""

    family: str
    budget: Budget
    rungs: Mapping[str, int]
    outcomes: Mapping[str, Outcome]


# Training


def jobs(family: str, location: DatasetLocation, budget: Budget, pool: int, searches: int) -> Iterator[Job]:
    """The pool, then the searches that are run."""
    make = partial(_spec, location, family)
    yield Job(spec=make("random", replace(budget, trials=pool), 0), trials=pool)
    # Grid search refuses a smaller budget than the whole space. It is ended when the budget is spent.
    data = facts(location, load_development(location))
    space = family_space(make("grid", budget, 0), data, search_spaces.locate(family))
    size = count_candidates(parameters(space.hyperparameters))
    if size is not None:
        yield Job(spec=make("grid", replace(budget, trials=size), 0), trials=budget.trials)
    for seed in range(searches):
        for tuner in RUN:
            yield Job(spec=make(tuner, budget, seed), trials=budget.trials)


def _spec(location: DatasetLocation, family: str, tuner: str, budget: Budget, seed: int) -> SearchSpec:
    spec = sampling_spec(search_spaces.locate(family), location.name, budget, tuner=tuner)
    return msgspec.structs.replace(spec, seed=seed, precision="bfloat16" if supports_bfloat16() else "float32")


def train(waiting: Sequence[Job], options: Options, seconds: float) -> None:
    """Run the jobs that are not complete, one after the other, for at most `seconds`."""
    end = time.monotonic() + seconds
    for number, job in enumerate(waiting, 1):
        folder = run_folder(options.results, job.spec)
        if is_complete(folder, job.trials):
            continue
        if time.monotonic() > end:
            sys.stderr.write("Time is up; repeat the command to continue.\n")
            return
        sys.stderr.write(f"{number} of {len(waiting)}: {job.spec.name}, {job.trials} trials\n")
        run_search(job.spec, options, lambda: time.monotonic() > end or is_complete(folder, job.trials))  # noqa: B023


def is_complete(folder: RunFolder, trials: int) -> bool:
    """Whether the first `trials` proposals of the search in `folder` have ended."""
    return folder.ledger.exists() and len(read(folder).trials) >= trials


def read(folder: RunFolder) -> Stored:
    """The search in `folder`, which has started."""
    spec, events = folder.read_spec(), folder.events()
    if not isinstance(spec, SearchSpec):
        raise TypeError(f"{folder.path} is no search")
    sessions = [event for event in events if isinstance(event, SessionStarted)]
    ended = {event.trial.trial_id: event.trial for event in events if isinstance(event, TrialEnded)}
    originals = {_key(trial.values): replace(trial, fit_seconds=0.0, task_seconds=0.0) for trial in ended.values()}
    trials = []
    for event in events:
        if isinstance(event, TrialProposed):
            trial = ended.get(event.trial_id) or originals.get(_key(event.values))
            if trial is None:
                break
            trials.append(trial)
    return Stored(
        spec=spec,
        dataset=sessions[0].dataset,
        machines=tuple(machine_text(session.environment, "TensorFlow", "Keras", "Keras Tuner") for session in sessions),
        trials=tuple(trials),
    )


def _key(values: Mapping[str, object]) -> tuple[tuple[str, object], ...]:
    return tuple(sorted(values.items()))


# Simulated searches


def make_pool(trials: Iterable[TrialRecord]) -> Pool:
    """The pool of the trials that succeeded."""
    trained = [trial for trial in trials if trial.status == "ok"]
    return Pool(
        curves=np.array([trial.curve.validation_accuracy for trial in trained]),
        epoch_seconds=np.array([trial.fit_seconds / trial.epochs for trial in trained]),
        start_seconds=np.array([trial.task_seconds - trial.fit_seconds for trial in trained]),
    )


def schedule(spec: SearchSpec, tuner: "Tuner | None" = None) -> list[Step]:
    """The trials of a search in the order in which one worker trains them: the longest of those that may start.

    Args:
        spec: of the search.
        tuner: instead of that of the spec.
    """
    import keras_tuner

    space = keras_tuner.HyperParameters()
    space.Float("any", 0, 1)
    proposer = Proposer((tuner or tuners.choose(spec, space)).oracle(spec, space), spec.budget.epochs)
    proposals: list[Proposal] = []
    steps: dict[str, Step] = {}  # by trial id
    waiting: list[Proposal] = []
    started: list[Step] = []

    def propose() -> None:
        while isinstance(proposal := proposer.propose(), Proposal):
            bracket = _bracket(proposal, steps)
            steps[proposal.trial_id] = Step(bracket, proposal.initial_epoch, proposal.epochs)
            proposals.append(proposal)
            waiting.append(proposal)

    propose()
    reported = 0
    while waiting:
        proposal = max(waiting, key=lambda proposal: proposal.epochs - proposal.initial_epoch)
        waiting.remove(proposal)
        started.append(steps[proposal.trial_id])
        while reported < len(proposals) and proposals[reported] not in waiting:  # in order of proposal
            proposer.report(proposals[reported].trial_id, 0.5)
            reported += 1
            propose()
    return started


def _bracket(proposal: Proposal, steps: Mapping[str, Step]) -> int:
    """The bracket of a proposal, after those of `steps`, by trial id."""
    if proposal.parent is not None:
        return steps[proposal.parent].bracket
    new = [step for step in steps.values() if step.initial_epoch == 0]
    # A bracket fills its first rung before the next one begins, whose trials have another length.
    return new[-1].bracket + (new[-1].epochs != proposal.epochs) if new else 0


def simulate(steps: Sequence[Step], pool: Pool, orders: IntArray) -> list[Trace]:
    """Searches whose new candidates are those of the rows of `orders`, shape (searches, new candidates or more)."""
    searches = np.arange(len(orders))
    new = iter(orders.T)
    rungs: dict[tuple[int, int], list[int]] = defaultdict(list)  # by bracket and epochs: numbers of steps
    trained = np.empty((len(steps), len(searches)), dtype=np.int64)  # candidate of each step
    promoted = np.zeros(trained.shape, dtype=bool)
    for number, step in enumerate(steps):
        if step.initial_epoch == 0:
            trained[number] = next(new)
        else:
            rung = np.array(rungs[step.bracket, step.initial_epoch])
            scores = np.where(promoted[rung], -1.0, pool.curves[trained[rung], step.initial_epoch - 1])
            best = rung[scores.argmax(axis=0)]
            promoted[best, searches] = True
            trained[number] = trained[best, searches]
        rungs[step.bracket, step.epochs].append(number)
    lengths = np.array([[step.epochs - step.initial_epoch] for step in steps])
    is_full = np.array([[step.epochs == pool.curves.shape[1]] for step in steps])
    seconds = pool.start_seconds[trained] + lengths * pool.epoch_seconds[trained]
    scores = np.where(is_full, pool.curves[trained, -1], 0.0)
    return [trace(zip(*search, strict=True)) for search in zip(seconds.T, scores.T, strict=True)]


def trace(trials: Iterable[tuple[float, float]]) -> Trace:
    """The search with these trials: core-seconds and score, 0 if the trial is not of full length."""
    seconds, scores = np.array(list(trials)).T
    return Trace(core_seconds=np.cumsum(seconds), best=np.maximum.accumulate(scores))


# Outcomes


def simulated(steps: Sequence[Step], pool: Pool) -> Outcome:
    """Many simulated searches; the standard error is that of drawing the pool, by the bootstrap.

    All tuners have the same bootstrap samples and orders, so that they can be compared within each.
    """
    candidates = np.arange(len(pool.curves))
    means = []
    for sample in range(RESAMPLES):
        random = np.random.default_rng((0, sample))
        drawn = random.choice(candidates, len(candidates))
        searches = simulate(steps, pool, _orders(random, drawn, SIMULATIONS_PER_RESAMPLE))
        means.append(100 * np.mean([search.best[-1] for search in searches]))
    return Outcome(
        traces=tuple(simulate(steps, pool, _orders(np.random.default_rng(1), candidates, SIMULATIONS))),
        epochs=sum(step.epochs - step.initial_epoch for step in steps),
        standard_error=float(np.std(means, ddof=1)),
        freedom=math.inf,
        resampled=np.array(means),
    )


def _orders(random: np.random.Generator, candidates: IntArray, searches: int) -> IntArray:
    return np.array([random.permutation(candidates) for _ in range(searches)])


def measured(searches: Sequence[Sequence[TrialRecord]], epochs: int) -> Outcome:
    """Searches that were run; full-length trials have `epochs`."""
    traces = [
        trace((trial.task_seconds, trial.score if _is_full(trial, epochs) else 0.0) for trial in trials)
        for trials in searches
    ]
    scores = [100 * trace.best[-1] for trace in traces]
    trained = [trial.epochs - trial.initial_epoch for trials in searches for trial in trials if trial.task_seconds]
    return Outcome(
        traces=tuple(traces),
        epochs=sum(trained) / len(searches),
        standard_error=float(np.std(scores, ddof=1)) / math.sqrt(len(scores)) if len(scores) > 1 else math.nan,
        freedom=len(scores) - 1,
    )


def _is_full(trial: TrialRecord, epochs: int) -> bool:
    return trial.status == "ok" and trial.epochs == epochs


def difference(outcome: Outcome, other: Outcome) -> tuple[float, float]:
    """Difference of the mean scores, and the half-width of its confidence interval; NaN if unknown.

    Two simulated tuners are compared within each bootstrap sample of their pool. Otherwise the interval has the fewer
    degrees of freedom of the two, which makes it wider.
    """
    error = math.hypot(outcome.standard_error, other.standard_error)
    if outcome.resampled is not None and other.resampled is not None:
        error = float(np.std(outcome.resampled - other.resampled, ddof=1))
    return float(outcome.scores.mean() - other.scores.mean()), half_width(error, min(outcome.freedom, other.freedom))


def half_width(standard_error: float, freedom: float) -> float:
    """Half-width of a confidence interval by Student's t; NaN without degrees of freedom."""
    return float(stats.t.ppf((1 + LEVEL) / 2, freedom) * standard_error) if freedom else math.nan


def outcomes(searches: Sequence[Stored], budget: Budget) -> dict[str, Outcome]:
    """The outcomes of one family, by tuner; unfinished searches are left out."""
    found = {}
    pool = make_pool(_pool(searches))
    for tuner in SIMULATED:
        steps = schedule(_with_budget(searches[0].spec, tuner, budget))
        if suffices(pool, steps):
            found[tuner] = simulated(steps, pool)
    for tuner in ("grid", *RUN):
        trials = [stored.trials[: budget.trials] for stored in searches if stored.spec.tuner == tuner]
        complete = [each for each in trials if len(each) == budget.trials]
        if complete:
            found[tuner] = measured(complete, budget.epochs)
    return dict(sorted(found.items()))


def suffices(pool: Pool, steps: Sequence[Step]) -> bool:
    """Whether the pool has as many candidates as the search draws."""
    return len(pool.curves) >= sum(step.initial_epoch == 0 for step in steps)


def _pool(searches: Sequence[Stored]) -> tuple[TrialRecord, ...]:
    pools = [stored.trials for stored in searches if stored.spec.tuner == "random"]
    return max(pools, key=len, default=())


def _with_budget(spec: SearchSpec, tuner: str, budget: Budget) -> SearchSpec:
    return msgspec.structs.replace(spec, tuner=tuner, budget=budget)


# Page and plots

METHOD = f"""\
- Random search and Hyperband are simulated on a pool of random candidates, each trained once to full length. The score
  of a shorter trial is taken from the learning curve, which is the same in a search: the learning-rate schedule spans
  the full length. Trials are in the order in which one worker trains them. The interval is that of drawing the pool, by
  {RESAMPLES} bootstrap samples of it, within which the two are compared.
- Bayesian optimization and TPE propose candidates outside any pool, so their searches were run, each with its own seed.
  The interval is by Student's t.
- Grid search needs a budget for every candidate of the space, and is refused otherwise. Here it was ended when the
  budget was spent. It uses no random numbers except for training, so it was run once, which gives no interval.
- The winner is the full-length trial with the best validation accuracy after its last epoch. As the best of several, it
  is biased upwards, most for tuners with the most full-length trials. No search of this page used the test set; the log
  in their folder is of earlier ones.
- Hyperband leaves a part of a small budget unused, since its rungs have whole numbers of trials.
- Core-seconds are those of building and training models and of validation, without the time that a tuner takes for its
  proposals ([scaling.md](scaling.md))."""


def write_page(results: Path, dataset: str, budgets: Mapping[str, Budget]) -> None:
    """Write page and plots of the families of `budgets` from the ledgers in `results`."""
    folders = [folder for folder in all_folders(results) if folder.ledger.exists()]
    stored = [read(folder) for folder in folders if _belongs(folder, dataset, budgets)]
    searches = {family: mine for family in budgets if (mine := [each for each in stored if each.spec.family == family])}
    if not searches:
        raise SystemExit(f"{results} has no search of {', '.join(budgets)} with these budgets: omit --page-only")
    found = {family: outcomes(mine, budgets[family]) for family, mine in searches.items()}
    others = [each for family, mine in searches.items() for each in other_settings(family, mine, budgets[family])]
    for family, by_tuner in found.items():
        numbers = [[(name, *map(_arrays, outcome.traces)) for name, outcome in by_tuner.items()]]
        image = picture(f"tuners of {family}", numbers, partial(_draw, family, by_tuner))
        write_atomic(results.with_name(f"{results.name}-{family}.png"), image.png())
    publish(results.with_suffix(".md"), _page(results.name, searches, found, others, budgets))


def _arrays(trace: Trace) -> list[list[float]]:
    return [trace.core_seconds.tolist(), trace.best.tolist()]


def _belongs(folder: RunFolder, dataset: str, budgets: Mapping[str, Budget]) -> bool:
    spec = folder.read_spec()
    if not isinstance(spec, SearchSpec) or (spec.dataset, spec.protocol) != (dataset, PROTOCOL_VERSION):
        return False
    budget = budgets.get(spec.family)
    return budget is not None and replace(spec.budget, trials=budget.trials) == budget


def _draw(family: str, by_tuner: Mapping[str, Outcome]) -> Figure:
    figure = Figure(figsize=(8, 4.8), layout="constrained")
    axes = figure.subplots()
    end = max(float(trace.core_seconds[-1]) for outcome in by_tuner.values() for trace in outcome.traces)
    seconds = np.linspace(0, end, 400)
    ends = {}
    for tuner, outcome in by_tuner.items():
        low, middle, high = quantiles(outcome.traces, seconds)
        color = TUNER_COLORS[tuner]
        axes.fill_between(seconds, low, high, color=color, alpha=0.1, linewidth=0)
        axes.plot(seconds, middle, color=color)
        ends[f"{tuner}, {len(outcome.traces):,}"] = (end, middle[-1])
    lowest = min(float(np.median(outcome.scores)) for outcome in by_tuner.values())
    highest = max(float(outcome.scores.max()) for outcome in by_tuner.values())
    axes.set(
        xlabel="core-seconds",
        ylabel="best validation accuracy so far (%)",
        xlim=(0, end),
        ylim=(lowest - 1.5, highest + 0.1),
    )
    plain_axes(axes)
    figure.suptitle(f"{family}: best validation accuracy by tuner, with the number of searches", fontsize=11)
    figure.draw_without_rendering()  # so that the axes have their final height
    label_ends(axes, ends)
    return figure


def quantiles(traces: Sequence[Trace], seconds: FloatArray) -> FloatArray:
    """5th, 50th and 95th percentile of the best score in % so far, shape (3, times); NaN before there is one."""
    best = [np.append(0.0, trace.best)[np.searchsorted(trace.core_seconds, seconds, side="right")] for trace in traces]
    # An observed value, since the mean of a score and of none is meaningless.
    percent = 100 * np.quantile(best, (0.05, 0.5, 0.95), axis=0, method="inverted_cdf")
    return np.where(percent > 0, percent, np.nan)


def _page(
    name: str,
    searches: Mapping[str, Sequence[Stored]],
    found: Mapping[str, Mapping[str, Outcome]],
    others: Sequence[Settings],
    budgets: Mapping[str, Budget],
) -> str:
    return page(
        "# Choice of tuner",
        "\n".join(line for family, mine in searches.items() for line in _facts(family, mine, budgets[family])),
        table(row for family, by_tuner in found.items() for row in _rows(family, by_tuner)),
        "\n".join(line for family, by_tuner in found.items() for line in _conclusion(family, by_tuner)),
        *(f"![Best validation accuracy of {family} by core-seconds]({name}-{family}.png)" for family in found),
        (
            "Best score of a full-length trial so far by core-seconds: median and 5th to 95th percentile of the "
            "searches; the table has means. Scores below the axis are not shown."
        ),
        "## Larger budgets and other numbers of rungs",
        (
            "Hyperband with other factors, by which the epochs of a rung exceed those of the previous one, and larger "
            "budgets with trials of the same length; all are simulated on the pool. Differences are from Hyperband "
            "with factor 3, the default, and the same budget; intervals are not adjusted for multiple comparisons."
        ),
        table(row for settings in others for row in _settings_rows(settings)),
        "\n".join(
            f"- {settings.family}, {settings.budget.total_epochs} epochs, compared with {DEFAULT_SETTING}: "
            f"{_shown(settings.outcomes, DEFAULT_SETTING)}."
            for settings in others
        ),
        "## Method",
        METHOD,
        f"Generated by `python tests/benchmarks/{NAME}.py` from the ledgers in [{name}]({name}).",
    )


def _rows(family: str, by_tuner: Mapping[str, Outcome]) -> Iterator[dict[str, str]]:
    for tuner, outcome in by_tuner.items():
        scores, is_simulated = outcome.scores, tuner in SIMULATED
        yield {
            "family": family,
            "tuner": tuner,
            "searches": f"{len(scores):,} {'simulated' if is_simulated else 'run in full'}",
            "validation accuracy of the winner, mean (%)": f"{scores.mean():.2f}",
            "5th percentile (%)": f"{np.quantile(scores, 0.05):.2f}" if is_simulated else "-",
            "95% CI of the mean": _plus_minus(half_width(outcome.standard_error, outcome.freedom)),
            f"difference from {DEFAULT_TUNER} (pp)": _difference(by_tuner, tuner),
            "epochs": f"{outcome.epochs:,.0f}",
            "core-seconds": f"{outcome.core_seconds:,.0f}",
        }


def other_settings(family: str, searches: Sequence[Stored], budget: Budget) -> Iterator[Settings]:
    """Simulated searches with larger budgets and other factors; without those that draw more than the pool has."""
    from bench.tuning.tuners.hyperband import Hyperband

    pool = make_pool(_pool(searches))
    for times in (1, *LARGER):
        larger = replace(budget, trials=times * budget.trials)
        hyperband, random = (_with_budget(searches[0].spec, tuner, larger) for tuner in SIMULATED)
        schedules = {"random": schedule(random)}
        for factor in FACTORS:
            with suppress(SearchError):  # the budget is below one iteration
                schedules[f"hyperband with factor {factor}"] = schedule(hyperband, Hyperband(factor))
        kept = {name: steps for name, steps in schedules.items() if suffices(pool, steps)}
        yield Settings(
            family=family,
            budget=larger,
            rungs={name: rungs(steps) for name, steps in kept.items()},
            outcomes={name: simulated(steps, pool) for name, steps in kept.items()},
        )


def _settings_rows(settings: Settings) -> Iterator[dict[str, str]]:
    for name, outcome in settings.outcomes.items():
        yield {
            "family": settings.family,
            "budget (epochs)": f"{settings.budget.total_epochs:,}",
            "tuner": name,
            "rungs": str(settings.rungs[name]),
            "epochs": f"{outcome.epochs:,.0f}",
            "validation accuracy of the winner, mean (%)": f"{outcome.scores.mean():.2f}",
            "95% CI of the mean": _plus_minus(half_width(outcome.standard_error, outcome.freedom)),
            f"difference from {DEFAULT_TUNER} (pp)": _difference(settings.outcomes, name, DEFAULT_SETTING),
        }


def rungs(steps: Iterable[Step]) -> int:
    """Number of rungs of the bracket that has the most."""
    lengths = defaultdict(set)
    for step in steps:
        lengths[step.bracket].add(step.epochs)
    return max(map(len, lengths.values()))


def _plus_minus(half: float) -> str:
    return "-" if math.isnan(half) else f"±{half:.2f}"


def _difference(by_tuner: Mapping[str, Outcome], tuner: str, default: str = DEFAULT_TUNER) -> str:
    if tuner == default or default not in by_tuner:
        return "-"
    mean, half = difference(by_tuner[tuner], by_tuner[default])
    return f"{mean:+.2f}" if math.isnan(half) else f"{mean:+.2f} ({mean - half:+.2f} to {mean + half:+.2f})"


def _facts(family: str, searches: Sequence[Stored], budget: Budget) -> Iterator[str]:
    machines = " and ".join(sorted({machine for stored in searches for machine in stored.machines}))
    spec, trained = searches[0].spec, _pool(searches)
    failed = sum(trial.status != "ok" for trial in trained)
    plans = {preset: PLANS.get((spec.dataset, family, preset)) for preset in PRESETS}
    preset = "".join(f"preset {name}, " for name, plan in plans.items() if plan is not None and plan.budget == budget)
    yield (
        f"- {family} on {searches[0].dataset.title}: budget of {preset}{budget.total_epochs} epochs ({budget.trials} "
        f"trials of {budget.epochs} epochs) in {spec.precision}; pool of {len(trained)} candidates, {failed} of which "
        f"failed; on {machines}."
    )
    for stored in searches:
        if stored.spec.tuner == "grid" and len(stored.trials) >= budget.trials:
            trials = stored.trials[: budget.trials]
            names = {name: None for trial in trials for name in trial.values}
            varied = [name for name in names if len({trial.values.get(name) for trial in trials}) > 1]
            yield (
                f"- {family}, grid: {budget.trials} of {stored.spec.budget.trials:,} candidates fit into the budget; "
                f"they differ only in {', '.join(varied)}."
            )


def _conclusion(family: str, by_tuner: Mapping[str, Outcome]) -> Iterator[str]:
    """Which tuners are better or worse than the default, and which has the highest mean."""
    if DEFAULT_TUNER in by_tuner:
        yield f"- {family}, compared with the default, {DEFAULT_TUNER}: {_shown(by_tuner, DEFAULT_TUNER)}."
    best = max(by_tuner, key=lambda tuner: by_tuner[tuner].scores.mean())
    compared = "the default" if best == DEFAULT_TUNER else f"difference from the default: {_difference(by_tuner, best)}"
    yield f"- {family}: {best} has the highest mean, {by_tuner[best].scores.mean():.2f}% ({compared})."


def _shown(by_tuner: Mapping[str, Outcome], default: str) -> str:
    shown = {"better": list[str](), "worse": list[str]()}
    for tuner, outcome in by_tuner.items():
        mean, half = difference(outcome, by_tuner[default])
        if tuner != default and abs(mean) > half:
            shown["better" if mean > 0 else "worse"].append(tuner)
    return "; ".join(f"{joined(tuners) or 'no tuner'} is shown to be {how}" for how, tuners in shown.items())


def main(arguments: argparse.Namespace) -> None:
    """Run what is missing, then write page and plots."""
    location = locate(arguments.dataset)
    budgets = {
        family: choose_plan(arguments.preset, search_spaces.locate(family), location).budget
        for family in arguments.families
    }
    if not arguments.page_only:
        options = Options(results=arguments.results, dataset=location, workers=usable_cores())
        by_family = [
            list(jobs(family, location, budget, arguments.pool, arguments.searches))
            for family, budget in budgets.items()
        ]
        # The families in turn, so that a part of the work shows something about each of them.
        waiting = [job for turn in zip_longest(*by_family) for job in turn if job is not None]
        train(waiting, options, 60 * arguments.minutes)
    write_page(arguments.results, location.name, budgets)


if __name__ == "__main__":
    parser = page_parser(__doc__)
    parser.add_argument("--families", nargs="+", default=["dense", "cnn"])
    parser.add_argument("--dataset", default="fashion_mnist")
    parser.add_argument("--preset", default="default", choices=PRESETS, help="names the budget of a search")
    parser.add_argument("--pool", type=int, default=160, help="random candidates of each family")
    parser.add_argument("--searches", type=int, default=5, help="of each family by bayesian and by tpe")
    parser.add_argument("--minutes", type=float, default=math.inf, help="end after this time")
    parser.add_argument("--results", type=Path, default=Path("results/benchmarks/tuners"), help="folder of ledgers")
    main(parser.parse_args())
