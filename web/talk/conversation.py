"""One session from the client's side: audio at the pace at which it is spoken, and everything that comes back.

Two tasks share the socket: one sends 20 ms frames from a source, one reads. A third reports the playback position,
which the server needs to know what was heard of a reply that is interrupted.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import aiohttp
import anyio
import numpy as np

from models.clock import Clock
from voice.port import Pcm
from web.talk.screen import Screen
from web.talk.speaker import Speaker
from web.terminal.api_client import ApiClient, ServerRefused, ServerUnreachable

__all__ = ["FRAME_S", "Conversation", "Source", "session_body"]

FRAME_S = 0.02
_REPORT_S = 0.2
_SETTLE_S = 0.5
"""This long nothing may happen before the next clip is spoken."""
_BUSY = ("hearing", "thinking", "speaking", "paused")


class Source(Protocol):
    """What is said: sends its frames on `talk` and returns when it is through."""

    async def speak(self, talk: Conversation) -> None: ...


def session_body(input_rate: int, output_rate: int, options: Mapping[str, str | None]) -> dict[str, Any]:
    """The body of POST /v1/audio/live. `options`: model, voice, language, wake (comma separated), wake_mode."""
    body: dict[str, Any] = {
        "audio_config": {
            "input_format": "pcm",
            "input_rate": input_rate,
            "output_format": "pcm",
            "sample_rate": output_rate,
            "binary_audio": True,
        },
        "llm_config": {"model": options.get("model") or ""},
        "voice_config": {
            "voice_id": options.get("voice") or "default",
            "language": options.get("language") or "auto",
        },
    }
    if wake := options.get("wake"):
        words = [word.strip() for word in wake.split(",")]
        body["wake_word_config"] = {"enabled": True, "words": words, "mode": options.get("wake_mode") or "pre"}
    return body


@dataclass(slots=True)
class Conversation:
    """`run` opens a session, lets `source` speak, and ends the session. What happened is in the fields."""

    client: ApiClient
    clock: Clock
    screen: Screen
    speaker: Speaker
    patience_s: float = 30.0
    """How long silence from the server is taken for "still working on it"."""
    turns: list[Mapping[str, Any]] = field(default_factory=list)
    """The `turn_complete` messages."""
    outcomes: int = 0
    """Turns, and refusals that end a turn without one."""
    _socket: aiohttp.ClientWebSocketResponse | None = None
    _state: str = "idle"
    _audio_of: str = ""
    _changed_at_s: float = 0.0
    _next_frame_s: float = 0.0

    async def run(self, body: dict[str, Any], source: Source) -> None:
        """Raises ServerRefused or ServerUnreachable, and what the source raises. Cancelling it ends the session."""
        opened = await self.client.post("/v1/audio/live", body)
        token = str(opened["session_token"])
        try:
            self._socket = await self.client.socket(str(opened["websocket_url"]))
            try:
                await self._talk(source)
            finally:
                with anyio.CancelScope(shield=True), anyio.move_on_after(2.0):
                    await self._socket.close()
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(2.0):
                await self._forget(token)

    # ---- speaking ---------------------------------------------------------------------------------------------

    async def send_frame(self, pcm: bytes) -> None:
        """One frame of 20 ms, not before its time."""
        now = self.clock.now()
        if self._next_frame_s < now - 1.0:
            self._next_frame_s = now  # the first one, or this machine was asleep
        await anyio.sleep(max(0.0, self._next_frame_s - now))
        self._next_frame_s += FRAME_S
        await self._send(pcm)

    async def send_live(self, pcm: bytes) -> None:
        """A frame whose time is now, because a microphone made it."""
        await self._send(pcm)

    async def send_text(self, text: str) -> None:
        """A typed turn."""
        await self._send(json.dumps({"type": "end_turn", "transcript": text}))

    def settled(self, outcomes_before: int, since_s: float) -> bool:
        """The answer to what was said before is over: told, played, and quiet for half a second.

        Also true, with a line on the screen, when the server has said nothing for `patience_s`.
        """
        now = self.clock.now()
        quiet_s = now - max(since_s, self._changed_at_s)
        if self.outcomes > outcomes_before:
            at_rest = self._state not in _BUSY and self.speaker.idle()
            return at_rest and quiet_s > _SETTLE_S or quiet_s > self.patience_s
        if quiet_s > self.patience_s:
            self.screen.problem(
                f"no answer for {self.patience_s:.0f} s", "was there speech in it? the server's log may know more"
            )
            return True
        return False

    async def rest(self) -> None:
        """Let a frame's time pass."""
        await anyio.sleep(FRAME_S)

    @property
    def now_s(self) -> float:
        return self.clock.now()

    async def _send(self, frame: str | bytes) -> None:
        assert self._socket is not None
        if self._socket.closed:
            await anyio.sleep_forever()  # the reader says why, and ends us
        try:
            if isinstance(frame, str):
                await self._socket.send_str(frame)
            else:
                await self._socket.send_bytes(frame)
        except (aiohttp.ClientError, ConnectionError):
            await anyio.sleep_forever()

    # ---- listening --------------------------------------------------------------------------------------------

    async def _talk(self, source: Source) -> None:
        failure: Exception | None = None
        async with anyio.create_task_group() as group:

            async def speak() -> None:
                nonlocal failure
                try:
                    await source.speak(self)
                    await self._send('{"type":"close"}')
                except Exception as error:  # carried out of the group by hand, or it becomes a group of errors
                    failure = error
                group.cancel_scope.cancel()

            group.start_soon(self._report_playback)
            group.start_soon(speak)
            await self._listen()
            assert self._socket is not None
            if self._socket.close_code not in (None, 1000):
                failure = failure or ServerRefused(f"the server closed the session ({self._socket.close_code})")
            group.cancel_scope.cancel()
        if failure is not None:
            raise failure

    async def _listen(self) -> None:
        assert self._socket is not None
        async for message in self._socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                self._play(self._audio_of, message.data)
            elif message.type is aiohttp.WSMsgType.TEXT:
                self._understand(json.loads(message.data))

    def _understand(self, message: dict[str, Any]) -> None:
        if message["type"] not in ("pong", "state"):
            self._changed_at_s = self.clock.now()
        match message["type"]:
            case "transcript":
                self.screen.heard(message["text"], message["is_final"], message["is_request"])
                if message["is_final"] and not (message["text"] and message["is_request"]):
                    self.outcomes += 1
            case "text":
                self.screen.said(message.get("reply", ""), message["text"])
            case "audio":
                self._audio_of = message.get("reply", "")
                if message.get("audio"):
                    self._play(self._audio_of, base64.b64decode(message["audio"]))
            case "interrupted":
                self.speaker.stop()
                self.screen.interrupted(message["partial_output"])
            case "turn_complete":
                self.turns.append(message)
                self.outcomes += 1
                self.screen.turn_over(message)
            case "wake_word_required":
                self.outcomes += 1
                self.screen.note(message["message"])
            case "error":
                self.outcomes += 1
                self.screen.problem(message["message"], message.get("hint", ""))
            case "waiting":
                self.screen.waits(message)
            case "wake":
                self.screen.note(f"wake word: {message['word']} ({message['score']:.2f})")
            case "state":
                if message["state"] != self._state:
                    self._state = message["state"]
                    self._changed_at_s = self.clock.now()

    def _play(self, reply: str, data: bytes) -> None:
        self._changed_at_s = self.clock.now()
        samples: Pcm = np.frombuffer(data, "<i2").astype(np.int16)
        self.speaker.play(reply, samples)

    async def _report_playback(self) -> None:
        told: tuple[str, float] | None = None
        while True:
            await anyio.sleep(_REPORT_S)
            where = self.speaker.position()
            if where is not None and where != told:
                told = where
                await self._send(json.dumps({"type": "played", "reply": where[0], "ms": round(where[1], 1)}))

    async def _forget(self, token: str) -> None:
        try:
            await self.client.delete(f"/v1/audio/live/{token}")
        except (ServerRefused, ServerUnreachable):
            return  # the session ended by itself, or with the server
