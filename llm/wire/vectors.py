"""Requests for vectors and ranks. Sources: OpenAI's OpenAPI document 2.3.0, `CreateEmbeddingRequest`; Jina's and
Cohere's rerank request, which llama.cpp and vLLM serve too. Unknown fields are accepted and passed over.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["EmbeddingInput", "EmbeddingRequest", "RerankRequest"]

TokenNumber = Annotated[int, Field(ge=0, lt=2**31)]


class _Wire(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False, strict=True)


class EmbeddingInput(_Wire):
    """One thing to embed, as Jina writes it ({"text"} or {"image"}: an address, a data URL or base64), as a part of a
    message (`type` with `text` or `image_url`), or as `content` with one such part (OpenRouter).
    """

    text: str | None = None
    image: str | None = None
    type: str | None = None
    image_url: str | dict[str, Any] | None = None
    content: Annotated[list[dict[str, Any]] | None, Field(max_length=1)] = None


class EmbeddingRequest(_Wire):
    """`input` is a text, a list of tokens or an object with a text or an image, or a list of several such."""

    input: (
        str
        | list[TokenNumber]
        | list[str]
        | list[list[TokenNumber]]
        | EmbeddingInput
        | Annotated[list[str | EmbeddingInput], Field(max_length=2048)]
    )
    model: str = ""
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int | None, Field(ge=1, le=65_536)] = None
    user: str | None = None

    @property
    def has_objects(self) -> bool:
        """And not only texts and tokens, as OpenAI's own."""
        items = self.input if isinstance(self.input, list) else [self.input]
        return any(isinstance(item, EmbeddingInput) for item in items)


class RerankRequest(_Wire):
    query: Annotated[str, Field(min_length=1)]
    documents: Annotated[list[str | dict[str, Any]], Field(min_length=1, max_length=2048)]
    model: str = ""
    top_n: Annotated[int | None, Field(ge=1)] = None
    return_documents: bool = False
