"""Checks of a user's file that say what is wrong before anything is imported or trained."""

import ast
from pathlib import Path

TUNERS = ("BayesianOptimization", "GridSearch", "Hyperband", "RandomSearch", "Tuner")  # of Keras Tuner
TRAINING = ("fit", "search")  # methods that train, if they are called with one of the following arguments
TRAINING_ARGUMENTS = ("epochs", "validation_data", "validation_split")


def check_file(file: Path, where: str, attribute: str, expected: str) -> None:
    """Check that a file could define an object, and does not train when it is imported.

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
    if (call := _training_call([*statements, *_called(statements)])) is not None:
        function = ast.unparse(call.func)
        does = "starts a search" if function.endswith(".search") else "trains a model"
        raise ValueError(
            f"{where} {does} when it is imported (line {call.lineno}: {function}): move it below "
            '`if __name__ == "__main__":`'
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


def _called(statements: list[ast.stmt]) -> list[ast.stmt]:
    """The statements of the functions that statements call, such as main()."""
    names = {ast.unparse(call.func) for call in _calls(statements)}
    functions = [node for node in statements if isinstance(node, ast.FunctionDef) and node.name in names]
    return [each for function in functions for each in _top_level(function.body)]


def _training_call(statements: list[ast.stmt]) -> ast.Call | None:
    """A call of `search` on a tuner of Keras Tuner, or one that trains a model, if a statement contains one."""
    calls = _calls(statements)
    tuners = {ast.unparse(call) for call in calls if ast.unparse(call.func).rpartition(".")[2] in TUNERS}
    for node in statements:
        if isinstance(node, ast.Assign) and ast.unparse(node.value) in tuners:
            tuners |= set(_bound(node))
    return next((call for call in calls if _trains(call, tuners)), None)


def _trains(call: ast.Call, tuners: set[str]) -> bool:
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in TRAINING:
        return False
    is_search = call.func.attr == "search" and ast.unparse(call.func.value) in tuners
    return is_search or any(each.arg in TRAINING_ARGUMENTS for each in call.keywords)


def _calls(statements: list[ast.stmt]) -> list[ast.Call]:
    """The calls in statements, without those in blocks, which are statements of their own."""
    simple = [node for node in statements if not hasattr(node, "body")]
    return [each for node in simple for each in ast.walk(node) if isinstance(each, ast.Call)]
