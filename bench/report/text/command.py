"""Commands on a dataset, in Markdown."""


def command_on(dataset: str, words: str) -> str | None:
    """A command with `words` on a dataset, as Markdown; None for arrays, which no command reads."""
    from bench.data import catalog  # here, since the rest is needed by every command

    if dataset == "arrays":
        return None
    if dataset in catalog.names():
        return f"`python -m bench {words} --dataset {dataset}`"
    return f"`python -m bench {words} --dataset PATH` (with the options of your runs, such as `--image-size`)"
