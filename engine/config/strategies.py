"""Import the strategies of a config: `module:Class` or `file.py:Class` -> a Strategy class."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import os
import pkgutil
import sys
import traceback
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.config.problems import ConfigError, ConfigProblem, KeyPath, did_you_mean
from fairlead.engine.errors import place_of
from fairlead.engine.secrets import redact

_FILE = ".py"  # the end of what names a file, and no module
_OF_FILE = "@"  # between the name of a file's module and what tells it from files of equal name


def import_strategy(loaded: LoadedConfig, position: int) -> type[Any]:
    """Import the class of `strategies[position]`.

    The config file's folder and the working folder come first on `sys.path` from then on, so that
    a user's own modules are found. A file is found from the config file's folder, and is loaded
    once, under a name of its own. Raises `ConfigError` with one problem.
    """
    add_search_path(loaded)
    path: KeyPath = ("strategies", position, "path")
    module_name, _, class_name = loaded.config.strategies[position].path.rpartition(":")
    file = _file(loaded, path, module_name)
    try:
        module = importlib.import_module(module_name) if file is None else _of_file(file)
    except KeyboardInterrupt:
        raise
    except BaseException as e:  # also sys.exit() in the module
        if file is None:
            problem = _import_problem(loaded, path, module_name, e)
        else:
            expected = "a file that can be imported"
            problem = raised(loaded, path, expected, f"{module_name}: ", e)
        raise ConfigError([problem]) from e
    found = getattr(module, class_name, None)
    choices = _strategy_names(module)
    if found is None:
        problem = loaded.problem(
            path,
            "E-CFG-051",
            expected=f"a class of {module_name}",
            came=class_name,
            hint=_beside(loaded, module, class_name)
            or did_you_mean(class_name, choices)
            or "the module has no Strategy class",
        )
        raise ConfigError([problem])
    if not _is_strategy(found):
        problem = loaded.problem(
            path,
            "E-CFG-052",
            expected="a subclass of nautilus_trader.trading.Strategy",
            came=f"{class_name}, {_described(found)}",
            hint=did_you_mean(class_name, choices),
        )
        raise ConfigError([problem])
    strategy_class: type[Any] = found
    return strategy_class


def _beside(loaded: LoadedConfig, module: ModuleType, class_name: str) -> str:
    """The file beside the config, which Python's own module of that name hides."""
    file = loaded.path.parent / f"{module.__name__}{_FILE}"
    if (
        not file.is_file()
        or file.resolve() == Path(getattr(module, "__file__", "") or "").resolve()
    ):
        return ""
    return (
        f'{module.__name__} is another module, which Python had already; write "{file.name}:'
        f'{class_name}" for the file beside the config'
    )


def plain_name(module: str) -> str:
    """A module's name without what depends on the folder that its file is in."""
    return module.partition(_OF_FILE)[0]


def _file(loaded: LoadedConfig, path: KeyPath, named: str) -> Path | None:
    """The readable file that is named; None where it is a module. Raises `ConfigError`."""
    if not named.endswith(_FILE):
        return None
    try:
        file = loaded.resolve(named)
        with file.open("rb"):
            return file
    except (OSError, RuntimeError, ValueError) as e:  # RuntimeError: ~ of nobody
        reason = e.strerror if isinstance(e, OSError) else str(e)
        folder = (loaded.path.parent / named).parent
        beside = [one.name for one in folder.glob(f"*{_FILE}")]
        problem = loaded.problem(
            path,
            "E-CFG-050",
            expected=f"a file that can be read, from {loaded.path.parent}",
            came=f"{named} ({(reason or type(e).__name__).lower()})",
            hint=did_you_mean(Path(named).name, beside, among=False),
        )
        raise ConfigError([problem]) from e


def _of_file(file: Path) -> ModuleType:
    """Two files of one name are two modules, and neither is one that `import` finds."""
    mark = hashlib.sha256(os.fsencode(file)).hexdigest()[:8]
    name = f"{file.stem.replace('.', '_')}{_OF_FILE}{mark}"
    if name in sys.modules:
        return sys.modules[name]
    spec = spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def add_search_path(loaded: LoadedConfig) -> None:
    """Put the config file's folder and the working folder first on `sys.path`, once."""
    for folder in (str(Path.cwd()), str(loaded.path.parent)):
        if folder not in sys.path:
            sys.path.insert(0, folder)


def _is_strategy(found: Any) -> bool:
    from nautilus_trader.trading import Strategy

    return inspect.isclass(found) and issubclass(found, Strategy) and found is not Strategy


def _strategy_names(module: ModuleType) -> list[str]:
    return [name for name, value in vars(module).items() if _is_strategy(value)]


def _described(found: Any) -> str:
    return "another class" if inspect.isclass(found) else f"a {type(found).__name__}"


def _import_problem(
    loaded: LoadedConfig, path: KeyPath, module_name: str, error: BaseException
) -> ConfigProblem:
    """Tell a module that is missing from one that fails while it is imported."""
    parts = module_name.split(".")
    names = {".".join(parts[: length + 1]) for length in range(len(parts))}
    if isinstance(error, ModuleNotFoundError) and error.name in names:
        return loaded.problem(
            path,
            "E-CFG-050",
            expected="a module that can be imported",
            came=f"{module_name} (no module {error.name})",
            hint=_ours(module_name)
            or did_you_mean(module_name, _modules_beside(loaded, module_name))
            or f"looked in {loaded.path.parent}, {Path.cwd()}, and the installed packages",
        )
    return raised(loaded, path, "a module that can be imported", f"{module_name}: ", error)


def _ours(module_name: str) -> str:
    """A strategy of ours, without the name of the package."""
    ours = f"{__name__.partition('.')[0]}.{module_name}"
    try:
        return f"did you mean {ours}?" if find_spec(ours) else ""
    except (ImportError, ValueError):
        return ""


def raised(
    loaded: LoadedConfig, path: KeyPath, expected: str, who: str, error: BaseException
) -> ConfigProblem:
    """The strategy's own code raised: what, where, and the traceback."""
    text = "".join(traceback.format_exception(error))
    problem = loaded.problem(
        path, "E-CFG-058", expected=expected, came=redact(f"{who}{told(error)}")
    )
    return msgspec.structs.replace(problem, traceback=redact(text))


def told(error: BaseException) -> str:
    """`Type: message (file:line)`, without the place where the message has it."""
    text = f"{type(error).__name__}: {error}".rstrip(": ")
    place = "" if isinstance(error, SyntaxError) else place_of(error)
    return f"{text} ({place})" if place else text


def _modules_beside(loaded: LoadedConfig, module_name: str) -> list[str]:
    """Modules in the same package; top-level ones only from the user's own folders."""
    package, _, _ = module_name.rpartition(".")
    if not package:
        own = [str(loaded.path.parent), str(Path.cwd())]
        return [found.name for found in pkgutil.iter_modules(own)]
    try:
        spec = find_spec(package)
    except (ImportError, ValueError):
        return []
    folders = list(spec.submodule_search_locations or []) if spec else []
    return [f"{package}.{found.name}" for found in pkgutil.iter_modules(folders)]
