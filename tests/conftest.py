"""Rules that hold for every test: nothing leaves this machine, nothing is left behind. And the shared fixtures."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

from models.telemetry import silence_telemetry
from tests import ports
from tests.leaks import Watch, without_leaked_tasks
from tests.network_guard import sitecustomize as network_guard
from tests.parley_process import ParleyProcess, running_parley
from tests.scripted.process import ScriptedProcess, running_scripted

_ROOT = Path(__file__).resolve().parent.parent

# as `parley` does it (web/main.py), also for workers that a test starts by itself; read when numpy is loaded
assert "numpy" not in sys.modules, "load it later"
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
silence_telemetry()

network_guard.install()

# The same examples in every run, so that a change is judged by what it changes; `explore` looks for new ones. They
# take as long as they take.
_patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeat", _patient, derandomize=True)
settings.register_profile("explore", _patient, derandomize=False)
settings.load_profile("repeat")

# Hypothesis also tries the numbers and words of all modules that are loaded: others in another order of tests, and
# after every change. It has no setting for that.
_numbers_of_the_code = providers._get_local_constants
providers._get_local_constants = lambda: (
    providers._local_constants
    if settings.default is not None and settings.default.derandomize
    else _numbers_of_the_code()
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            item.obj = without_leaked_tasks(item.obj)


@pytest.fixture(autouse=True)
def _stays_on_this_machine() -> Iterator[None]:
    network_guard.attempts.clear()
    yield
    assert not network_guard.attempts, f"wanted to leave this machine: {network_guard.attempts}"


@pytest.fixture(autouse=True)
def _leaves_nothing_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    # Shared fixtures start before the watch does, so that what they run is not taken for a leak.
    for name in request.fixturenames:
        if name in ("parley_server", "scripted_service", "scripted_parley"):
            request.getfixturevalue(name)
    watch = Watch()
    yield
    left = watch.left_behind()
    assert not left, f"left running: {left}"


@pytest.fixture
def free_port() -> int:
    return ports.free_port()


@pytest.fixture(scope="session")
def testdata() -> Path:
    """The folder of recordings and models; tests that need it are skipped where it is absent."""
    path = Path(os.environ.get("PARLEY_TEST_MODELS", _ROOT.parent / "shared" / "testdata"))
    if not (path / "manifest.tsv").is_file():
        pytest.skip(f"no recordings at {path} (set PARLEY_TEST_MODELS)")
    return path


@pytest.fixture(scope="session")
def parley_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ParleyProcess]:
    """One `parley up` with the embedded parts, shared by all tests of a run. Do not reconfigure it."""
    with running_parley(tmp_path_factory.mktemp("parley")) as server:
        yield server


@pytest.fixture(scope="session")
def scripted_service() -> Iterator[ScriptedProcess]:
    """The scripted OpenAI-compatible service. Whoever uses it calls `reset()` first."""
    with running_scripted() as service:
        yield service


@pytest.fixture(scope="session")
def scripted_parley(
    tmp_path_factory: pytest.TempPathFactory, scripted_service: ScriptedProcess
) -> Iterator[ParleyProcess]:
    """One `parley up` whose recogniser, model and voice are the scripted service. It is parley.example, too."""
    home = tmp_path_factory.mktemp("scripted-parley")
    more = '[voice.tools]\noffer = ["get_time", "calculate"]\n[server]\nallowed_hosts = ["parley.example"]'
    with running_parley(home, config=scripted_service.parley_config(more)) as server:
        yield server
