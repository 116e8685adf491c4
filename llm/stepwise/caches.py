"""One cache of keys and values for each sequence, of models whose libraries keep them as Python objects."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import Generic, TypeVar

__all__ = ["CachedSequences"]

_Cache = TypeVar("_Cache")


class CachedSequences(ABC, Generic[_Cache]):
    """The part of a StepModel that is the same for all of them."""

    def __init__(self) -> None:
        self._caches: dict[int, _Cache] = {}

    @abstractmethod
    def trim(self, sequence: int, keep: int) -> bool: ...

    def clear(self, sequence: int) -> None:
        self._caches.pop(sequence, None)

    def copy(self, source: int, target: int, count: int) -> bool:
        if source not in self._caches:
            return False
        self._caches[target] = copy.deepcopy(self._caches[source])
        return self.trim(target, count)

    def close(self) -> None:
        self._caches.clear()
