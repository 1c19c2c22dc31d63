"""What is shown during a run: events as lines, the remaining time, and less or more of it."""

import io
from dataclasses import replace

import pytest

from bench.cli.progress import display
from bench.evaluation.text import duration
from bench.execution.events import Detail, Message, Progress
from bench.execution.steady_time import SteadyTime

PROGRESS = Progress(
    key="run",
    run="digits cnn",
    stage="search",
    trials=2,
    trials_total=5,
    failed=1,
    epochs=6,
    epochs_total=15,
    best="validation accuracy 92.24%",
    seconds_left=125.0,
)


def shown(*, quiet: bool = False, verbose: bool = False) -> str:
    stream = io.StringIO()
    with display(stream, quiet=quiet, verbose=verbose) as report:
        for event in (Message(text="a message"), Detail(text="a detail"), PROGRESS):
            report(event)
    return stream.getvalue()


def test_messages_and_progress_are_lines() -> None:
    assert shown() == (
        "[0:00] a message\n"
        "[0:00] digits cnn: search, trials 2 of 5 (1 failed), epochs 6 of 15, best validation accuracy 92.24%, "
        "time left 2:05\n"
    )


class Terminal(io.StringIO):
    """A stream that can be redrawn."""

    def isatty(self) -> bool:
        return True


def test_brackets_are_shown_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with display(stream, verbose=True) as report:
        report(Message(text="reading photos[raw] in [/data]"))
        report(Detail(text="trial failed on [/job:localhost]"))
        report(replace(PROGRESS, run="[b] net"))
    for text in ("reading photos[raw] in [/data]", "trial failed on [/job:localhost]", "[b] net"):
        assert text in stream.getvalue()


def test_runs_of_the_same_model_have_their_own_lines_and_remaining_times() -> None:
    stream = io.StringIO()
    with display(stream) as report:
        report(PROGRESS)
        report(replace(PROGRESS, key="another run", seconds_left=3785.0))
    assert [line.rpartition(" ")[2] for line in stream.getvalue().splitlines()] == ["2:05", "1:03:05"]


def test_verbose_shows_details_too() -> None:
    assert "[0:00] a detail\n" in shown(verbose=True)


def test_quiet_shows_nothing() -> None:
    assert shown(quiet=True) == ""


@pytest.mark.parametrize(
    ("estimate", "expected"),
    [
        (50, 50),  # as expected after ten seconds
        (300, 100),  # at most twice as much
        (10, 25),  # at least half as much
        (None, None),
    ],
)
def test_remaining_time_changes_at_most_by_a_factor_of_two(estimate: float | None, expected: float) -> None:
    clock = iter([0.0, 10.0])
    time = SteadyTime(lambda: next(clock))
    assert time.update(60) == 60
    assert time.update(estimate) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (5, 95 * 2**0.5),  # half of the ten seconds in which it may double
        (40, 120),  # 60 seconds were left; more time between updates permits no larger change
    ],
)
def test_remaining_time_changes_less_in_a_short_time_and_not_more_in_a_long_one(
    seconds: float, expected: float
) -> None:
    clock = iter([0.0, seconds])
    time = SteadyTime(lambda: next(clock))
    time.update(100)
    assert time.update(1000) == pytest.approx(expected)


def test_remaining_time_that_ran_out_grows_again() -> None:
    clock = iter([0.0, 10.0, 20.0])
    time = SteadyTime(lambda: next(clock))
    time.update(5)
    # Ten seconds, doubled in each ten seconds.
    assert time.update(60) == 20
    assert time.update(60) == 20


@pytest.mark.parametrize(("seconds", "text"), [(5.9, "0:05"), (185, "3:05"), (3785, "1:03:05")])
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text
