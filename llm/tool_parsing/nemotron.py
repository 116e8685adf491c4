"""NVIDIA Nemotron: a JSON list of calls between `<TOOLCALL>` and `</TOOLCALL>`.

Source: the chat templates of Nemotron Nano v2; llama.cpp's common/chat.cpp, COMMON_CHAT_FORMAT_NEMOTRON_V2.
"""

from __future__ import annotations

from llm.replies.json_list import json_list_format

__all__ = ["SPEC"]

SPEC = json_list_format("nemotron", "<TOOLCALL>", "</TOOLCALL>", rank=30)
