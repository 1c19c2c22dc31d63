"""A real run and a server of its results folder, over real HTTP."""

import re
import time
from pathlib import Path

import pytest

from command_line import SECONDS, started
from served import get, serving
from whole_runs import DIGITS

pytestmark = pytest.mark.slow


def test_run_is_shown_while_it_trains_and_its_page_when_it_is_finished(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    search = ("--tuner", "random", "--trials", "6", "--epochs", "5", "--refit-seeds", "1", "--workers", "1")
    shown: list[dict[str, str]] = []
    with serving(tmp_path / "results") as server, started(*DIGITS, "--family", "tiny", *search, cwd=tmp_path) as run:
        until = time.monotonic() + SECONDS
        while run.process.poll() is None and time.monotonic() < until:
            status, _, content = get(server, "/live.html")
            assert status == 200
            shown.append(dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", content.decode())))
            time.sleep(0.3)
        assert run.process.returncode == 0, run.text
        status, _, content = get(server, "/digits/tiny.html")
        assert status == 200
        assert b"Test accuracy" in content
        assert b"No unfinished run" in get(server, "/live.html")[2]
    facts = [each for each in shown if each]
    numbers = [tuple(map(int, re.findall(r"\d+", each["trials"]))) for each in facts]
    trials = [each[:2] for each in numbers if len(each) > 1]  # the total is not known at first
    assert {total for _, total in trials} == {6}
    assert trials == sorted(trials)
    assert len(set(trials)) > 3
    assert {"search", "refit"} <= {each["stage"] for each in facts}
    assert any(re.fullmatch(r"\d+\.\d\d%", each["best validation accuracy"]) for each in facts)
    assert any(re.fullmatch(r"about \d+:\d\d", each["time left"]) for each in facts)
