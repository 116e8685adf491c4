"""A server in a control group that has less memory than its models would take: it lives within it."""

from __future__ import annotations

import json
import os
import shutil
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from llm.memory.cgroups import groups_of
from tests.parley_process import running_parley

MODELS = 6
PARLEY_MINI = Path(__file__).parents[2] / "models" / "bundled" / "parley-mini.gguf"
LIMIT_BYTES = 832 << 20
"""The server and its pinned model take 330 to 500 MiB, each further model 130: two or three of the six fit."""
CONFIG = """
[llm]
model = "parley-mini"
memory_floor_mib = 48
"""


@pytest.fixture
def memory_group() -> Iterator[Path]:
    """A new group of ours with a limit. Making one takes root, and a kernel that lets us."""
    name = f"parley-test-{os.getpid()}"
    for parent in groups_of("memory"):
        group = parent / name
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            for limit in ("memory.max", "memory.limit_in_bytes"):
                if (group / limit).is_file():
                    (group / limit).write_text(str(LIMIT_BYTES), encoding="ascii")
                    yield group
                    return
        finally:
            with suppress(OSError):
                group.rmdir()
    pytest.skip("no control group with a memory limit can be made here")


def killed(group: Path) -> int:
    """Processes that the kernel ended for want of memory."""
    counts = next(file for name in ("memory.events", "memory.oom_control") if (file := group / name).is_file())
    rows = dict(line.split() for line in counts.read_text(encoding="ascii").splitlines())
    return int(rows.get("oom_kill", 0))  # older kernels do not count them


def test_models_give_way_within_a_containers_limit(tmp_path: Path, memory_group: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    names = [f"m{number}" for number in range(MODELS)]
    for name in names:
        shutil.copyfile(PARLEY_MINI, models / f"{name}.gguf")
    with running_parley(tmp_path, config=CONFIG, group=memory_group) as parley:
        for name in names:
            message = {"role": "user", "content": "What is the capital of France?"}
            reply = parley.post("/v1/chat/completions", {"model": name, "messages": [message], "temperature": 0})
            assert "Paris" in json.dumps(reply)
        asked = urllib.request.Request(parley.base_url + "/admin/api/slots", headers=parley.headers)
        with urllib.request.urlopen(asked, timeout=60) as answer:
            told = json.loads(answer.read())
        assert told["memory"]["total_bytes"] == LIMIT_BYTES
        loaded = [row["model"] for row in told["slots"] if row.get("model")]
        assert loaded[0] == "parley-mini" and names[-1] in loaded and len(loaded) < 1 + MODELS
        memory = [row["memory"] for row in told["slots"] if row.get("model")]
        assert sum(row["expected_bytes"] + row["cache_ram_bytes"] for row in memory) < LIMIT_BYTES
        assert all(not row.get("restarts") for row in told["slots"])
    assert killed(memory_group) == 0
