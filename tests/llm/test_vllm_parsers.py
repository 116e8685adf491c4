"""Which parsers vLLM is told for the families of models, and what a slot of it is sent."""

from __future__ import annotations

import json
from pathlib import Path

import aiohttp
import pytest

from llm.backends.slot import SlotBackend
from llm.engine import EngineConfig
from llm.engines import vllm
from llm.messages import GenerateRequest, Message, Sampling
from llm.port import BackendConfig
from llm.settings import EngineSettings
from llm.vllm_parsers import parsers_of
from models.clock import SystemClock

THINK = "<think></think>"


@pytest.mark.parametrize(
    ("template", "model_type", "parsers"),
    [
        ("<tool_call></tool_call>", "qwen2", ("hermes", "")),
        (f"<tool_call></tool_call>{THINK}", "qwen3", ("hermes", "qwen3")),
        (f"<tool_call><function=a><parameter=b>{THINK}", "qwen3_5", ("qwen3_coder", "qwen3")),
        (f"<tool_call><arg_key>{THINK}", "glm4_moe", ("glm45", "glm45")),
        ("<|start_header_id|><|python_tag|>", "llama", ("llama3_json", "")),
        ("<|header_start|><|python_start|>", "llama4", ("llama4_pythonic", "")),
        ("[TOOL_CALLS]", "mistral", ("mistral", "")),
        ("[TOOL_CALLS][THINK]", "mistral3", ("mistral", "mistral")),
        ("<｜tool▁calls▁begin｜>```json", "deepseek_v3", ("deepseek_v3", "")),
        (f"<｜tool▁calls▁begin｜><｜Assistant｜>{THINK}", "deepseek_v3", ("deepseek_v31", "deepseek_v3")),
        ("<｜tool▁calls▁begin｜>```json<｜Assistant｜<think>\\n", "deepseek_v3", ("deepseek_v3", "")),
        ("<｜tool▁calls▁begin｜>```json<｜Assistant｜><think>\\n", "deepseek_v3", ("deepseek_v3", "deepseek_r1")),
        ("", "deepseek_v32", ("deepseek_v32", "")),
        ("<|tool_calls_section_begin|>", "kimi_k2", ("kimi_k2", "")),
        (f"<minimax:tool_call>{THINK}", "minimax_m2", ("minimax_m2", "minimax_m2")),
        ("<|channel|>analysis<|message|>", "gpt_oss", ("openai", "openai_gptoss")),
        (f"<tool_calls>{THINK}", "hunyuan_v1_moe", ("hunyuan_a13b", "hunyuan_a13b")),
        ("<tool_calls>", "jamba", ("jamba", "")),
        ("<|tool_call>call:", "gemma4", ("gemma4", "gemma4")),
        ("<TOOLCALL>", "nemotron_h", ("", "")),
        ("<seed:tool_call><function=a><parameter=b><seed:think>", "seed_oss", ("seed_oss", "seed_oss")),
        ('[{"name": "tool_call_name1"', "llama", ("xlam", "")),
        ("<function_calls>", "olmo3", ("olmo3", "")),
        ("{{ messages }}", "gpt2", ("", "")),
    ],
)
def test_parsers_of_the_families(template: str, model_type: str, parsers: tuple[str, str]) -> None:
    assert parsers_of(template, model_type) == parsers


def _command(folder: Path, chat_template: str = "") -> list[str]:
    settings = EngineSettings(chat_template=chat_template)
    return list(vllm.command(EngineConfig(folder, "m", settings, SystemClock()), 1))


def test_the_command_line_names_them(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen3"}))
    row = {"name": "default", "template": f"<tool_call>{THINK}"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": [row]}))
    told = _command(tmp_path)
    assert told[told.index("--tool-call-parser") + 1] == "hermes" and "--enable-auto-tool-choice" in told
    assert told[told.index("--reasoning-parser") + 1] == "qwen3"
    (tmp_path / "chat_template.jinja").write_text("<|tool_calls_section_begin|>")
    assert "kimi_k2" in _command(tmp_path)
    (tmp_path / "other.jinja").write_text("[TOOL_CALLS]")
    assert "mistral" in _command(tmp_path, str(tmp_path / "other.jinja"))


@pytest.mark.parametrize("broken", ["{", "[]", '{"model_type": 5, "chat_template": 7}'])
def test_a_folder_that_says_nothing_gets_none(tmp_path: Path, broken: str) -> None:
    (tmp_path / "config.json").write_text(broken)
    (tmp_path / "tokenizer_config.json").write_text(broken)
    assert "--tool-call-parser" not in _command(tmp_path) and "--reasoning-parser" not in _command(tmp_path)


async def test_a_slot_is_told_vllms_names_too() -> None:
    async with aiohttp.ClientSession() as http:
        backend = SlotBackend(BackendConfig("slot-1", "slot", "http://127.0.0.1:1/v1"), http)
        asked = GenerateRequest(
            (Message("user", "x"),), sampling=Sampling(repeat_penalty=1.2), grammar='root ::= "a"'
        )
        body = backend.body(asked)
    assert body["repetition_penalty"] == body["repeat_penalty"] == 1.2
    assert body["structured_outputs"] == {"grammar": 'root ::= "a"'} and body["grammar"] == 'root ::= "a"'
