"""Digests of code: what counts as the same code, and which files a family consists of."""

import ast
import hashlib
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_NOT_CODE = ("ctx", "kind", "type_comment", "type_ignores")  # fields without meaning of their own


def code_digest(*files: Path | str) -> str:
    """Twelve hexadecimal digits that change with the code in `files`, the same in every version of Python.

    Comments, docstrings and layout do not count, so that a better explanation does not make a family another one.

    Raises:
        SyntaxError: a file is not Python.
    """
    digest = hashlib.sha256()
    for file in files:
        for text in _canonical(_parse(Path(file))):
            content = text.encode("utf-8", "surrogatepass")
            digest.update(b"%d:%b" % (len(content), content))
    return digest.hexdigest()[:12]


def canonical_source(source: str) -> str:
    """The code in `source` without comments, docstrings and layout, as `code_digest` compares it.

    Raises:
        SyntaxError: it is not Python.
    """
    return "\n".join(_canonical(ast.parse(source)))


def module_files(modules: Sequence[str], folders: Mapping[str, Sequence[str]]) -> dict[str, Path]:
    """Module name to file, of `modules` and of all that they import from `folders`; imports none of them.

    Args:
        modules: dotted names.
        folders: package name ("" for none) to the folders of its modules.

    Raises:
        SyntaxError: a file is not Python.
    """
    files: dict[str, Path] = {}
    queue = list(modules)
    while queue:
        module = queue.pop()
        file = _find(module, folders)
        if file is not None and module not in files:
            files[module] = file
            package = module if file.name == "__init__.py" else module.rpartition(".")[0]
            queue.extend(_imported(_parse(file), package))
    return files


def package_folders(module: str) -> dict[str, list[str]]:
    """The innermost package of `module` (itself, where it is one) to its folders; imports none of them.

    Raises:
        ValueError: it cannot be found.
    """
    package, *rest = module.split(".")
    spec = importlib.util.find_spec(package)
    if spec is None:
        raise ValueError(f"there is no module {package!r}")
    if spec.submodule_search_locations is None:
        return {"": [str(Path(spec.origin or "").parent)]}
    folders = list(spec.submodule_search_locations)
    for name in rest:
        inner = [str(path) for folder in folders if (path := Path(folder, name)).is_dir()]
        if inner:
            package, folders = f"{package}.{name}", inner
    return {package: folders}


def imported_modules(file: Path) -> tuple[str, ...]:
    """Names of modules that a file outside any package may import; some of the names are no modules.

    Raises:
        SyntaxError: the file is not Python.
    """
    return tuple(_imported(_parse(file), ""))


def _parse(file: Path) -> ast.Module:
    return ast.parse(file.read_bytes(), str(file))


def _canonical(node: ast.AST) -> Iterator[str]:
    """The code below `node` as texts; not `ast.dump`, whose output depends on the version of Python."""
    yield type(node).__name__
    for name, value in sorted(ast.iter_fields(node)):
        items = list(value) if isinstance(value, list) else [value]
        if name == "body" and isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            del items[0]
        if isinstance(node, ast.JoinedStr):
            # Python 3.12 ends some format specifications with an empty string.
            items = [item for item in items if not (isinstance(item, ast.Constant) and item.value == "")]
        # An empty field does not count: newer versions have fields that older ones lack.
        if name not in _NOT_CODE and value is not None and items:
            yield name
            for item in items:
                if isinstance(item, ast.AST):
                    yield from _canonical(item)
                else:
                    yield f"{type(item).__name__} {item if isinstance(item, str) else repr(item)}"
            yield "end"
    yield "end"


def _imported(tree: ast.Module, package: str) -> Iterator[str]:
    """Modules that the code may import, packages above them included; some of the names are no modules."""
    for node in ast.walk(tree):
        modules: list[str] = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: 1 - node.level or None] if node.level else []
            base = ".".join(filter(None, [*above, node.module]))
            modules = [f"{base}.{alias.name}" for alias in node.names]
        for module in modules:
            parts = module.split(".")
            yield from (".".join(parts[:length]) for length in range(1, len(parts) + 1))


def _find(module: str, folders: Mapping[str, Sequence[str]]) -> Path | None:
    """The file of `module`, where it is Python code in one of `folders`."""
    for package, places in folders.items():
        if package == "":
            # A lone module may lie next to all installed packages; it consists of lone modules itself.
            candidates = [Path(place, f"{module}.py") for place in places if "." not in module]
        elif module == package:
            # The __init__.py of this package finds families and is part of none.
            candidates = [Path(place, "__init__.py") for place in places if package != __package__]
        elif module.startswith(f"{package}."):
            path = module.removeprefix(f"{package}.").replace(".", "/")
            candidates = [Path(place, name) for place in places for name in (f"{path}.py", f"{path}/__init__.py")]
        else:
            continue
        for file in candidates:
            if file.is_file():
                return file
    return None
