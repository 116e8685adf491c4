"""The server's side of a synthesiser in a worker process of ours: audio and word times as they are made."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace

import aiohttp
import anyio

from voice.errors import TtsFailed
from voice.port import SpeakRequest, SpeechChunk, VoiceInfo
from voice.speech_http import post, raise_for
from voice.tts.pieces import plain
from voice.worker.speech_frames import FrameReader

__all__ = ["RemoteTts"]

_HINT = "the voice is being restarted; try again"
NOTICED_S = 0.25
"""So long after a worker died it is known, and waited for."""


class RemoteTts:
    """`address` gives the worker's base URL once it is ready (`WorkerProcess.ensure_ready`)."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        address: Callable[[], Awaitable[str]],
        name: str,
        *,
        timeout_s: float = 30.0,
    ) -> None:
        self.name = name
        self._http = http
        self._address = address
        self._timeout_s = timeout_s

    async def speak(self, request: SpeakRequest) -> AsyncGenerator[SpeechChunk]:
        """Chunks as they come; the last holds the words. Closing it closes the connection, which stops the worker.

        A worker that died in the middle is waited for, once; its successor says it again, and is heard from where
        the other broke off. Raises BadInput (an unknown voice, a speed out of range), TtsFailed, or what `address`
        raises.
        """
        given = 0
        try:
            async with aclosing(self._say(request)) as stream:
                async for chunk in stream:
                    given += len(chunk.pcm)
                    yield chunk
            return
        except TtsFailed as error:
            if not isinstance(error.__cause__, aiohttp.ClientError):
                raise
        await anyio.sleep(NOTICED_S)
        async with aclosing(self._say(request)) as stream:
            async for chunk in stream:
                known, given = given, max(0, given - len(chunk.pcm))
                if known < len(chunk.pcm) or chunk.words:
                    yield replace(chunk, pcm=chunk.pcm[known:])

    async def _say(self, request: SpeakRequest) -> AsyncGenerator[SpeechChunk]:
        body = {
            "text": plain(request.text),
            "voice": request.voice,
            "speed": request.speed,
            "language": request.language,
        }
        url = await self._address() + "/v1/parley/speech/stream"
        frames = FrameReader()
        async with post(
            self._http, url, TtsFailed, hint=_HINT, timeout_s=self._timeout_s, body=lambda: {"json": body}
        ) as response:
            await raise_for(response, TtsFailed, hint=_HINT)
            async for data in response.content.iter_any():
                for chunk in frames.feed(data):
                    yield chunk
        if not frames.done:
            raise TtsFailed("the synthesiser's worker broke off", hint=_HINT)

    async def voices(self) -> tuple[VoiceInfo, ...]:
        """Raises TtsFailed."""
        url = await self._address() + "/v1/audio/voices"
        try:
            async with self._http.get(url, timeout=aiohttp.ClientTimeout(total=self._timeout_s)) as response:
                await raise_for(response, TtsFailed, hint=_HINT)
                rows = (await response.json())["voices"]
                return tuple(
                    VoiceInfo(str(row["id"]), str(row["name"]), str(row["language"]), int(row["rate_hz"]))
                    for row in rows
                )
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError) as error:
            raise TtsFailed("the synthesiser's worker does not answer", hint=_HINT) from error
