"""Items that a client adds to the conversation as audio: they enter it with their words, when those were made out.

What the client asks of the conversation behind them waits, so that an answer is one to what was said.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import numpy as np

from models.errors import ParleyError
from voice.ears.intake import RATE_HZ, Intake
from voice.errors import ProtocolError
from voice.port import Pcm, Stt
from voice.session.config import AudioConfig
from voice.session.incoming import AddAudio, AddMessage, CancelResponse, DeleteItem, Respond
from voice.session.outgoing import ErrorOut

__all__ = ["ConversationEvent", "SpokenItems"]

ConversationEvent = AddMessage | DeleteItem | Respond | CancelResponse
MAX_WAITING = 64
FEED_SAMPLES = RATE_HZ


class SpokenItems:
    """Of one session. `hear` tells the turn machine, `failed` the client, `start` runs a task of the session."""

    def __init__(
        self,
        stt: Stt,
        hear: Callable[[ConversationEvent], None],
        failed: Callable[[ErrorOut], None],
        start: Callable[[Callable[[], Coroutine[Any, Any, None]]], object],
    ) -> None:
        self._stt, self._hear, self._failed, self._start = stt, hear, failed, start
        self._waiting: deque[tuple[AddMessage, Pcm, str | None] | ConversationEvent] = deque()

    def add(self, event: AddAudio, audio: AudioConfig, language: str | None) -> None:
        """Raises AudioError for what is no audio of the session's format, ProtocolError when too much waits."""
        pcm = np.concatenate([np.zeros(0, np.int16), *Intake(audio).container(event.audio)])
        self._enqueue((event.add, pcm, language))
        if len(self._waiting) == 1:
            self._start(self._drain)

    def ask(self, event: ConversationEvent) -> None:
        """In its turn. What is being said now is stopped at once. Raises ProtocolError when too much waits."""
        later = not isinstance(event, CancelResponse) or any(isinstance(each, Respond) for each in self._waiting)
        if self._waiting and later:
            self._enqueue(event)
        else:
            self._hear(event)

    def _enqueue(self, event: tuple[AddMessage, Pcm, str | None] | ConversationEvent) -> None:
        if len(self._waiting) >= MAX_WAITING:
            raise ProtocolError("too much waits for the words of audio items", hint="wait until they are added")
        self._waiting.append(event)

    async def _drain(self) -> None:
        while self._waiting:
            event = self._waiting[0]
            if isinstance(event, tuple):
                await self._make_out(*event)
            else:
                self._hear(event)
            self._waiting.popleft()

    async def _make_out(self, add: AddMessage, pcm: Pcm, language: str | None) -> None:
        try:
            stream = await self._stt.open(language)
            try:
                for at in range(0, len(pcm), FEED_SAMPLES):
                    await stream.feed(pcm[at : at + FEED_SAMPLES])
                words = (await stream.transcribe()).text
            finally:
                await stream.aclose()
        except ParleyError as error:
            self._failed(ErrorOut(error.code, error.message, error.hint, event_id=add.event_id))
            return
        if words:
            self._hear(replace(add, message=replace(add.message, content=words)))
        else:
            hint = "is it speech, in the session's input format?"
            self._failed(
                ErrorOut("empty_request", "No words were made out in the audio", hint, event_id=add.event_id)
            )
