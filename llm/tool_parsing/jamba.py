"""AI21 Jamba and Tencent Hunyuan A13B: a JSON list of calls between `<tool_calls>` and `</tool_calls>`.

Source: vLLM's jamba and hunyuan_a13b tool parsers.
"""

from __future__ import annotations

from llm.replies.json_list import json_list_format

__all__ = ["SPEC"]

SPEC = json_list_format("jamba", "<tool_calls>", "</tool_calls>", rank=30)
