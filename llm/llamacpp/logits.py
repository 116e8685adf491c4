"""The logits of one position: as a numpy view, as candidates for a sampler, as logarithms of probabilities."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt

from llm.llamacpp.library import native
from llm.llamacpp.vocab import Vocab
from llm.stream import TokenLogprob

__all__ = ["Candidates", "logits_at", "token_logprob"]

_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
"""llama_token_data."""


def logits_at(context: Any, index: int, size: int) -> npt.NDArray[np.float32]:
    """A view that is valid until the next step. `index` is the token's place in the batch."""
    pointer = native.llama_get_logits_ith(context, index)
    return np.ctypeslib.as_array(pointer, (size,))


class Candidates:
    """A llama_token_data_array over our own memory, for samplers that are asked one by one."""

    def __init__(self, size: int) -> None:
        self._items = np.zeros(size, _CANDIDATE)
        self._ids = np.arange(size, dtype=np.int32)
        self._pointer = self._items.ctypes.data_as(ctypes.POINTER(native.llama_token_data))
        self._array = native.llama_token_data_array(data=self._pointer, size=size, selected=-1, sorted=False)

    def fill(self, logits: npt.NDArray[np.float32]) -> None:
        self._items["id"] = self._ids
        self._items["logit"] = logits
        self._items["p"] = 0.0
        self._begin(len(logits))

    def only(self, token: int) -> None:
        self._items[0] = (token, 1.0, 0.0)
        self._begin(1)

    def _begin(self, size: int) -> None:
        array = self._array
        array.data = self._pointer  # XTC moves it
        array.size, array.selected, array.sorted = size, -1, False

    def apply(self, sampler: Any) -> None:
        native.llama_sampler_apply(sampler, ctypes.byref(self._array))

    @property
    def chosen(self) -> int:
        return int(self._array.data[self._array.selected].id)

    @property
    def first_allowed(self) -> bool:
        return bool(self._items[0]["logit"] > -np.inf)


def token_logprob(logits: npt.NDArray[np.float32], token: int, most: int, vocab: Vocab) -> TokenLogprob:
    """Of the chosen token and the `most` likeliest ones, before any sampler, as llama.cpp's server reports them."""
    highest = float(logits.max())
    total = highest + float(np.log(np.exp(logits - highest, dtype=np.float64).sum()))

    def one(number: int, top: tuple[TokenLogprob, ...] = ()) -> TokenLogprob:
        data = vocab.written(number)
        return TokenLogprob(data.decode("utf-8", "replace"), float(logits[number]) - total, data, top, number)

    best: list[int] = []
    if most > 0:
        rough = np.argpartition(logits, -most)[-most:] if most < len(logits) else np.arange(len(logits))
        best = [int(number) for number in rough[np.argsort(-logits[rough], kind="stable")]]
    return one(token, tuple(one(number) for number in best))
