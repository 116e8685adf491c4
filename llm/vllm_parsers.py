"""Which of vLLM's parsers read a model's replies. `parsers_of` is pure; the others read files.

vLLM finds tool calls and thoughts only with the parsers that it is told, by `--tool-call-parser` (with
`--enable-auto-tool-choice`, without which a request with tools is refused) and `--reasoning-parser`. Which one
a model needs is told by its chat template, as for our own parsers, and where several share one by its
`model_type`. The names are those of vLLM's documentation (Tool Calling, Reasoning Outputs); a name that the
installed vLLM does not have is left out, for it would not start with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from llm.replies.tool_calls import tool_format
from llm.tool_parsing.llama3 import XLAM

__all__ = ["parser_options", "parsers_of", "template_of"]

_TOOLS = {
    "qwen3_coder": "qwen3_coder",
    "glm": "glm45",
    "mistral": "mistral",
    "granite": "granite",
    "command_r": "cohere_command3",
    "harmony": "openai",
    "kimi": "kimi_k2",
    "minimax": "minimax_m2",
    "lfm2": "lfm2",
    "olmo3": "olmo3",
    "apertus": "apertus",
    "internlm": "internlm",
    "phi4_mini": "phi4_mini_json",
}
"""Our formats that are one of vLLM's each. It has none for `functionary` and `nemotron`."""


def parsers_of(template: str, model_type: str) -> tuple[str, str]:
    """(for tool calls, for thoughts); "" where the model writes none, or vLLM reads none."""
    form = tool_format(template).name
    return _tools(form, template, model_type), _thoughts(form, template, model_type)


def parser_options(model: Path, template: str = "") -> list[str]:
    """Options of `vllm serve`. `template`: the one that the settings name instead of the model's own."""
    config = _object(model / "config.json")
    kind = config.get("model_type")
    tools, thoughts = parsers_of(template or _template(model), kind if isinstance(kind, str) else "")
    argv: list[str] = []
    if tools and _has("tool_parsers", tools):
        argv += ["--enable-auto-tool-choice", "--tool-call-parser", tools]
    if thoughts and _has("reasoning", thoughts):
        argv += ["--reasoning-parser", thoughts]
    return argv


def template_of(setting: str) -> str:
    """vLLM's `--chat-template` is a file, or the template itself."""
    try:
        return Path(setting).read_text(encoding="utf-8") if setting else ""
    except (OSError, ValueError):
        return setting


def _tools(form: str, template: str, model_type: str) -> str:
    match form:
        case "hermes":  # also what a template without tools is taken for; DeepSeek V3.2 comes without a template
            bare = {"deepseek_v32": "deepseek_v32", "deepseek_v4": "deepseek_v4"}.get(model_type, "")
            return "hermes" if "<tool_call>" in template else bare
        case "llama3":
            if XLAM in template:
                return "xlam"
            if model_type.startswith("llama4"):
                return "llama4_pythonic"
            return "pythonic" if "[func_name1(" in template else "llama3_json"
        case "qwen3_coder" if "<seed:tool_call>" in template:
            return "seed_oss"
        case "deepseek":
            return "deepseek_v3" if "```json" in template else "deepseek_v31"
        case "deepseek_dsml":
            return "deepseek_v4" if model_type == "deepseek_v4" else "deepseek_v32"
        case "gemma":
            return "gemma4" if "<|tool_call>" in template else "functiongemma"
        case "jamba":
            return "hunyuan_a13b" if model_type.startswith("hunyuan") else "jamba"
    return _TOOLS.get(form, "")


def _thoughts(form: str, template: str, model_type: str) -> str:
    """Only where the family has a parser of its own: one of another family would take answers for thoughts."""
    own = {"harmony": "openai_gptoss", "minimax": "minimax_m2"}
    if form in own:
        return own[form]
    if model_type == "gemma4":
        return "gemma4"
    if "[THINK]" in template:
        return "mistral"
    if "<seed:think>" in template:
        return "seed_oss"
    if "<think>" not in template:
        return ""
    for begin, name in (("qwen3", "qwen3"), ("glm4", "glm45"), ("kimi", "kimi_k2"), ("hunyuan", "hunyuan_a13b")):
        if model_type.startswith(begin):
            return name
    if "<｜Assistant｜>" in template:
        return "deepseek_r1" if "<think>\\n" in template else "deepseek_v3"
    return ""


def _template(model: Path) -> str:
    """As transformers finds it: a file of its own, else in tokenizer_config.json, where the default one of several is
    called so.
    """
    try:
        return (model / "chat_template.jinja").read_text(encoding="utf-8")
    except (OSError, ValueError):
        found = _object(model / "tokenizer_config.json").get("chat_template")
    if isinstance(found, list):
        named = {row.get("name"): row.get("template") for row in found if isinstance(row, Mapping)}
        found = named.get("tool_use") or named.get("default")
    return found if isinstance(found, str) else ""


def _object(path: Path) -> Mapping[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, Mapping) else {}


def _has(package: str, name: str) -> bool:
    """By the list in vLLM's source, which is not imported for it: that takes seconds. True where none is found."""
    spec = find_spec("vllm")
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        try:
            return f'"{name}"' in (Path(folder) / package / "__init__.py").read_text(encoding="utf-8")
        except (OSError, ValueError):
            continue
    return True
