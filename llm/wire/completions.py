"""The text completion requests: OpenAI's `/v1/completions` and llama.cpp's own `/completion`.

Sources: OpenAI's OpenAPI document 2.3.0, `CreateCompletionRequest`; llama.cpp's tools/server/README.md.
Unknown fields are accepted and passed over; known ones that cannot be served are refused where they are read.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, Strict

from llm.wire.chat import SamplerFields, StreamOptions

__all__ = ["DEFAULT_TOKENS", "CompletionRequest", "DetokenizeRequest", "NativeCompletionRequest", "TokenizeRequest"]

TokenNumber = Annotated[int, Field(ge=0, lt=2**31)]
TokenBias = Annotated[tuple[TokenNumber, float | Literal[False]], Strict(False)]
"""A JSON list; only a strict tuple would have to be one of Python."""
DEFAULT_TOKENS = 16
"""OpenAI's, for a text completion that says nothing else."""
Whole = Annotated[int, Field(ge=-(2**63), lt=2**63)]


class _Wire(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False, strict=True)


class CompletionRequest(SamplerFields):
    """`prompt` is a text or a list of tokens, or a list of several such."""

    prompt: str | list[TokenNumber] | list[str] | list[list[TokenNumber]]
    model: str = ""
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    top_p: Annotated[float | None, Field(ge=0, le=1)] = None
    top_k: Annotated[int | None, Field(ge=0)] = None
    min_p: Annotated[float | None, Field(ge=0, le=1)] = None
    max_tokens: Annotated[int | None, Field(ge=0, lt=2**31)] = None
    """None: DEFAULT_TOKENS. 0 reads the prompt only."""
    stop: str | list[str] | None = None
    seed: Whole | None = None
    n: Annotated[int | None, Field(ge=1, le=128)] = None
    best_of: Annotated[int | None, Field(ge=1, le=20)] = None
    echo: bool | None = None
    suffix: str | None = None
    logprobs: Annotated[int | None, Field(ge=0, le=5)] = None
    frequency_penalty: Annotated[float | None, Field(ge=-2, le=2)] = None
    presence_penalty: Annotated[float | None, Field(ge=-2, le=2)] = None
    repeat_penalty: Annotated[float | None, Field(gt=0, le=10)] = None
    logit_bias: dict[str, float] | None = None
    grammar: str | None = None
    parley_conversation: Annotated[str | None, Field(min_length=1, max_length=256)] = None
    parley_priority: Literal["voice", "interactive", "batch"] | None = None


class NativeCompletionRequest(SamplerFields):
    """-1 means no limit for `n_predict` and a fresh one for `seed`, as in llama.cpp."""

    prompt: str | list[TokenNumber | str | list[TokenNumber | str]] | dict[str, Any]
    """Text, or text and tokens mixed, or several of either; or text with media."""
    stream: bool | None = False
    n_predict: Annotated[int, Field(ge=-1, lt=2**31)] = -1
    n_probs: Annotated[int, Field(ge=0, le=100)] = 0
    return_tokens: bool = False
    temperature: Annotated[float | None, Field(ge=0)] = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repeat_penalty: Annotated[float | None, Field(gt=0, le=10)] = None
    presence_penalty: Annotated[float | None, Field(ge=-2, le=2)] = None
    frequency_penalty: Annotated[float | None, Field(ge=-2, le=2)] = None
    seed: Whole = -1
    stop: list[str] = []
    logit_bias: list[TokenBias] | dict[str, float] | None = None
    grammar: str | None = None
    json_schema: dict[str, Any] | None = None
    cache_prompt: bool = True
    samplers: list[str] | str | None = None
    """Those that are not named are off. Their order is always llama.cpp's own."""
    id_slot: Annotated[int, Field(ge=-1, lt=1024)] = -1
    """Requests with the same number share a KV sequence; -1: whichever fits best."""
    response_fields: list[str] | None = None
    parley_conversation: Annotated[str | None, Field(min_length=1, max_length=256)] = None
    parley_priority: Literal["voice", "interactive", "batch"] | None = None


class TokenizeRequest(_Wire):
    content: str
    add_special: bool = False
    parse_special: bool = True
    with_pieces: bool = False


class DetokenizeRequest(_Wire):
    tokens: Annotated[list[TokenNumber], Field(max_length=1_000_000)]
