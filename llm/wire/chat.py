"""OpenAI's chat completion request, as clients send it. Unknown fields are accepted and passed over.
Known ones have the type that the document says: "3" is no number, and `true` is none either.

Source: OpenAI's OpenAPI document 2.3.0, `CreateChatCompletionRequest`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["AdapterIn", "ChatMessage", "ChatRequest", "FunctionCall", "SamplerFields", "StreamOptions", "ToolCallIn"]

Whole = Annotated[int, Field(ge=-(2**31), lt=2**31)]


class _Wire(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False, strict=True)


class FunctionCall(_Wire):
    name: str
    arguments: str = "{}"


class ToolCallIn(_Wire):
    id: str
    type: Literal["function"] = "function"
    function: FunctionCall


class ChatMessage(_Wire):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[dict[str, Any]] | None = None
    name: str | None = None
    tool_calls: list[ToolCallIn] | None = None
    tool_call_id: str | None = None


class StreamOptions(_Wire):
    include_usage: bool | None = False
    continuous_usage_stats: bool | None = False
    """vLLM's: the usage so far, all along the stream."""


class AdapterIn(_Wire):
    """llama.cpp's: which of the slot's LoRA adapters, and how much of it."""

    id: Annotated[int, Field(ge=0, lt=1000)]
    scale: Annotated[float, Field(ge=-100, le=100)] = 1.0


class SamplerFields(_Wire):
    """llama.cpp's own, in chat and text completions alike; out of range means off, as there."""

    repeat_last_n: Whole | None = None
    typical_p: float | None = None
    top_n_sigma: float | None = None
    xtc_probability: Annotated[float | None, Field(ge=0, le=1)] = None
    xtc_threshold: Annotated[float | None, Field(ge=0, le=1)] = None
    dry_multiplier: Annotated[float | None, Field(ge=0)] = None
    dry_base: float | None = None
    dry_allowed_length: Whole | None = None
    dry_penalty_last_n: Whole | None = None
    mirostat: Annotated[int | None, Field(ge=0, le=2)] = None
    mirostat_tau: Annotated[float | None, Field(ge=0)] = None
    mirostat_eta: Annotated[float | None, Field(ge=0)] = None
    dynatemp_range: Annotated[float | None, Field(ge=0)] = None
    dynatemp_exponent: Annotated[float | None, Field(ge=0)] = None
    min_keep: Annotated[int | None, Field(ge=0, lt=2**31)] = None
    ignore_eos: bool | None = False
    lora: Annotated[list[AdapterIn] | None, Field(max_length=64)] = None


class ChatRequest(SamplerFields):
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=10_000)]
    model: str = ""
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    top_p: Annotated[float | None, Field(ge=0, le=1)] = None
    top_k: Annotated[int | None, Field(ge=-1, lt=2**31)] = None
    min_p: Annotated[float | None, Field(ge=0, le=1)] = None
    max_tokens: Annotated[int | None, Field(ge=1, lt=2**31)] = None
    max_completion_tokens: Annotated[int | None, Field(ge=1, lt=2**31)] = None
    stop: str | list[str] | None = None
    seed: Annotated[int | None, Field(ge=-(2**63), lt=2**63)] = None
    n: Annotated[int | None, Field(ge=1, le=128)] = None
    frequency_penalty: Annotated[float | None, Field(ge=-2, le=2)] = None
    presence_penalty: Annotated[float | None, Field(ge=-2, le=2)] = None
    repeat_penalty: Annotated[float | None, Field(gt=0, le=10)] = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int | None, Field(ge=0, le=20)] = None
    grammar: str | None = None
    """llama.cpp's: GBNF that the reply must obey."""
    response_format: dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: str | None = None
    """OpenAI's; "none" turns thinking off where the template can."""
    chat_template_kwargs: dict[str, Any] | None = None
    """vLLM's and llama.cpp's; `enable_thinking` is read."""
    continue_final_message: bool | None = None
    """vLLM's: the last message is the assistant's, and the reply goes on with it."""
    user: str | None = None
    parley_conversation: Annotated[str | None, Field(min_length=1, max_length=256)] = None
    """Ours: the KV sequence to keep between requests."""
    parley_priority: Literal["voice", "interactive", "batch"] | None = None
    """Ours: read by a slot from its own gateway only."""
    parley_user: str | None = None
