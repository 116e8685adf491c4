"""Vectors and ranks between the wire and our numbers. Pure."""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from llm.convert.content import MAX_MEDIA_PARTS, data_url, read_image
from llm.messages import ImagePart
from llm.wire.vectors import EmbeddingInput, EmbeddingRequest, RerankRequest
from models.errors import BadInput

__all__ = [
    "MAX_INPUTS",
    "cosine",
    "document_texts",
    "embedding_answer",
    "inputs_of",
    "normalised",
    "rerank_answer",
    "shows_images",
    "texts_of",
    "wire_inputs",
]

MAX_INPUTS = 2048
"""OpenAI's own bound."""


def shows_images(body: Mapping[str, Any]) -> bool:
    """Whether a body of /v1/embeddings, which may still be anything, holds more than texts and tokens."""
    given = body.get("input")
    items = given if isinstance(given, list) else [given]
    return any(isinstance(item, dict) and not isinstance(item.get("text"), str) for item in items)


def inputs_of(request: EmbeddingRequest) -> list[str | list[int] | ImagePart]:
    """Raises BadInput for none, too many, or one that is empty or no text and no image."""
    given = request.input
    inputs: list[str | list[int] | ImagePart]
    if isinstance(given, str | EmbeddingInput):
        inputs = [given if isinstance(given, str) else _input(given, "input")]
    elif given and not isinstance(given[0], int):
        inputs = [
            _input(item, f"input[{place}]") if isinstance(item, EmbeddingInput) else item
            for place, item in enumerate(given)
            if isinstance(item, str | list | EmbeddingInput)
        ]
    else:
        inputs = [[token for token in given if isinstance(token, int)]]
    images = sum(isinstance(one, ImagePart) for one in inputs)
    if images > MAX_MEDIA_PARTS:
        raise BadInput(f"{images} images; {MAX_MEDIA_PARTS} are taken in one request", param="input")
    if len(inputs) > MAX_INPUTS:
        raise BadInput(f"{len(inputs)} inputs; {MAX_INPUTS} are taken in one request", param="input")
    if not inputs or not all(inputs):
        raise BadInput("there is nothing to embed", param="input")
    return inputs


def _input(given: EmbeddingInput, where: str) -> str | ImagePart:
    if given.content is not None:
        try:
            given = EmbeddingInput.model_validate(given.content[0] if given.content else {})
        except ValueError:
            raise BadInput("content is one text or one image", param=f"{where}.content") from None
    image = given.image if given.image is not None else given.image_url
    if (image is None) == (given.text is None):
        raise BadInput('an input has one text or one image: {"text": ...} or {"image": ...}', param=where)
    if given.text is not None:
        return given.text
    if given.image is not None and not given.image[:8].lower().startswith(("data:", "http:", "https:")):
        image = f"data:image/*;base64,{given.image}"  # as Jina takes it
    return read_image(image, None, f"{where}.{'image_url' if given.image is None else 'image'}")


def texts_of(request: EmbeddingRequest, who: str) -> list[str | list[int]]:
    """For somebody who embeds nothing else. Raises BadInput."""
    inputs = inputs_of(request)
    for place, one in enumerate(inputs):
        if isinstance(one, ImagePart):
            raise BadInput(
                f"{who} embeds no images",
                param=f"input[{place}]",
                hint="name a model of type vision-embedding, such as a CLIP or SigLIP in a slot",
            )
    return [one for one in inputs if not isinstance(one, ImagePart)]


def wire_inputs(inputs: Sequence[str | list[int] | ImagePart]) -> list[Any]:
    """As Jina's API and our slots take them."""
    return [{"image": data_url(one)} if isinstance(one, ImagePart) else one for one in inputs]


def normalised(vector: Sequence[float], dimensions: int | None = None) -> list[float]:
    """Of length 1; with `dimensions`, its first ones only (Matryoshka), as OpenAI cuts. Raises BadInput."""
    if dimensions is not None and dimensions > len(vector):
        raise BadInput(f"the vectors of this model have {len(vector)} dimensions", param="dimensions")
    cut = vector[:dimensions]
    length = math.sqrt(sum(value * value for value in cut))
    return [value / length for value in cut] if length > 0 else list(cut)


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    """Of normalised vectors."""
    return sum(x * y for x, y in zip(a, b, strict=True))


def embedding_answer(
    request: EmbeddingRequest, vectors: Sequence[Sequence[float]], model: str, tokens: int
) -> dict[str, Any]:
    def written(vector: list[float]) -> list[float] | str:
        if request.encoding_format == "float":
            return vector
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")

    rows = [
        {"object": "embedding", "index": index, "embedding": written(normalised(vector, request.dimensions))}
        for index, vector in enumerate(vectors)
    ]
    return {
        "object": "list",
        "data": rows,
        "model": model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def document_texts(request: RerankRequest) -> list[str]:
    """Raises BadInput for a document without text."""
    texts = []
    for index, document in enumerate(request.documents):
        text = document if isinstance(document, str) else document.get("text")
        if not isinstance(text, str) or not text:
            raise BadInput('a document is a text or {"text": ...}', param=f"documents[{index}]")
        texts.append(text)
    return texts


def rerank_answer(
    request: RerankRequest, texts: Sequence[str], scores: Sequence[float], model: str, tokens: int
) -> dict[str, Any]:
    """The best first, as Jina's API and llama.cpp's server answer."""
    order = sorted(range(len(scores)), key=lambda index: (-scores[index], index))[: request.top_n]
    results: list[dict[str, Any]] = [{"index": index, "relevance_score": scores[index]} for index in order]
    if request.return_documents:
        for result in results:
            result["document"] = {"text": texts[result["index"]]}
    return {
        "object": "list",
        "model": model,
        "results": results,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
