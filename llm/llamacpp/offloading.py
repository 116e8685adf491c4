"""KV sequences that are put aside: their keys and values in ordinary memory instead of the cache."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt

from llm.llamacpp.library import native

__all__ = ["OffloadedSequences"]


class OffloadedSequences:
    """By the number of the sequence. Copying runs at the speed of memory: 600 tokens of parley-mini (4 MB) take a
    millisecond, 600 of a model with 120 M parameters (22 MB) eight, each way."""

    def __init__(self, context: Any) -> None:
        self._context = context
        self._memory = native.llama_get_memory(context)
        self._states: dict[int, npt.NDArray[np.uint8]] = {}
        self.bytes = 0

    def offload(self, sequence: int) -> bool:
        """False: it could not be copied. The sequence is empty in the cache afterwards in any case."""
        self.drop(sequence)
        size: int = native.llama_state_seq_get_size(self._context, sequence)
        written = 0
        try:
            state = np.empty(size, np.uint8)
            written = native.llama_state_seq_get_data(self._context, _bytes(state), size, sequence)
        except MemoryError:
            pass
        native.llama_memory_seq_rm(self._memory, sequence, -1, -1)
        if not size or written != size:
            return False
        self._states[sequence] = state
        self.bytes += size
        return True

    def reload(self, source: int, target: int) -> bool:
        """Into `target`, which is empty; False: it did not fit, and `target` is still empty."""
        state = self._states.get(source)
        if source == target:
            self.drop(source)
        if state is None:
            return False
        if native.llama_state_seq_set_data(self._context, _bytes(state), state.nbytes, target):
            return True
        native.llama_memory_seq_rm(self._memory, target, -1, -1)
        return False

    def drop(self, sequence: int) -> None:
        state = self._states.pop(sequence, None)
        self.bytes -= 0 if state is None else state.nbytes


def _bytes(state: npt.NDArray[np.uint8]) -> Any:
    return state.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
