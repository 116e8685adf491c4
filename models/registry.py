"""Discovery: every module of a package that has a `SPEC` is a part; adding a part is adding a file.

Out-of-tree parts announce themselves as entry points of the group named after the package,
for example `[project.entry-points."voice.tts"] mine = "my_package.tts:SPEC"`.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from importlib.metadata import entry_points
from typing import Any

__all__ = ["discover"]


def discover(package: str) -> dict[str, Any]:
    """Return {SPEC.name: SPEC} for the modules of `package` and its entry points, sorted by name.

    Modules are imported, so their top level must be light: heavy libraries belong inside `load()`.
    Raises ValueError if two parts claim one name. Looked up once in a process, which takes milliseconds of disk: what
    is needed while people talk is asked for at the start.
    """
    return dict(_found(package))


@cache
def _found(package: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    root = importlib.import_module(package)
    specs = []
    for info in pkgutil.iter_modules(root.__path__):
        module = importlib.import_module(f"{package}.{info.name}")
        if hasattr(module, "SPEC"):
            specs.append(module.SPEC)
    specs.extend(point.load() for point in entry_points(group=package))
    for spec in specs:
        if spec.name in found:
            raise ValueError(f"two parts of {package} are called {spec.name!r}")
        found[spec.name] = spec
    return dict(sorted(found.items()))
