"""A real `parley up` in a process of its own, for tests and for the bench."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.ports import free_port, free_port_block

__all__ = ["ADMIN_KEY", "ParleyProcess", "end_with_parent", "running_parley"]

ADMIN_KEY = "sk-parley-admin-key-of-the-tests"
_ROOT = Path(__file__).resolve().parent.parent
_STOP_S = 60.0


@dataclass(frozen=True, slots=True)
class ParleyProcess:
    """A server that answers `GET /health` with 200."""

    host: str
    port: int
    slot_port_base: int
    admin_key: str
    home: Path
    log_path: Path
    pid: int
    ready_s: float
    """Seconds from the start of the process to the first good `GET /health`."""

    @property
    def base_url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://{self.host}:{self.port}"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.admin_key}"}

    def log(self) -> str:
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def post(self, path: str, body: Mapping[str, object]) -> dict[str, object]:
        """A JSON request with the admin key. Raises urllib.error.HTTPError."""
        request = urllib.request.Request(
            self.base_url + path,
            data=json.dumps(body).encode(),
            headers={**self.headers, "Content-Type": "application/json"},
            method="POST",
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return dict(json.loads(answer.read()))


@contextmanager
def running_parley(
    home: Path,
    *,
    config: str = "",
    env: Mapping[str, str] | None = None,
    ready_timeout_s: float = 120.0,
    guard_network: bool = True,
    group: Path | None = None,
    open_files: int | None = None,
) -> Iterator[ParleyProcess]:
    """`parley up --no-browser` with its own home, ports and admin key, until the block ends.

    `config` is the text of its parley.toml, where OWN_PORT stands for the server's port; `group` a control group
    that it is to run in, `open_files` how many it may have. Raises RuntimeError with the end of its log when it does
    not get ready, or leaves a process behind after SIGTERM.
    """
    home.mkdir(parents=True, exist_ok=True)
    config_path = home / "parley.toml"
    port, slot_port_base = free_port(), free_port_block()
    config_path.write_text(config.replace("OWN_PORT", str(port)), encoding="utf-8")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")},
        "PARLEY_HOME": str(home),
        "PARLEY_CONFIG": str(config_path),
        "PARLEY_HOST": "127.0.0.1",
        "PARLEY_PORT": str(port),
        "PARLEY_ADMIN_KEY": ADMIN_KEY,
        "PARLEY_SLOT_PORT_BASE": str(slot_port_base),
        "PARLEY_ROUTER_PORT": "0",
        "PARLEY_ROUTER_DASHBOARD_PORT": "0",
        **(env or {}),
    }
    if guard_network:
        environment["PYTHONPATH"] = os.pathsep.join(
            filter(None, [str(_ROOT / "tests" / "network_guard"), environment.get("PYTHONPATH", "")])
        )
    log_path = home / "up.log"

    def before() -> None:
        end_with_parent()
        if open_files is not None:
            import resource

            resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, open_files))
        if group is not None:
            (group / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")

    started = time.monotonic()
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", "from web.main import main; raise SystemExit(main())", "up", "--no-browser"],
            cwd=_ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=before if sys.platform == "linux" else None,
        )
    try:
        _wait_ready(process, f"http://127.0.0.1:{port}/health", started + ready_timeout_s, log_path)
        ready_s = time.monotonic() - started
        yield ParleyProcess("127.0.0.1", port, slot_port_base, ADMIN_KEY, home, log_path, process.pid, ready_s)
    finally:
        leftovers = _stop(process)
    if leftovers:
        raise RuntimeError(f"left running after SIGTERM: {', '.join(leftovers)}\n{_tail(log_path)}")


def end_with_parent() -> None:
    """In a child, before it becomes another program: have the kernel send SIGTERM when the test run is killed, and
    hear Ctrl-C and the end of a terminal although the test run may be in the background or under nohup."""
    pr_set_pdeathsig = 1  # linux/prctl.h
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def _wait_ready(process: subprocess.Popen[bytes], url: str, deadline: float, log_path: Path) -> None:
    said = "nothing yet"
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"parley up ended with {process.returncode}\n{_tail(log_path)}")
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                said = answer.read().decode(errors="replace")
                if json.loads(said).get("status") == "ok":
                    return
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace")
        except (OSError, ValueError) as error:
            said = str(error)
        time.sleep(0.05)
    raise RuntimeError(f"parley up was not ready in time; /health said {said}\n{_tail(log_path)}")


def _stop(process: subprocess.Popen[bytes]) -> list[str]:
    """SIGTERM, then kill what is left; the descriptions of what had to be killed."""
    try:
        family = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        family = []
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    leftovers = []
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        leftovers.append("the server itself")
        process.kill()
        process.wait()
    _, alive = psutil.wait_procs(family, timeout=10.0)
    for child in alive:
        try:
            leftovers.append(" ".join(child.cmdline())[:160])
            child.kill()
        except psutil.NoSuchProcess:
            continue
    return leftovers


def _tail(path: Path, lines: int = 60) -> str:
    return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
