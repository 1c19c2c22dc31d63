"""Checks of a user's file that say what is wrong before anything is imported or trained."""

import ast
from pathlib import Path

TUNERS = ("BayesianOptimization", "GridSearch", "Hyperband", "RandomSearch", "Tuner")  # of Keras Tuner


def check_file(file: Path, where: str, attribute: str, expected: str) -> None:
    """Check that a file could define an object, and does not start a search when imported.

    Args:
        file: the file.
        where: the file, as the user wrote it.
        attribute: name of the object, possibly dotted; empty if the user gave none.
        expected: what would be right, if the file suggests nothing better.

    Raises:
        ValueError: it does not.
        SyntaxError: it is not valid Python.
    """
    statements = _top_level(ast.parse(file.read_bytes(), str(file)).body)
    defined = {name for node in statements for name in _bound(node)}
    if "*" not in defined and attribute.partition(".")[0] not in defined:
        problem = f"defines no {attribute!r}" if attribute else "needs the name of an object in it"
        likely = " or ".join(f"{where}:{name}" for name in _likely(statements))
        raise ValueError(f"{where} {problem}{f'; it defines {likely}' if likely else f': {expected}'}")
    if (call := _search_call(statements)) is not None:
        raise ValueError(
            f"{where} starts a search when it is imported (line {call.lineno}: {ast.unparse(call.func)}): move it "
            'below `if __name__ == "__main__":`'
        )


def _top_level(body: list[ast.stmt]) -> list[ast.stmt]:
    """The statements that run when the module is imported, including those in blocks."""
    found: list[ast.stmt] = []
    for node in body:
        found.append(node)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if isinstance(node, ast.If) and "__name__" in ast.unparse(node.test):
            continue
        for block in ("body", "orelse", "finalbody"):
            found += _top_level(getattr(node, block, []))
        for handler in getattr(node, "handlers", []):
            found += _top_level(handler.body)
    return found


def _bound(node: ast.stmt) -> list[str]:
    """The names that a statement binds, "*" for unknown ones."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [alias.asname or alias.name.partition(".")[0] for alias in node.names]
    return [each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)]


def _likely(statements: list[ast.stmt]) -> list[str]:
    """Names of what may be a family: classes with a base, and functions of `hp`."""
    classes = [node.name for node in statements if isinstance(node, ast.ClassDef) and node.bases]
    functions = [node for node in statements if isinstance(node, ast.FunctionDef)]
    return [*classes, *(node.name for node in functions if [each.arg for each in node.args.args[:1]] == ["hp"])]


def _search_call(statements: list[ast.stmt]) -> ast.Call | None:
    """A call of `search` on a tuner of Keras Tuner, if a statement contains one."""
    simple = [node for node in statements if not hasattr(node, "body")]
    calls = [each for node in simple for each in ast.walk(node) if isinstance(each, ast.Call)]
    tuners = {ast.unparse(call) for call in calls if ast.unparse(call.func).rpartition(".")[2] in TUNERS}
    for node in simple:
        if isinstance(node, ast.Assign) and ast.unparse(node.value) in tuners:
            tuners |= set(_bound(node))
    searches = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "search"]
    return next((call for call in searches if ast.unparse(call.func).removesuffix(".search") in tuners), None)
