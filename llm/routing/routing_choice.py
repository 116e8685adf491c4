"""Who answers a request that names no model, and in which order equals are asked: as the settings say, or as somebody
chose while the server ran.

A choice is kept in `{home}/routing.json` together with the setting that it was made over. When parley.toml says
something else at a later start, its owner has spoken last: the setting counts again, and the choice is dropped. So
neither hides the other for ever, and the file of the settings is never written to.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast, get_args

import anyio
import anyio.to_thread
import structlog

from llm.errors import UnknownModel
from llm.generate import Router
from llm.routing.router import ANY, Choice, Strategy
from llm.settings import LlmSettings
from models.errors import BadInput, DiskFull, ParleyError, SettingsError
from models.whole_file import write_whole

__all__ = ["FILE", "Kept", "RoutingFile", "RoutingChoice", "Standing", "in_force"]

FILE = "routing.json"
_LONGEST = 1000
_KEYS = ("default_model", "selection_strategy")

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Kept:
    """`instead_of`: the setting at the time. `backend`: which one the chosen default was of, "" for none."""

    value: str
    instead_of: str
    backend: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    value: str
    configured: str
    chosen: bool
    """By somebody while the server ran; else as configured."""


class RoutingFile:
    """`routing.json` in PARLEY_HOME. Blocks on the disk."""

    def __init__(self, home: Path) -> None:
        self.path = home / FILE

    def read(self) -> dict[str, Kept]:
        """What is damaged counts for nothing: the settings are there in any case."""
        try:
            rows = json.loads(self.path.read_text(encoding="utf-8"))["chosen"]
            kept = {key: Kept(**rows[key]) for key in _KEYS if key in rows}
            if all(isinstance(text, str) for one in kept.values() for text in asdict(one).values()):
                return kept
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            pass
        log.warning("routing.choice_unreadable", path=str(self.path))
        return {}

    def write(self, kept: Mapping[str, Kept]) -> None:
        """Whole and on the disk, or not at all. Raises DiskFull; SettingsError where the folder cannot be written."""
        try:
            if kept:
                chosen = {key: asdict(one) for key, one in kept.items()}
                write_whole(self.path, json.dumps({"chosen": chosen}, indent=1))
            else:
                self.path.unlink(missing_ok=True)
        except OSError as error:
            message = f"{self.path} cannot be written: {error.strerror}"
            if error.errno in _FULL:
                raise DiskFull(message, hint="nothing was changed; free some space") from error
            hint = "nothing was changed; PARLEY_HOME must name a folder of your own"
            raise SettingsError(message, hint=hint) from error


def in_force(settings: LlmSettings, kept: Mapping[str, Kept]) -> dict[str, Standing]:
    """The choices that still count, and the settings where there is none. Pure."""
    found = {}
    for key in _KEYS:
        configured, one = str(getattr(settings, key)), kept.get(key)
        counts = one is not None and one.instead_of == configured and one.value != configured
        counts = counts and (key != "selection_strategy" or one.value in get_args(Strategy))  # type: ignore[union-attr]
        found[key] = Standing(one.value if one is not None and counts else configured, configured, counts)
    return found


class RoutingChoice:
    """Between the file, the settings and the router. One change at a time."""

    def __init__(self, router: Router, settings: LlmSettings, file: RoutingFile) -> None:
        self._router, self._settings, self._file = router, settings, file
        self._kept: dict[str, Kept] = {}
        self._lock = anyio.Lock()

    @property
    def standing(self) -> Mapping[str, Standing]:
        """By the name of the setting in [llm]."""
        return in_force(self._settings, self._kept)

    async def restore(self) -> None:
        """At the start: what was chosen counts again, unless the settings, or the backends, have changed since."""
        kept = await anyio.to_thread.run_sync(self._file.read)
        standing, there = in_force(self._settings, kept), {view.name for view in self._router.views()}
        self._kept = {
            key: one
            for key, one in kept.items()
            if standing[key].chosen and (not one.backend or one.backend in there)
        }
        for key in sorted(kept.keys() - self._kept.keys()):
            log.warning(
                "routing.choice_dropped", setting=key, reason="parley.toml, or the backends, have changed since"
            )
        if self._kept != kept:
            try:
                await anyio.to_thread.run_sync(self._file.write, dict(self._kept))
            except ParleyError as error:
                log.warning("routing.choice_not_kept", reason=error.message)
        self._apply()

    async def choose(self, default_model: str | None = None, strategy: str | None = None) -> None:
        """From the next request on, and after every restart; None leaves it.

        Raises BadInput for what nobody here has and for an unknown strategy; then nothing is changed.
        """
        async with self._lock:
            kept = dict(self._kept)
            if strategy is not None:
                if strategy not in get_args(Strategy):
                    known = ", ".join(get_args(Strategy))
                    raise BadInput("there is no such strategy", param="selection_strategy", hint=f"one of {known}")
                kept["selection_strategy"] = Kept(strategy, self._settings.selection_strategy)
            if default_model is not None:
                name = "" if default_model.strip() in ANY else default_model.strip()
                backend = (await self._known(name))[0].backend if name else ""
                kept["default_model"] = Kept(name, self._settings.default_model, backend)
            await self._keep(kept)

    async def forget(self) -> None:
        """As the settings say."""
        async with self._lock:
            await self._keep({})

    async def _known(self, name: str) -> tuple[Choice, ...]:
        try:
            if len(name) > _LONGEST:
                raise UnknownModel("that is too long for a name")
            return await self._router.find(name)
        except UnknownModel as error:
            raise BadInput(error.message, param="default_model", hint=error.hint) from None

    async def _keep(self, kept: dict[str, Kept]) -> None:
        """On the disk first: what is applied is never lost."""
        standing = in_force(self._settings, kept)
        kept = {key: one for key, one in kept.items() if standing[key].chosen}
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._file.write, kept)
            self._kept = kept
            self._apply()
        log.info("routing.chosen", **{key: one.value for key, one in kept.items()})

    def _apply(self) -> None:
        standing: Any = self.standing
        self._router.follow(standing["default_model"].value, cast(Strategy, standing["selection_strategy"].value))
