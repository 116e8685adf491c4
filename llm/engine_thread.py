"""The one thread in which an engine computes, and the commands that other threads give it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from llm.errors import Overloaded

__all__ = ["EngineThread"]

Command = TypeVar("Command")


class EngineThread(Generic[Command]):
    """Commands wait until the step that runs is over. `lock` guards them and may be taken again by its holder."""

    def __init__(
        self, name: str, most: int, busy: Callable[[], bool], accepted: Callable[[], int] = lambda: 0
    ) -> None:
        """`busy`: whether there is a step to do; asked in the thread. `most`: commands that may wait, counted
        together with the jobs taken earlier that are not over (`accepted`).
        """
        self.lock = threading.Condition()
        self.waiting: deque[Command] = deque()
        self._name, self._most, self._busy, self._accepted = name, most, busy, accepted
        self._closing = False
        self._thread: threading.Thread | None = None

    @property
    def interrupted(self) -> bool:
        """Whether the step that runs should come to an end, for a command or for good."""
        return bool(self.waiting) or self._closing

    def start(self, work: Callable[[Sequence[Command]], None], on_death: Callable[[str], None]) -> None:
        """Call `work` with the commands that came, possibly none, over and over while there is something to do.
        `on_death` is called once if it raises.
        """

        def run() -> None:
            try:
                while (commands := self._take()) is not None:
                    work(commands)
            except Exception as error:  # whatever it was: the process is replaced and says why
                on_death(f"{type(error).__name__}: {error}")

        # A daemon: a native call that never returns cannot keep the process alive.
        self._thread = threading.Thread(target=run, name=self._name, daemon=True)
        self._thread.start()

    def put(self, command: Command, *, always: bool = False) -> None:
        """Any thread. Raises Overloaded, unless `always`: a cancellation gets in, because it makes room."""
        with self.lock:
            if not always and len(self.waiting) + self._accepted() >= self._most:
                raise Overloaded("the engine has more requests than it can look at", hint="try again in a second")
            self.waiting.append(command)
            self.lock.notify()

    def close(self, timeout_s: float) -> bool:
        """End after the step that runs, from another thread. False: it still runs."""
        with self.lock:
            self._closing = True
            self.lock.notify()
        if self._thread is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _take(self) -> Sequence[Command] | None:
        """What came, once there is something to do. None: it is time to end."""
        with self.lock:
            while not (self.waiting or self._closing or self._busy()):
                self.lock.wait()
            if self._closing:
                return None
            commands, self.waiting = self.waiting, deque()
            return commands
