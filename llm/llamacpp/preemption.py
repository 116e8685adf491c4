"""Breaking off a step that computes, for a voice turn that has just come or because hardly anybody wants its tokens
any more: who writes beside a long prompt that was given up need not wait for it.

llama.cpp asks a function before every operation whether to go on. One in Python would have to wait for the
interpreter lock each time, some hundred times a step; the C library's `strlen` is asked instead, of a text that is
empty until the step is to end. It ends within an operation, its tokens leave the cache, and it is run again later.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Mapping
from math import inf
from typing import Any

from llm.batching import events as batch
from llm.engine import EngineJob
from llm.llamacpp.library import native
from llm.messages import Priority

__all__ = ["PREEMPTED", "Preemption"]

PREEMPTED = 2
"""What llama_decode returns (llama.h)."""
WANTED_SHARE = 0.25
"""Of a step's tokens. With fewer it is quicker to compute these again than to go on."""
LOST_SHARE = 0.2
SOONEST_S, LATEST_S = 0.02, 0.3
"""A stream of voice turns must not keep others from getting on. So what is computed in vain by breaking a step off is
no more than this share of the time since a step was broken off last; but after SOONEST_S at the soonest, and after
LATEST_S in any case. Eight replies of parley-mini to batch clients, a voice turn every 60 ms: its first token came
after some 8 ms where only LATEST_S counted, after some 5 ms so, which is no more than where it was alone."""


class Preemption:
    """Not thread-safe: `begin`, `heard` and `end` are called under one lock. Times are seconds of one clock."""

    def __init__(self, context: Any) -> None:
        """`context`: of llama.cpp; computes on the CPU can be broken off, others run to their end."""
        self._text = ctypes.create_string_buffer(2)
        self._jobs: dict[int, int] = {}
        self._tokens = 0
        self._voice = True
        self._last_at = -inf
        self._begun_at = 0.0
        library = ctypes.CDLL("msvcrt" if sys.platform == "win32" else None)
        self._asked = ctypes.cast(library.strlen, native.ggml_abort_callback)
        native.llama_set_abort_callback(context, self._asked, ctypes.cast(self._text, ctypes.c_void_p))

    @property
    def wanted(self) -> bool:
        """Whether the step is to end."""
        return self._text[0] != b"\0"

    def begin(self, jobs: Mapping[int, int], voice: bool, now: float) -> None:
        """A step with so many tokens of these requests begins. `voice`: a voice turn is among them."""
        self._jobs, self._voice, self._begun_at = dict(jobs), voice, now
        self._tokens = sum(jobs.values())

    def heard(self, command: object, now: float) -> None:
        """A command that came while the step runs, or before it began and was not yet looked at."""
        if not self._jobs:
            return
        match command:
            case EngineJob(priority=Priority.VOICE):
                if not self._voice:
                    self._break_off(now)
            case batch.Cancel(job_id):
                self._jobs.pop(job_id, None)
                if not self._jobs:
                    self._text[0] = b"\1"
                elif not self._voice and sum(self._jobs.values()) <= WANTED_SHARE * self._tokens:
                    self._break_off(now)

    def _break_off(self, now: float) -> None:
        """If not too much would be computed in vain."""
        pause_s = max(SOONEST_S, min((now - self._begun_at) / LOST_SHARE, LATEST_S))
        if now >= self._last_at + pause_s:
            self._last_at = now
            self._text[0] = b"\1"

    def end(self) -> None:
        """The step is over. Steps that were not begun here always run to their end."""
        self._jobs = {}
        self._text[0] = b"\0"
