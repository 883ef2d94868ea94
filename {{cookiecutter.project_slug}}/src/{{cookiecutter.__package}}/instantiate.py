"""Making what `conf/` names by an import path: a source, an estimator, a rule."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from .cli import Refusal


def instantiate(settings: Mapping[str, Any], where: str) -> Any:
    """Call what `_target_` names with the other entries, as Hydra's function of this name does.

    Importing Hydra for it would cost each stage a third of a second. `where` is the folder of
    `conf/` that the `Refusal` points to.
    """
    arguments = {name: value for name, value in settings.items() if name != "_target_"}
    path = settings.get("_target_")
    if not isinstance(path, str):
        raise Refusal(f"{where}: write `_target_:`, the import path of a class")
    try:
        return named(path, where)(**arguments)
    except (TypeError, ValueError) as error:
        raise Refusal(f"{where}: cannot make {path} ({error})") from None


def named(path: str, where: str) -> Any:
    """What an import path such as `package.module.name` stands for; `Refusal` when nothing does."""
    module, _, name = path.rpartition(".")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise Refusal(f"{where}: there is no {path!r} ({error})") from None
