"""Discovery: every module of a package that has a `SPEC` is a part; adding a part is adding a file.

Out-of-tree parts announce themselves as entry points of the group named after the package,
for example `[project.entry-points."voice.tts"] mine = "my_package.tts:SPEC"`.
"""

from __future__ import annotations

import importlib
import pkgutil
import traceback
from collections.abc import Callable
from functools import cache, partial
from importlib.metadata import entry_points
from typing import Any

from models.errors import ParleyError, PartBroken

__all__ = ["discover", "import_part"]


def discover(package: str) -> dict[str, Any]:
    """Return {SPEC.name: SPEC} for the modules of `package` and its entry points, sorted by name.

    Modules are imported, so their top level must be light: heavy libraries belong inside `load()`.
    Raises PartBroken if one cannot be loaded, or two claim one name. Looked up once in a process, which takes
    milliseconds of disk: what is needed while people talk is asked for at the start.
    """
    return dict(_found(package))


@cache
def _found(package: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    root = importlib.import_module(package)
    specs = []
    for info in pkgutil.iter_modules(root.__path__):
        name = f"{package}.{info.name}"
        module = import_part(name, partial(importlib.import_module, name))
        if hasattr(module, "SPEC"):
            specs.append((name, module.SPEC))
    specs.extend((point.value, import_part(point.value, point.load)) for point in entry_points(group=package))
    for where, spec in specs:
        if not isinstance(getattr(spec, "name", None), str):
            raise PartBroken(f"the SPEC of {where} has no name", hint="docs/adding-an-engine.md shows what a SPEC is")
        if spec.name in found:
            raise PartBroken(f"two parts of {package} are called {spec.name!r}", hint=f"one of them is {where}")
        found[spec.name] = spec
    return dict(sorted(found.items()))


def import_part(name: str, load: Callable[[], Any]) -> Any:
    """What `load` gives. Raises PartBroken, which says where the part `name` fails, in place of other exceptions."""
    try:
        return load()
    except ParleyError:
        raise
    except Exception as error:
        if isinstance(error, SyntaxError):
            at = f"{error.filename}:{error.lineno}"
        else:
            place = traceback.extract_tb(error.__traceback__)[-1]
            at = f"{place.filename}:{place.lineno}"
        raise PartBroken(f"{name} cannot be loaded: {type(error).__name__}: {error} ({at})") from error
