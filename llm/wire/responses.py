"""OpenAI's Responses request, as clients send it. Unknown fields are accepted and passed over.

Source: OpenAI's OpenAPI document 2.3.0, `CreateResponse`.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["ResponsesRequest"]

Item = dict[str, Any]


class ResponsesRequest(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False, strict=True)

    input: str | Annotated[list[Item], Field(max_length=10_000)] = ""
    model: str = ""
    instructions: str | None = None
    previous_response_id: Annotated[str | None, Field(max_length=256)] = None
    store: bool | None = None
    stream: bool | None = None
    background: bool | None = None
    conversation: str | dict[str, Any] | None = None
    prompt: dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    top_p: Annotated[float | None, Field(ge=0, le=1)] = None
    max_output_tokens: Annotated[int | None, Field(ge=1, lt=2**31)] = None
    top_logprobs: Annotated[int | None, Field(ge=0, le=20)] = None
    include: list[str] | None = None
    text: dict[str, Any] | None = None
    reasoning: dict[str, Any] | None = None
    metadata: dict[str, str] | None = None
    truncation: str | None = None
    service_tier: str | None = None
    user: str | None = None
