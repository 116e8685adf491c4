"""Language-model servers that were added by command: kept in `{home}/servers.json`, over restarts.

    proxy         another server on the network: becomes a backend, as an entry of [[backends]] does
    self-hosted   a model on this machine: loaded into a slot at the start, with its own options

A server is asked for by its name or by the name of its model; what parley.toml says goes first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

import structlog

from llm.port import BackendConfig
from llm.settings import LlmSettings
from llm.slots.pool import SlotPool
from models.errors import BadInput, ParleyError
from models.store import Store
from models.whole_file import write_whole

__all__ = ["FILE", "Mode", "Server", "ServersFile", "load_servers", "with_servers"]

FILE = "servers.json"
Mode = Literal["proxy", "self-hosted"]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Server:
    """`type` and `url` are of a proxied one, `model_path` (or a name of the store) and `options` of our own."""

    name: str
    model: str
    mode: Mode
    type: str = "auto"
    url: str = ""
    api_key: str = field(default="", repr=False)
    model_path: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


class ServersFile:
    """Blocks on the disk. A file that cannot be read is an error: to write over it would lose what it holds."""

    def __init__(self, home: Path) -> None:
        self._path = home / FILE

    def read(self) -> tuple[Server, ...]:
        """Raises BadInput."""
        try:
            rows = json.loads(self._path.read_text(encoding="utf-8"))["servers"]
            servers = tuple(Server(**row) for row in rows)
            if any(server.mode not in get_args(Mode) for server in servers):
                raise ValueError("unknown mode")
            return servers
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise BadInput(
                f"{self._path} cannot be read: {error.strerror}", hint="PARLEY_HOME must name a folder of your own"
            ) from error
        except (ValueError, TypeError, KeyError) as error:
            raise BadInput(
                f"{self._path} is not what add-server writes", hint="correct the file or delete it"
            ) from error

    def add(self, server: Server) -> None:
        """Raises BadInput where there is one of that name."""
        servers = self.read()
        if any(other.name == server.name for other in servers):
            raise BadInput(f"there is a server {server.name!r} already", param="name", hint="remove it first")
        self._write((*servers, server))

    def remove(self, name: str) -> Server:
        """Raises BadInput where there is none."""
        servers = self.read()
        found = next((server for server in servers if server.name == name), None)
        if found is None:
            there = ", ".join(server.name for server in servers) or "none"
            raise BadInput(f"there is no server {name!r}", param="name", hint=f"there are: {there}")
        self._write(tuple(server for server in servers if server is not found))
        return found

    def _write(self, servers: tuple[Server, ...]) -> None:
        """Whole or not at all, and for its owner alone: it may hold keys."""
        write_whole(self._path, json.dumps({"servers": [asdict(server) for server in servers]}, indent=1))


def with_servers(settings: LlmSettings, servers: tuple[Server, ...], store: Store) -> LlmSettings:
    """Backends and names for the added servers. Blocking: it looks into the store."""
    aliases, backends = dict(settings.aliases), list(settings.backends)
    taken = {backend.name for backend in backends}
    for server in servers:
        if server.mode == "proxy":
            if server.name in taken:
                log.warning("server.passed_over", server=server.name, reason="a [[backends]] entry has its name")
                continue
            backends.append(
                BackendConfig(server.name, server.type, server.url, api_key=server.api_key, model=server.model)
            )
            target = f"{server.name}/{server.model}"
        else:
            try:
                target = store.find(server.model_path).name
            except ParleyError as error:
                log.error("server.model", server=server.name, code=error.code, reason=error.message)
                continue
        for name in (server.name, server.model):
            if name != target:
                aliases.setdefault(name, target)
    return replace(settings, backends=tuple(backends), aliases=aliases)


async def load_servers(pool: SlotPool, servers: tuple[Server, ...]) -> None:
    """Into slots, one after the other. One that cannot be loaded is said, and keeps nobody else away."""
    for server in servers:
        if server.mode == "self-hosted":
            try:
                pool.load(await pool.plan(server.model_path, server.options))
            except ParleyError as error:
                log.error("server.load", server=server.name, code=error.code, reason=error.message)
