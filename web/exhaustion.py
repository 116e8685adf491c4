"""What fails because the machine gives no more threads, memory or files: a limit, or others who hold them.

No fault of ours, and over as soon as somebody lets go.
"""

from __future__ import annotations

import errno

from models.errors import ParleyError

__all__ = ["MachineExhausted", "exhausted"]

_THREADS = "can't start new thread"
_NO_MEMORY = ("failed to map segment", "annot allocate memory")
"""Of libraries that are loaded when they are first needed."""


class MachineExhausted(ParleyError):
    code = "overloaded"
    retryable = True


def exhausted(error: BaseException) -> MachineExhausted | None:
    """The error as one that can be told, if the machine had no more of something; else None."""
    if isinstance(error, BaseExceptionGroup):
        return next((found for each in error.exceptions if (found := exhausted(each))), None)
    number = error.errno if isinstance(error, OSError) else None
    text = str(error) if isinstance(error, RuntimeError | ImportError) else ""
    if _THREADS in text:
        return MachineExhausted(
            "the system lets Parley start no more threads",
            hint="raise the limit on tasks (`ulimit -u`, `TasksMax=` of a service), or end what else runs",
        )
    if isinstance(error, MemoryError) or number == errno.ENOMEM or any(sign in text for sign in _NO_MEMORY):
        return MachineExhausted(
            "the system gives Parley no more memory",
            hint="raise the limit (`ulimit -v`, `MemoryMax=` of a service), or end what else runs",
        )
    if number in (errno.EMFILE, errno.ENFILE):
        return MachineExhausted("the system lets Parley open no more files", hint="`ulimit -n` raises the limit")
    return None
