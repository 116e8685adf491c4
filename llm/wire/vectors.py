"""Requests for vectors and ranks. Sources: OpenAI's OpenAPI document 2.3.0, `CreateEmbeddingRequest`; Jina's and
Cohere's rerank request, which llama.cpp and vLLM serve too. Unknown fields are accepted and passed over.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["EmbeddingRequest", "RerankRequest"]

TokenNumber = Annotated[int, Field(ge=0, lt=2**31)]


class _Wire(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False, strict=True)


class EmbeddingRequest(_Wire):
    """`input` is a text or a list of tokens, or a list of several such."""

    input: str | list[TokenNumber] | list[str] | list[list[TokenNumber]]
    model: str = ""
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int | None, Field(ge=1, le=65_536)] = None
    user: str | None = None


class RerankRequest(_Wire):
    query: Annotated[str, Field(min_length=1)]
    documents: Annotated[list[str | dict[str, Any]], Field(min_length=1, max_length=2048)]
    model: str = ""
    top_n: Annotated[int | None, Field(ge=1)] = None
    return_documents: bool = False
