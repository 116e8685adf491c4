"""The likeliest tokens of many rows at once, found with numpy, and sampled among by llama.cpp's own samplers.

`llama_sampler_sample` writes a record for each token of the vocabulary and then searches them for the few that top-k
leaves: 60 microseconds a row with 32 000 tokens; a step of a small model takes no longer. Here the logits are read
where they lie. Cut into blocks, as many blocks as tokens are asked for have a maximum that is no less than a certain
bar; so at least as many logits are no less than it, and none of the likeliest is below. What reaches the bar, a few
more than asked for, goes through the chain, which orders it and cuts it off as ever.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from llm.llamacpp.library import native
from llm.llamacpp.sampling import SamplerChain

__all__ = ["Shortlist"]

CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
"""llama_token_data."""
BLOCK = 32
"""Logits in a block; fewer where a small vocabulary would have too few blocks."""


class _Array(ctypes.Structure):
    """llama_token_data_array, with its address as a number."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("selected", ctypes.c_int64),
        ("sorted", ctypes.c_bool),
    )


def _bound(name: str, result: Any, *arguments: Any) -> Any:
    """A function of the library with types of our own, beside the binding that others use."""
    function = native._lib[name]
    function.restype, function.argtypes = result, arguments
    return function


class Shortlist:
    """Of one context. Used by one thread."""

    def __init__(self, context: int, vocabulary: int) -> None:
        self._context = context
        self._size = vocabulary
        self._views: dict[tuple[int, int], npt.NDArray[np.float32]] = {}
        self._array = _Array()
        self._at = ctypes.addressof(self._array)
        self._logits_at = _bound("llama_get_logits_ith", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int32)
        self._apply = _bound("llama_sampler_apply", None, ctypes.c_void_p, ctypes.c_void_p)

    def sample(self, places: Sequence[int], chains: Sequence[SamplerChain]) -> list[int] | None:
        """A token for each row; `places`: where in the batch its logits are. None, and no chain was asked, where one
        of the chains must see more, the rows do not lie side by side, or the logits are no numbers.
        """
        rows, most = len(chains), max(chain.sees for chain in chains)
        block = BLOCK if self._size >= 2 * BLOCK * most else self._size // (2 * most)
        if block < 2 or min(chain.sees for chain in chains) == 0:
            return None
        logits = self._rows(places[0], places[-1], rows)
        if logits is None:
            return None
        blocks = self._size // block
        highest = logits[:, : block * blocks].reshape(rows, block, blocks).max(axis=1)
        found = np.flatnonzero(logits >= _bars(highest, [chain.sees for chain in chains])[:, None])
        ends = np.searchsorted(found, self._size * np.arange(rows + 1)).tolist() if rows > 1 else [0, len(found)]
        if any(ends[row + 1] - ends[row] < chain.sees for row, chain in enumerate(chains)):
            return None
        items = np.zeros(len(found), CANDIDATE)
        ids = items["id"]
        ids[:] = found % self._size if rows > 1 else found
        items["logit"] = logits.reshape(-1)[found]
        return self._choose(items, ids, ends, chains)

    def _choose(
        self, items: npt.NDArray[Any], ids: npt.NDArray[np.int32], ends: list[int], chains: Sequence[SamplerChain]
    ) -> list[int]:
        tokens: list[int] = []
        array, data = self._array, items.ctypes.data
        for chain, start, end in zip(chains, ends[:-1], ends[1:], strict=True):
            array.data, array.size, array.selected, array.sorted = data + 12 * start, end - start, -1, False
            self._apply(chain.address, self._at)
            tokens.append(int(ids[(array.data - data) // 12 + array.selected]))  # XTC moves the beginning
        return tokens

    def _rows(self, first: int, last: int, rows: int) -> npt.NDArray[np.float32] | None:
        """A view that is valid until the next step."""
        address: int = self._logits_at(self._context, first)
        if rows > 1 and self._logits_at(self._context, last) != address + 4 * self._size * (rows - 1):
            return None
        view = self._views.get((address, rows))
        if view is None:
            if len(self._views) > 64:
                self._views.clear()
            raw = (ctypes.c_float * (rows * self._size)).from_address(address)
            view = self._views[address, rows] = np.ctypeslib.as_array(raw).reshape(rows, self._size)
        return view


def _bars(highest: npt.NDArray[np.float32], counts: list[int]) -> npt.NDArray[np.float32]:
    """For each row the value that as many of its blocks reach as it wants tokens: never what others of the step want
    decides which candidates a row has, or a seed would not give the same reply beside them."""
    blocks = highest.shape[1]
    if len(set(counts)) == 1:
        return np.partition(highest, blocks - counts[0], axis=1)[:, blocks - counts[0]]
    return np.array([np.partition(row, blocks - n)[blocks - n] for row, n in zip(highest, counts, strict=True)])
