"""The page of unfinished runs in a real browser, while a ledger grows."""

from pathlib import Path

import pytest

from bench.records.ledger import TrialEnded
from bench.records.store import now
from browser import chromium, page
from builders import add_run, make_predictions, make_run, make_spec, make_trial, write_unfinished_run
from served import serving

pytestmark = pytest.mark.slow


def test_page_shows_new_trials_without_a_reload_and_notices_the_end_of_the_server(tmp_path: Path) -> None:
    spec, predictions, problems = make_spec(family="cnn"), make_predictions(), list[str]()
    add_run(tmp_path)
    record = make_run(predictions, spec=spec)
    with chromium() as browser, serving(tmp_path) as server, page(browser, server.url, problems) as opened:
        opened.evaluate("window.notReloaded = true")
        assert "waiting for one" in opened.locator("#live").inner_text()
        folder = write_unfinished_run(tmp_path, spec, record, refits=0)
        # 6 epochs of trials, of 12 and 3 refits of 3 epochs, which cost 1.2 of a trial each.
        opened.get_by_text("26% of the planned training, search and refits together").wait_for()
        best = opened.locator("dt", has_text="best validation accuracy").locator("+ dd")
        assert best.inner_text() == "91.00%"
        opened.locator(".table.live").focus()
        folder.append(TrialEnded(time=now(), trial=make_trial(3, 0.93)))
        opened.get_by_text("93.00%").first.wait_for()
        assert best.inner_text() == "93.00%"
        assert opened.locator(".table.live:focus").count() == 1
        assert opened.locator("circle").count() == 3  # one of the four trials failed
        folder.write_predictions(predictions)
        folder.write_record(record)
        opened.get_by_text("No unfinished run").wait_for()
        assert opened.evaluate("window.notReloaded")
        assert problems == []
        server.shutdown()
        server.server_close()
        command = f"python -m bench serve --results {tmp_path} --port {server.server_port}"
        opened.get_by_text(f"Start it again with {command}.").wait_for()
