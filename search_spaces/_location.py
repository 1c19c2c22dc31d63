"""Where the code of a family is: a file or a module, and an object in it; found and read without importing Keras."""

import importlib
import importlib.util
import pickle
import re
import sys
from dataclasses import dataclass
from functools import reduce
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

from search_spaces._digest import code_digest, imported_modules, module_files, package_folders
from search_spaces._file_checks import check_file

# Names of objects that say nothing: the file or the module names the family instead.
GENERIC = (
    *("build", "build_hypermodel", "build_model", "builder", "create_model", "get_model", "hyper_model", "hypermodel"),
    *("make_model", "model", "model_builder", "tune_model"),
)
DIGEST_LENGTH = 8  # of a file's path, in the name of its module if the plain one is taken
CONTENT = "__content__"  # of the file of an imported module, which may be edited while a notebook is open
EXAMPLES = "my.py:build_model or package.module:MyHyperModel"
NOTEBOOK = "call bench.run(build_model, ...) in the notebook, or move the function to a file such as my.py"
PICKLED = ".pkl"  # suffix of the file of an object of a script or a notebook; its stem is the digest of its code


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyLocation:
    """A family, and where its code is."""

    name: str  # in run folders and tables: letters, digits and _
    definition: str | None = None  # file name or module, and object: my.py:build_model; None for a family known by name
    file: str | None = None  # absolute path of the file, or of a PICKLED object; None for a module or a name

    @property
    def where(self) -> str:
        """The file or the module."""
        return self.file or (self.definition or self.name).rpartition(":")[0]

    @property
    def attribute(self) -> str:
        """The object in it."""
        return (self.definition or "").rpartition(":")[2]

    @property
    def is_pickled(self) -> bool:
        """Whether it was an object of a script or a notebook."""
        return self.file is not None and self.file.endswith(PICKLED)

    @property
    def text(self) -> str:
        """The family as `locate` takes it, in any working folder."""
        return self.name if self.definition is None else f"{self.name}={self.where}:{self.attribute}"


def is_definition(text: str) -> bool:
    """Whether `text` says where a family is, rather than its name."""
    return ":" in text or "=" in text or _is_path(text)


def locate(text: str) -> FamilyLocation:
    """Locate a family by `my.py:build_model`, `package.module:Object`, or one of these after `name=`.

    Nothing is imported.

    Raises:
        ValueError: there is no such file, module or object, or it has no valid name.
        SyntaxError: the file is not valid Python.
    """
    name, where, attribute = _parts(text)
    if _is_path(where):
        file = Path(where).expanduser().resolve()
        if file.suffix != ".py" or not file.is_file():
            problem = "is not a Python file" if file.exists() else "does not exist"
            raise ValueError(f"{where} {problem}: {NOTEBOOK if file.suffix == '.ipynb' else _expected()}")
        check_file(file, where, attribute, _expected())
        location = FamilyLocation(
            name=name or _display_name(attribute, file.stem), definition=f"{file.name}:{attribute}", file=str(file)
        )
    else:
        if not attribute:
            raise ValueError(f"{text!r} names no object: {_expected()}")
        location = FamilyLocation(
            name=name or _display_name(attribute, where.rpartition(".")[2]), definition=f"{where}:{attribute}"
        )
        _module_file(where)
    if not re.fullmatch(r"\w+", location.name, re.ASCII):
        raise ValueError(
            f"the name {location.name!r} must consist of letters, digits and _: choose another one with "
            f"NAME={where}:{attribute}"
        )
    return location


def digest(location: FamilyLocation) -> str:
    """The code digest of the file or module of `location`, and of what it imports from its folder or package.

    Raises:
        ValueError: it cannot be found.
        SyntaxError: a file is not valid Python.
    """
    if location.file is not None and location.is_pickled:
        return _existing(location.file).stem
    files = _files_of(location)
    imported = {name for file in files.values() for name in imported_modules(file)}
    if __package__ in imported:
        # The base class with the recipe, and what is imported besides them.
        folders = {__package__: list(importlib.import_module(__package__).__path__)}
        files |= module_files((f"{__package__}._family", *sorted(imported)), folders)
    return code_digest(*(files[module] for module in sorted(files)))


def _files_of(location: FamilyLocation) -> dict[str, Path]:
    if location.file is None:
        if _is_path(location.where):
            raise ValueError(f"it is unknown where {location.where} is: give its path with --family")
        _module_file(location.where)
        return module_files((location.where,), package_folders(location.where))
    file = _existing(location.file)
    return {"": file} | _helpers(file)


def _helpers(file: Path) -> dict[str, Path]:
    """Name to file of the modules that a file imports from its folder."""
    packages = {path.name: [str(path)] for path in file.parent.iterdir() if path.is_dir()}
    return module_files(imported_modules(file), {"": [str(file.parent)]} | packages)


def _existing(file: str) -> Path:
    if not Path(file).is_file():
        raise ValueError(f"{file} does not exist: restore it, or give its new path with --family")
    return Path(file)


