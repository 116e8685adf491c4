"""The rules of tests/conftest.py bite: what leaks, or leaves this machine, is noticed."""

from __future__ import annotations

import asyncio
import importlib
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import leaks
from tests.leaks import Watch, without_leaked_tasks
from tests.network_guard import sitecustomize as guard


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "_PATIENCE_S", 0.1)


async def test_a_task_left_running_is_noticed() -> None:
    left: list[asyncio.Task[None]] = []

    async def leaky() -> None:
        left.append(asyncio.get_running_loop().create_task(asyncio.sleep(60)))

    with pytest.raises(AssertionError, match="sleep"):
        await without_leaked_tasks(leaky)()
    left[0].cancel()


def test_a_thread_left_running_is_noticed() -> None:
    watch = Watch()
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="forgotten")
    thread.start()
    try:
        assert watch.left_behind() == ["thread forgotten"]
    finally:
        stop.set()
        thread.join()
    assert watch.left_behind() == []


def test_a_process_left_running_is_noticed() -> None:
    watch = Watch()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        [found] = watch.left_behind()
        assert f"process {process.pid}" in found
    assert watch.left_behind() == []


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])  # reserved for documentation, nobody is there
def test_connections_to_other_machines_are_refused(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as client, pytest.raises(guard.NetworkBlocked):
        client.connect((address, 80))
    assert guard.attempts == [f"socket.connect to {address}:80"]
    guard.attempts.clear()


def test_names_of_other_machines_are_not_looked_up() -> None:
    with pytest.raises(guard.NetworkBlocked):
        socket.getaddrinfo("example.com", 443)
    guard.attempts.clear()
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("nobody.invalid", 443)
    assert guard.attempts == []


def test_the_guard_gets_into_child_processes() -> None:
    script = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)"
    child = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": "tests/network_guard"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert "NetworkBlocked" in child.stderr


def test_examples_are_the_same_whatever_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else they would be others in another order of tests, and after any change of a number anywhere."""

    def examples() -> list[int]:
        found = []

        @settings(max_examples=100)
        @given(st.integers(0, 1 << 32))
        def draw(number: int) -> None:
            found.append(number)

        draw()
        return found

    before = examples()
    (tmp_path / "many_numbers.py").write_text(f"NUMBERS = {list(range(70_000, 71_000))}\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("many_numbers")
    try:
        assert examples() == before
    finally:
        del sys.modules["many_numbers"]
