"""Where models lie: `[models]` of parley.toml. Read once by web/settings.py."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ModelSettings"]


@dataclass(frozen=True, slots=True)
class ModelSettings:
    directories: tuple[str, ...] = ()
    """More folders to look for models in, beside the `models` folder of PARLEY_HOME; never written to."""
    trusted_hosts: tuple[str, ...] = ()
    """Hosts that models may be fetched from though they are in a private network, or without encryption."""