def load(location: FamilyLocation) -> Any:
    """Import the file or module of `location` and return its object.

    Raises:
        ValueError: there is no such file or object.
        Exception: whatever the import raises.
    """
    if location.file is not None and not Path(location.file).is_file():
        raise ValueError(f"the model needs the code of its family, and {location.file} does not exist: restore it")
    if location.file is not None and location.is_pickled:
        return pickle.loads(Path(location.file).read_bytes())  # noqa: S301 - written by bench.api.families
    module = import_file(Path(location.file)) if location.file is not None else importlib.import_module(location.where)
    try:
        return reduce(getattr, location.attribute.split("."), module)
    except AttributeError as error:
        raise ValueError(f"{location.where} defines no {location.attribute!r}: {_expected()}") from error


def import_file(file: Path) -> ModuleType:
    """Import a file outside the Python path; it may import others from its folder.

    Its module is called as if its folder were on the path, so that saved models refer to its classes by that name,
    unless that is the name of another module.

    Raises:
        ImportError: a module of the same name as one in its folder was imported from another folder.
        Exception: whatever the import raises.
    """
    name, content = _module_name(file), file.read_bytes()
    loaded = sys.modules.get(name)
    if loaded is not None and vars(loaded).get(CONTENT) in (content, None):
        return loaded
    _check_helpers(file)
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} cannot be imported")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    vars(module)[CONTENT] = content
    folder = str(file.parent)
    # First, as for a script, so that a helper is not confused with an installed module of the same name.
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    finally:
        sys.path.remove(folder)
        if folder not in sys.path:
            sys.path.append(folder)  # for later imports, inside functions
    return module


def family_module(location: FamilyLocation) -> ModuleType | None:
    """The module that defines `location`, if this process has imported it."""
    if location.is_pickled or location.definition is None:
        return None
    if location.file is None:
        return sys.modules.get(location.where)
    file = Path(location.file)
    modules = (sys.modules.get(name) for name in _module_names(file))
    return next((each for each in modules if _file_of(each) == file.resolve()), None)


def is_module_name(name: str, module: ModuleType) -> bool:
    """Whether a process may have imported the file of `module` as `name`; others may call it differently."""
    if name == module.__name__ or "." in module.__name__:
        return name == module.__name__
    plain = _module_names(Path(str(module.__file__)))[0]
    return re.fullmatch(rf"{plain}(_[0-9a-f]{{{DIGEST_LENGTH}}})?", name) is not None


def _check_helpers(file: Path) -> None:
    """Python would take a module that was imported from another folder for the helper of the same name."""
    for name, helper in _helpers(file).items():
        loaded = _file_of(sys.modules.get(name))
        if loaded is not None and loaded != helper.resolve() and not _is_installed(name, loaded):
            raise ImportError(
                f"{file} imports {helper}, but a module of the same name, {loaded}, is imported already: rename one "
                "of them, or use the families in separate commands"
            )


def _is_installed(name: str, file: Path) -> bool:
    top = name.partition(".")[0]
    return bool({"site-packages", "dist-packages"} & {*file.parts}) or top in {
        *sys.stdlib_module_names,
        "bench",
        __package__,
    }


def _parts(text: str) -> tuple[str, str, str]:
    """Name, file or module, and object; empty where `text` has none."""
    match = re.fullmatch(r"(?:(\w+)=)?(.*?)(?::([^:/\\]*))?", text)
    name, where, attribute = match.groups(default="") if match else ("", text, "")
    if not where or not re.fullmatch(r"(\w+(\.\w+)*)?", attribute):
        raise ValueError(f"{text!r} is not a family: {_expected()}")
    return name, where, attribute


def _is_path(text: str) -> bool:
    return text.endswith((".py", ".ipynb")) or "/" in text or "\\" in text


def _expected() -> str:
    return f"expected the name of a family, or a file or module and an object in it, e.g. {EXAMPLES}"


def _display_name(attribute: str, otherwise: str) -> str:
    name = attribute.rpartition(".")[2]
    return re.sub(r"\W", "_", otherwise, flags=re.ASCII) if name.lower() in GENERIC else name


def _module_name(file: Path) -> str:
    """The name under which to import `file`."""
    plain, unique = _module_names(file)
    loaded = sys.modules.get(plain)
    found = importlib.util.find_spec(plain) if loaded is None else loaded.__spec__
    # It is found by its own name if its folder is on the path.
    taken = loaded is not None if found is None else Path(str(found.origin)).resolve() != file
    return unique if taken else plain


def _module_names(file: Path) -> tuple[str, str]:
    """The name under which `file` is imported, and that if the first is taken in a process."""
    plain = re.sub(r"\W", "_", file.stem)
    return plain, f"{plain}_{sha256(str(file).encode()).hexdigest()[:DIGEST_LENGTH]}"


def _file_of(module: ModuleType | None) -> Path | None:
    file = getattr(module, "__file__", None)
    return None if file is None else Path(file).resolve()


def _module_file(module: str) -> Path:
    """The file of an importable module.

    Raises:
        ValueError: there is none.
    """
    if not re.fullmatch(r"\w+(\.\w+)*", module):
        raise ValueError(f"{module!r} is neither a file nor a module: {_expected()}")
    found = module_files((module,), package_folders(module)).get(module)
    if found is None:
        raise ValueError(f"there is no module {module!r}: {_expected()}")
    return found
