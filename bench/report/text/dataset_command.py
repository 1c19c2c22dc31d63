"""Commands on a dataset, in Markdown."""

from bench.data import catalog


def command_on(dataset: str, words: str) -> str | None:
    """A command with `words` on a dataset, as Markdown; None for arrays, which no command reads."""
    if dataset == "arrays":
        return None
    if dataset in catalog.names():
        return f"`python -m bench {words} --dataset {dataset}`"
    return f"`python -m bench {words} --dataset PATH` (with the options of your runs, such as `--image-size`)"
