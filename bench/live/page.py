"""The page that shows unfinished runs; its script fetches it again every few seconds."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.resources import files
from pathlib import Path

from bench.command import command
from bench.evaluation.text import duration, percent, seconds
from bench.live.progress import RunProgress, UnreadableRun
from bench.records.objective import score_name
from bench.records.record import TrialRecord
from bench.records.spec import SearchSpec
from bench.report.html.body import Body
from bench.report.markdown import environment
from bench.report.tables.hyperparameters import candidate_text

PAGE, SCRIPT = "live.html", "live.js"
SHOWN_TRIALS = 20
WIDTH, HEIGHT = 640, 160  # of the chart, in the units of its view box
MARGIN = 12  # around the dots


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """A trial in the chart."""

    x: float
    y: float
    is_best: bool
    text: str


def script() -> bytes:
    """The script of the page."""
    return files(__package__).joinpath("assets", SCRIPT).read_bytes()


def live_page(results: Path, runs: Sequence[RunProgress | UnreadableRun]) -> Body:
    """The page of the runs of a results folder as it is now."""
    html = (
        environment(__package__ or "", escape=True)
        .get_template("live.html.j2")
        .render(
            runs=[run for run in runs if isinstance(run, RunProgress)],
            unreadable=[run for run in runs if isinstance(run, UnreadableRun)],
            now=datetime.now(UTC),
            facts=facts,
            dots=dots,
            range_text=range_text,
            trial_rows=trial_rows,
            size=(WIDTH, HEIGHT),
            results=results,
            serve_command=command(results, "serve"),
            run_command=command(results, "run", "--family", "cnn"),
            resume_command=partial(command, results, "resume"),
        )
    )
    return Body(title="Live", html=html, script=SCRIPT)


def facts(run: RunProgress) -> dict[str, str]:
    """What the page says about a run, by name."""
    spec, best = run.spec, run.best
    search = {}
    if isinstance(spec, SearchSpec):
        planned = "" if run.planned_trials is None else f" of {run.planned_trials}"
        failed = sum(trial.status == "failed" for trial in run.trials)
        search = {
            "trials": f"{run.ended_trials}{planned}" + (f" ({failed} failed)" if failed else ""),
            "epochs (completed trials)": f"{run.epochs} of {run.planned_epochs}",
            f"best {score_name(spec)}": "no score yet" if best is None else f"{percent(best.score)}%",
        }
    left = "unknown" if run.seconds_left is None else f"about {duration(run.seconds_left)}"
    return {
        "stage": run.stage if run.is_running else f"{run.stage}, interrupted",
        **search,
        "refits": f"{run.refits} of {spec.refit_seeds}",
        **({"time left": left} if run.is_running else {}),
        "last event": f"{duration(run.idle_seconds)} ago",
    }


def dots(run: RunProgress) -> list[Dot]:
    """Scores by the order in which trials ended, lowest to highest over the height of the chart."""
    scored = [(place, trial) for place, trial in enumerate(run.trials) if trial.status == "ok"]
    low = min((trial.score for _, trial in scored), default=0.0)
    height = max((trial.score for _, trial in scored), default=0.0) - low
    step = (WIDTH - 2 * MARGIN) / max(1, len(run.trials) - 1)
    return [
        Dot(
            x=round(MARGIN + place * step, 1),
            y=round(HEIGHT - MARGIN - (trial.score - low) / (height or 1) * (HEIGHT - 2 * MARGIN), 1),
            is_best=trial is run.best,
            text=f"trial {trial.trial_id}: {percent(trial.score)}%",
        )
        for place, trial in scored
    ]


def range_text(run: RunProgress) -> str:
    """The scores at the bottom and the top of the chart."""
    scores = [trial.score for trial in run.trials if trial.status == "ok"]
    return f", from {percent(min(scores))}% to {percent(max(scores))}%" if scores else ""


def trial_rows(run: RunProgress) -> list[tuple[str, ...]]:
    """The newest trials, newest first: id, score, epochs, seconds, hyperparameters."""
    return [
        (trial.trial_id, _result(trial), str(trial.epochs), seconds(trial.task_seconds), candidate_text(trial))
        for trial in run.trials[: -SHOWN_TRIALS - 1 : -1]
    ]


def _result(trial: TrialRecord) -> str:
    return percent(trial.score) if trial.status == "ok" else "failed" if trial.status == "failed" else "cut short"
