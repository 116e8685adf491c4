"""The `parley` command: one file a command in web/cli/, found by discovery."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from models.errors import ParleyError
from models.registry import discover
from models.telemetry import silence_telemetry
from web.exhaustion import exhausted
from web.terminal.command_parser import parse
from web.terminal.printable import printable

__all__ = ["main"]

_FAILED = 2
_INTERRUPTED = 130
_DISK_HINTS = {
    errno.ENOSPC: "make room on the disk, or set PARLEY_HOME to a folder on another one",
    errno.EDQUOT: "your quota is used up; PARLEY_HOME names another folder",
    errno.EACCES: "check who owns it, or set PARLEY_HOME to a folder of your own",
    errno.EPERM: "check who owns it, or set PARLEY_HOME to a folder of your own",
    errno.EROFS: "the disk is read-only; PARLEY_HOME names another folder",
    errno.ENOTDIR: "part of the path is a file; PARLEY_HOME must name a folder",
    errno.EEXIST: "part of the path is a file; PARLEY_HOME must name a folder",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status. Expected failures are a sentence on stderr, never a trace."""
    # For numpy, which reads it when it is loaded, here and in the workers. Our matrices are small, and the threads of
    # OpenBLAS wait for each other in a loop: a product of 0.4 ms took 90 on two cores with two busy processes.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    silence_telemetry()
    try:
        commands = discover("web.cli")
        arguments = parse(commands, _version(), argv)
        if arguments.command is None:
            return 0
        return int(commands[arguments.command].run(arguments))
    except KeyboardInterrupt:
        return _INTERRUPTED
    except ParleyError as error:
        return _report(error)
    except BrokenPipeError:
        # The reader of our output (head, less) has left; what is still buffered has nowhere to go.
        sys.stdout = None
        return 0
    except OSError as error:
        return _report(exhausted(error) or _of_the_disk(error))
    except (MemoryError, RuntimeError, ImportError) as error:
        if (told := exhausted(error)) is None:
            raise
        return _report(told)
    except BaseExceptionGroup as group:
        # Task groups raise groups; one expected failure in them is all there is to say.
        if group.subgroup(KeyboardInterrupt):
            return _INTERRUPTED
        expected = exhausted(group) or _expected(group)
        if expected is None:
            raise
        return _report(expected)


def _expected(group: BaseExceptionGroup[BaseException]) -> ParleyError | None:
    for error in group.exceptions:
        found = _expected(error) if isinstance(error, BaseExceptionGroup) else error
        if isinstance(found, ParleyError):
            return found
        if isinstance(found, OSError):
            return _of_the_disk(found)
    return None


def _of_the_disk(error: OSError) -> ParleyError:
    """What no command said better itself: a folder without permission, a full disk, no free port."""
    reason = error.strerror or str(error) or type(error).__name__
    what = f"{error.filename}: {reason}" if error.filename else reason
    hint = _DISK_HINTS.get(error.errno or 0, "`parley doctor` looks at the data folder and the ports")
    return ParleyError(f"that did not work: {what}", hint=hint)


def _report(error: ParleyError) -> int:
    sys.stderr.write(f"parley: {printable(error.message)}\n")
    if error.hint:
        sys.stderr.write(f"        {printable(error.hint)}\n")
    return _FAILED


def _version() -> str:
    try:
        return version("parley-voice")
    except PackageNotFoundError:
        return "(not installed)"


if __name__ == "__main__":
    raise SystemExit(main())
