"""How the other commands find the server that runs on this machine.

A running server leaves its address and a key in `run/server.json` of PARLEY_HOME, readable by its owner alone. The
key is random, lives as long as the process, and spares `parley talk` and `parley link` from asking for the admin
key: who may read the file may also read everything else in there.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from models.whole_file import write_whole

__all__ = ["RunFile", "RunningServer"]


@dataclass(frozen=True, slots=True)
class RunningServer:
    """`url` like "http://127.0.0.1:4000", without a slash at its end."""

    url: str
    pid: int
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RunFile:
    """All methods block on the disk."""

    home: Path

    @property
    def path(self) -> Path:
        return self.home / "run" / "server.json"

    def write(self, server: RunningServer) -> None:
        write_whole(self.path, json.dumps({**asdict(server), "process": _process(server.pid)}) + "\n")

    def read(self) -> RunningServer | None:
        """The server that is said to run; None where there is none, or its process is gone."""
        try:
            fields = json.loads(self.path.read_text(encoding="utf-8"))
            server = RunningServer(url=str(fields["url"]), pid=int(fields["pid"]), key=str(fields["key"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        there = _alive(server.pid) and _process(server.pid) in ("", fields.get("process", ""))
        return server if there else None

    def remove(self) -> None:
        """Take our own file away; a newer server's stays."""
        found = self.read()
        if found is not None and found.pid == os.getpid():
            self.path.unlink(missing_ok=True)


def _process(pid: int) -> str:
    """What tells a process from a later one with the same number: its start, and the machine's. "" where it cannot be
    known. A server that was killed leaves its file behind, and in a container the next one has its number.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        machine = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    except OSError:
        return ""
    return f"{machine.strip()} {stat.rpartition(')')[2].split()[19]}"  # proc(5): starttime


def _alive(pid: int) -> bool:
    if os.name == "nt":
        return True  # os.kill(pid, 0) would end it there
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OverflowError, OSError):
        return True  # somebody else's process
    return pid > 0
