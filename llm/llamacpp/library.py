"""The library itself: its start, its log, its enums, how many threads to give it."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import llm.llamacpp.openmp  # noqa: F401

# isort: split
# OpenMP reads its settings when it is loaded: before this line.
import llama_cpp.llama_cpp as native
import llama_cpp.mtmd_cpp as mtmd

from llm.cores import cores
from llm.settings import KvCacheType, RopeScaling

__all__ = ["KV_TYPES", "ROPE_SCALING", "extra_buffers", "in_own_thread", "native", "prepare", "threads"]

_Result = TypeVar("_Result")

KV_TYPES: dict[KvCacheType, int] = {"f32": 0, "f16": 1, "q4_0": 2, "q5_1": 7, "q8_0": 8, "bf16": 30}
"""enum ggml_type in ggml.h."""
ROPE_SCALING: dict[RopeScaling, int] = {"auto": -1, "none": 0, "linear": 1, "yarn": 2, "longrope": 3}
"""enum llama_rope_scaling_type."""
MOST_THREADS = 16
"""More threads than this wait for memory, and for each other, more than they work."""
_WARN = 3
_CONTINUES = 5

_BY_DESIGN = (
    b"possible training context overflow",  # all sequences share one larger cache; each stays within its context
    b"model default pooling_type is",  # vectors of a model that was not made for them
    b"graph_compute_async failed with error 1",  # a step that was broken off (preemption.py), in four lines
    b"failed to compute graph, compute status: 1",
    b"removing memory module entries for seq_id",
    b"failed to decode, ret = 2",
)

_kept: list[Any] = []  # C holds pointers to these


def prepare() -> None:
    """Once per process. The library's warnings and errors go to stderr, which the supervisor keeps; no more."""
    if _kept:
        return
    level_now = 0

    def write(level: int, text: bytes, _: Any) -> None:
        nonlocal level_now
        level_now = level_now if level == _CONTINUES else level
        if level_now >= _WARN and not any(known in text for known in _BY_DESIGN):
            sys.stderr.write(text.decode("utf-8", "replace"))

    os.environ.setdefault("GGML_NO_BACKTRACE", "1")  # a failed assertion would start a debugger on us
    callback = native.llama_log_callback(write)
    _kept.append(callback)
    native.llama_log_set(callback, None)
    mtmd.mtmd_log_set(callback, None)  # by default it writes whole prompts to stderr
    mtmd.mtmd_helper_log_set(callback, None)
    native.llama_backend_init()


def in_own_thread(work: Callable[[], _Result]) -> _Result:
    """The result of `work`, or its exception, from a thread that has ended then.

    libgomp keeps a team of threads for every thread that ever computed, and with more of them than cores it lets none
    of them wait actively: parley-mini's steps then take twice as long. So whoever loads and warms up a model must not
    live on beside the thread that runs it.
    """
    results: list[_Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # raised below, where somebody waits for it
            errors.append(error)

    thread = threading.Thread(target=run, name="llama.cpp load", daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def extra_buffers(wanted: bool | None) -> bool:
    """Whether weights may be rearranged for special instructions: as `wanted`, else wherever llama.cpp was compiled
    without AMX. The Makefile compiles it so; a ready-made one may have it.

    With AMX, decoding quantised models ended in a segmentation fault (several rows in a step, q8_0, q4_0 and q4_K,
    llama-cpp-python 0.3.36, in a virtual machine). Without these buffers four replies of a q4_K_M model take 1.4
    times as long a step as with the others that llama.cpp has.
    """
    return b"AMX_INT8 = 1" not in native.llama_print_system_info() if wanted is None else wanted


def threads(wanted: int) -> int:
    """`wanted`, or the cores this process may use."""
    return wanted if wanted > 0 else min(cores(), MOST_THREADS)
