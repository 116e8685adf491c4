"""The cores do no I/O, await nothing and read no clock: so a minute of conversation is tested in milliseconds."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.architecture.source_tree import ROOT, modules, name_of, tree_of

# Every core by name: one that is moved or deleted must be taken out of this list on purpose.
CORES = (
    "llm/batching/batcher.py",
    "llm/batching/drafting.py",
    "llm/batching/guessing.py",
    "llm/batching/pace.py",
    "llm/batching/requests.py",
    "llm/batching/sequences.py",
    "llm/routing/breaker.py",
    "llm/routing/breakers.py",
    "llm/remote/call_index.py",
    "llm/client_options.py",
    "llm/convert/chat.py",
    "llm/convert/completions.py",
    "llm/convert/content.py",
    "llm/convert/formats.py",
    "llm/convert/logprobs.py",
    "llm/convert/recording_length.py",
    "llm/convert/sampling.py",
    "llm/convert/vectors.py",
    "llm/slots/eviction.py",
    "llm/memory/cards.py",
    "llm/llamacpp/grammar_guard.py",
    "llm/llamacpp/spin_choice.py",
    "llm/llamacpp/thread_choice.py",
    "llm/remote/llamacpp_completion.py",
    "llm/json_schema/endless.py",
    "llm/json_schema/exclusive.py",
    "llm/json_schema/leaves.py",
    "llm/json_schema/literal_trie.py",
    "llm/json_schema/merging.py",
    "llm/json_schema/number_rules.py",
    "llm/json_schema/pattern_rule.py",
    "llm/json_schema/prepare.py",
    "llm/json_schema/rules.py",
    "llm/json_schema/strict.py",
    "llm/memory/fit.py",
    "llm/memory/folder_fit.py",
    "llm/remote/ndjson.py",
    "llm/remote/ollama_wire.py",
    "llm/remote/passthrough.py",
    "llm/replies/call_text.py",
    "llm/replies/invoke_tags.py",
    "llm/replies/json_call.py",
    "llm/replies/parser.py",
    "llm/replies/python_calls.py",
    "llm/replies/reasoning.py",
    "llm/replies/tool_values.py",
    "llm/replies/tools_in_words.py",
    "llm/remote/request_defaults.py",
    "llm/routing/repeats.py",
    "llm/routing/route_trace.py",
    "llm/routing/router.py",
    "llm/slots/cool_down.py",
    "llm/slots/errors.py",
    "llm/slots/events.py",
    "llm/slots/orders.py",
    "llm/slots/placing.py",
    "llm/slots/queue.py",
    "llm/slots/table.py",
    "llm/slots/scheduler.py",
    "llm/remote/sse.py",
    "llm/remote/text_frames.py",
    "llm/tool_parsing/command_r.py",
    "llm/tool_parsing/deepseek.py",
    "llm/tool_parsing/functionary.py",
    "llm/tool_parsing/glm.py",
    "llm/tool_parsing/granite.py",
    "llm/tool_parsing/harmony.py",
    "llm/tool_parsing/hermes.py",
    "llm/tool_parsing/llama3.py",
    "llm/tool_parsing/mistral.py",
    "llm/tool_parsing/qwen3_coder.py",
    "llm/workers/heartbeat.py",
    "voice/ears/audio_time.py",
    "voice/ears/echo.py",
    "voice/ears/echo_filter.py",
    "voice/ears/echo_finder.py",
    "voice/ears/echo_guard.py",
    "voice/ears/echo_path.py",
    "voice/ears/echo_placing.py",
    "voice/ears/echo_prior.py",
    "voice/ears/likeness.py",
    "voice/ears/loudness.py",
    "voice/ears/clock_drift.py",
    "voice/ears/residual_echo.py",
    "voice/ears/soft_onset.py",
    "voice/ears/segmenter.py",
    "voice/ears/timeline.py",
    "voice/measuring/ledger.py",
    "voice/measuring/turn_metrics.py",
    "voice/mouth/chunker.py",
    "voice/mouth/fillers.py",
    "voice/mouth/heard_words.py",
    "voice/mouth/playout.py",
    "voice/mouth/reply.py",
    "voice/mouth/reply_options.py",
    "voice/protocols/live.py",
    "voice/protocols/live_config.py",
    "voice/protocols/realtime.py",
    "voice/protocols/realtime_beta.py",
    "voice/protocols/realtime_client.py",
    "voice/protocols/realtime_config.py",
    "voice/protocols/realtime_conversation.py",
    "voice/protocols/realtime_items.py",
    "voice/protocols/realtime_lifecycle.py",
    "voice/protocols/realtime_messages.py",
    "voice/protocols/realtime_replies.py",
    "voice/protocols/realtime_response.py",
    "voice/protocols/realtime_schema.py",
    "voice/records/codec.py",
    "voice/records/masking.py",
    "voice/records/recording.py",
    "voice/records/replay.py",
    "voice/session/arbitration.py",
    "voice/turn/pieces.py",
    "voice/session/resume.py",
    "voice/turn/actions.py",
    "voice/turn/answer.py",
    "voice/turn/out_of_band.py",
    "voice/turn/bargein.py",
    "voice/turn/deciding.py",
    "voice/turn/endpointing.py",
    "voice/turn/events.py",
    "voice/turn/floor.py",
    "voice/turn/gate.py",
    "voice/turn/history.py",
    "voice/turn/judging.py",
    "voice/turn/weighing.py",
    "voice/turn/machine.py",
    "voice/turn/machine_start.py",
    "voice/turn/nearness.py",
    "voice/turn/bracing.py",
    "voice/turn/own_voice.py",
    "voice/turn/noting.py",
    "voice/turn/report.py",
    "voice/turn/requests.py",
    "voice/turn/revision.py",
    "voice/turn/slowness.py",
    "voice/turn/states.py",
    "voice/turn/thinking.py",
    "voice/turn/tool_rounds.py",
    "voice/turn/wake_text.py",
    "voice/turn/waking.py",
    "voice/turn_detection/adaptive.py",
    "voice/turn_detection/fixed.py",
    "voice/turn_detection/habits.py",
    "voice/turn_detection/unfinished.py",
)
NO_IMPORT = {
    "aiohttp", "anyio", "asyncio", "concurrent", "http", "io", "multiprocessing", "os", "pathlib",
    "queue", "random", "secrets", "select", "shutil", "signal", "socket", "subprocess", "sys", "tempfile",
    "threading", "time", "urllib", "uuid",
}  # fmt: skip
NO_CALL = {"open", "print", "input", "exec", "eval", "breakpoint", "__import__"}
NO_CLOCK = {"now", "utcnow", "today"}
"""Of datetime: it may hold a time, and not ask for one."""
# Containers are taken apart in memory: codecs may use io.BytesIO, and nothing else that the cores may not.
CODEC_MAY_IMPORT = {"io"}


def _impurities(path: Path, allowed: frozenset[str] = frozenset()) -> list[str]:
    found = []
    for_types = {
        id(inner)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in node.body
    }
    for node in ast.walk(tree_of(path)):
        if id(node) in for_types:
            continue
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name.split(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [node.module.split(".")[0]]
        elif isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith):
            found.append(f"line {node.lineno}: {type(node).__name__}")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in NO_CALL:
            found.append(f"line {node.lineno}: {node.func.id}()")
        elif isinstance(node, ast.Attribute) and node.attr in NO_CLOCK and isinstance(node.value, ast.Name):
            found += [f"line {node.lineno}: {node.attr}"] if node.value.id in ("datetime", "date") else []
        found += [f"line {node.lineno}: import {name}" for name in names if name in NO_IMPORT - allowed]
    return found


@pytest.mark.parametrize("name", CORES)
def test_core_is_pure(name: str) -> None:
    path = ROOT / name
    assert path.is_file(), f"{name} is gone: a core that was moved is taken along in this list"
    assert _impurities(path) == []


def _says_pure(path: Path) -> bool:
    # Read as text: this runs while tests are collected, when one broken file must not hide all the others.
    summary = path.read_text(encoding="utf-8").lstrip().split("\n\n")[0].lower()
    return summary.startswith('"""') and re.search(r"(\"\"\"|[.;:]\s)pure[.;:]", summary) is not None


@pytest.mark.parametrize("path", [path for path in modules() if _says_pure(path)], ids=name_of)
def test_what_calls_itself_pure_is_pure(path: Path) -> None:
    assert _impurities(path) == []


@pytest.mark.parametrize("path", sorted((ROOT / "voice" / "codecs").glob("*.py")), ids=name_of)
def test_codecs_work_in_memory(path: Path) -> None:
    assert _impurities(path, frozenset(CODEC_MAY_IMPORT)) == []


def test_the_check_itself_sees(tmp_path: Path) -> None:
    guilty = tmp_path / "guilty.py"
    guilty.write_text(
        "import time\nfrom os import path\nasync def f():\n    await g()\nopen('x')\ndatetime.now()\n"
        "if TYPE_CHECKING:\n    from pathlib import Path\n",
        encoding="utf-8",
    )
    assert len(_impurities(guilty)) == 6
