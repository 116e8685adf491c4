"""OpenAI's chat completion request, as clients send it. Unknown fields are accepted and passed over.

Source: OpenAI's OpenAPI document 2.3.0, `CreateChatCompletionRequest`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["ChatMessage", "ChatRequest", "FunctionCall", "StreamOptions", "ToolCallIn"]


class _Wire(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)


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
    include_usage: bool = False


class ChatRequest(_Wire):
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=10_000)]
    model: str = ""
    stream: bool = False
    stream_options: StreamOptions | None = None
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    top_p: Annotated[float | None, Field(ge=0, le=1)] = None
    top_k: Annotated[int | None, Field(ge=0)] = None
    min_p: Annotated[float | None, Field(ge=0, le=1)] = None
    max_tokens: Annotated[int | None, Field(ge=1)] = None
    max_completion_tokens: Annotated[int | None, Field(ge=1)] = None
    stop: str | list[str] | None = None
    seed: int | None = None
    n: Annotated[int | None, Field(ge=1, le=128)] = None
    frequency_penalty: Annotated[float | None, Field(ge=-2, le=2)] = None
    presence_penalty: Annotated[float | None, Field(ge=-2, le=2)] = None
    repeat_penalty: Annotated[float | None, Field(gt=0, le=10)] = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    response_format: dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    user: str | None = None
    parley_conversation: Annotated[str | None, Field(min_length=1, max_length=256)] = None
    """Ours: the KV sequence to keep between requests."""
    parley_priority: Literal["voice", "interactive", "batch"] | None = None
    """Ours: read by a slot from its own gateway only."""
    parley_user: str | None = None
