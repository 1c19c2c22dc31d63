"""bench serve: the pages over HTTP on this machine, with the progress of runs."""

import webbrowser
from threading import Thread
from typing import Annotated

import typer

from bench.cli.help import Command
from bench.cli.options import Results
from bench.command import DEFAULT_RESULTS

serve_app = typer.Typer()


@serve_app.command(
    cls=Command,
    rich_help_panel="Results",
    epilog="Examples:\n  bench serve\n  bench serve --port 8000 --open",
)
def serve(
    results: Results = DEFAULT_RESULTS,
    port: Annotated[
        int, typer.Option(metavar="N", min=0, max=65535, show_default="a free one", help="Port on 127.0.0.1.")
    ] = 0,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Show the pages in a browser, and runs while they train.

    The first page lists unfinished runs, or waits for one: trials as they finish, the best score so far, and the time
    left. The other pages follow the records. Only programs on this machine can connect. Stop it with Ctrl-C.
    """
    from bench.live.server import Server
    from bench.records.files import require_no_file

    require_no_file(results)
    if not results.is_dir():
        typer.echo(f"There is no folder {results} yet: waiting for a run", err=True)
    typer.echo(f"Generating the pages of {results}", err=True)  # takes seconds
    with Server(results, port) as server:
        typer.echo(f"{server.url} (stop with Ctrl-C)")
        if open_browser:
            # Meanwhile, since some browsers, such as w3m, return only when they have shown the page.
            Thread(target=open_url, args=(server.url,), daemon=True).start()
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            typer.echo("stopped", err=True)


def open_url(url: str) -> None:
    """Open `url` in the browser, or say that there is none."""
    if not webbrowser.open(url):
        typer.echo(f"No browser was found. Open {url}", err=True)
