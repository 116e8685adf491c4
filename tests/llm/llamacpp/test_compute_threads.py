"""The threads of OpenMP: they wait for each other by spinning only while each has a core."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

pytest.importorskip("llama_cpp")

from llm.llamacpp.compute_threads import ComputeThreads
from llm.llamacpp.openmp import openmp
from llm.llamacpp.spin_choice import LOOK_S, LOOKS
from models.clock import SystemClock


@pytest.fixture
def compute_threads() -> Iterator[ComputeThreads]:
    compute_threads = ComputeThreads(SystemClock().now)
    yield compute_threads
    compute_threads.close()


def holders() -> int:
    return sum(thread.name == "no spinning" for thread in threading.enumerate())


def settled(count: int) -> bool:
    deadline = time.monotonic() + 60
    while holders() != count and time.monotonic() < deadline:
        time.sleep(0.001)
    return holders() == count


@pytest.mark.skipif(openmp is None, reason="another OpenMP, or somebody has set how its threads wait")
@pytest.mark.skipif(not os.path.exists("/proc/self/schedstat"), reason="only Linux says for how long threads waited")
def test_threads_that_wait_for_a_core_do_not_spin_until_they_have_one_again(
    compute_threads: ComputeThreads, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, waited_ns = holders(), 0
    monkeypatch.setattr("llm.llamacpp.compute_threads._waits_ns", lambda: {"1": waited_ns})

    def work(waited_s: float) -> bool:
        nonlocal waited_ns
        waited_ns += int(waited_s * 1e9)
        return compute_threads.worked(2, compute_threads.now() - LOOK_S)[1]

    assert not work(0.0) and holders() == before
    assert any(work(LOOK_S) for _ in range(LOOKS)) and holders() == before + 1
    assert not work(LOOK_S) and holders() == before + 1
    deadline = time.monotonic() + 60
    while not work(0.0) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert settled(before)
    assert not work(0.0)


@pytest.mark.skipif(not os.path.exists("/proc/self/schedstat"), reason="only Linux says for how long threads waited")
def test_a_thread_that_shares_its_core_is_seen_to_wait() -> None:
    from llm.llamacpp.compute_threads import _waits_ns

    mine = str(threading.get_native_id())
    allowed = os.sched_getaffinity(0)
    core = {min(allowed)}
    rival = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        os.sched_setaffinity(rival.pid, core)
        os.sched_setaffinity(0, core)
        before, deadline = _waits_ns()[mine], time.monotonic() + 60
        while _waits_ns()[mine] < before + 20_000_000 and time.monotonic() < deadline:
            pass
        assert _waits_ns()[mine] >= before + 20_000_000
    finally:
        os.sched_setaffinity(0, allowed)
        rival.kill()
        rival.wait()


def test_the_settings_reach_the_library_and_nobody_else() -> None:
    """In a process of its own: OpenMP reads them once, and says what it has read."""
    script = (
        "import llm.llamacpp.library, os; print(os.environ.get('GOMP_SPINCOUNT'), os.environ.get('OMP_WAIT_POLICY'))"
    )
    names = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    environment["OMP_DISPLAY_ENV"] = "verbose"

    def run(**more: str) -> tuple[str, str]:
        done = subprocess.run(
            [sys.executable, "-c", script], env=environment | more, capture_output=True, text=True, check=True
        )
        return done.stdout.strip(), done.stderr

    left, read = run()
    if openmp is not None:
        assert left == "None None", "a worker that this process starts would take it for somebody's wish"
        assert "GOMP_SPINCOUNT = '20000'" in read or "GOMP_SPINCOUNT = '300'" in read
    else:
        assert left == "300 passive"
    assert run(GOMP_SPINCOUNT="7", OMP_WAIT_POLICY="active")[0] == "7 active"


@pytest.mark.skipif(openmp is None, reason="another OpenMP, or somebody has set how its threads wait")
@pytest.mark.skipif(not os.path.exists("/proc/self/schedstat"), reason="only Linux says for how long threads waited")
def test_one_thread_that_computes_alone_lets_them_spin_again_after_a_while(
    compute_threads: ComputeThreads, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, waited_ns = holders(), iter(range(0, 10**12, 10**9))
    monkeypatch.setattr("llm.llamacpp.compute_threads._waits_ns", lambda: {"1": next(waited_ns)})
    while holders() == before:
        compute_threads.worked(2, compute_threads.now() - LOOK_S)
    deadline = time.monotonic() + 60
    while not compute_threads.worked(1, compute_threads.now() - LOOK_S)[1] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert settled(before)
