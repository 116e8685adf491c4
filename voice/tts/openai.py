"""Any OpenAI-compatible speech service, by configuration: `[voice.tts] engine = "openai"`.

`POST {base_url}/audio/speech` with response_format pcm (24 kHz PCM16, no header), read while it is being made. A
service that refuses pcm is asked for wav from then on; one that sends wav all the same is understood.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator

import aiohttp
import anyio
import numpy as np

from models.errors import BadInput
from voice.errors import AudioError, TtsFailed
from voice.port import SpeakRequest, SpeechChunk, VoiceInfo
from voice.settings import SpeechServiceSettings
from voice.speech_http import post, raise_for
from voice.tts.pieces import plain
from voice.tts.wav_stream import WavStream

__all__ = ["OpenAiTts"]

PCM_RATE_HZ = 24_000
DEFAULT_VOICE = "alloy"
_MP3 = ("audio/mpeg", "audio/mp3")
_MP3_FRAMES = (b"\xff\xfb", b"\xff\xfa", b"\xff\xf3", b"\xff\xf2")


class OpenAiTts:
    name = "openai"

    def __init__(self, http: aiohttp.ClientSession, settings: SpeechServiceSettings) -> None:
        self._http = http
        self._settings = settings
        self._format = "pcm"

    async def speak(self, request: SpeakRequest) -> AsyncGenerator[SpeechChunk]:
        """No word times: OpenAI's interface has none. Raises TtsFailed, BadInput for what the service refuses."""
        if not request.text.strip():
            yield SpeechChunk(np.zeros(0, np.int16), PCM_RATE_HZ)
            return
        try:
            async for chunk in self._ask(request, self._format):
                yield chunk
        except BadInput:
            if self._format == "wav":
                raise
            # Refused before any sound: perhaps only the format was wrong. If wav fails too, its error is the answer.
            async for chunk in self._ask(request, "wav"):
                self._format = "wav"
                yield chunk

    async def voices(self) -> tuple[VoiceInfo, ...]:
        """The interface lists none; what is configured is what is known."""
        voice = self._settings.voice or DEFAULT_VOICE
        return (VoiceInfo(voice, voice, self._settings.language, PCM_RATE_HZ),)

    async def _ask(self, request: SpeakRequest, response_format: str) -> AsyncGenerator[SpeechChunk]:
        settings = self._settings
        hint = f"is the service of [voice.tts] base_url ({settings.base_url}) up?"
        voice = request.voice if request.voice != "default" else settings.voice or DEFAULT_VOICE
        body = {
            "model": settings.model or "tts-1",
            "input": plain(request.text),
            "voice": voice,
            "response_format": response_format,
            "speed": min(4.0, max(0.25, request.speed)),
        }
        headers = {"Authorization": f"Bearer {settings.api_key}"} if settings.api_key else {}
        async with post(
            self._http,
            settings.base_url.rstrip("/") + "/audio/speech",
            TtsFailed,
            hint=hint,
            timeout_s=settings.timeout_s,
            body=lambda: {"json": body},
            headers=headers,
        ) as response:
            await raise_for(response, TtsFailed, hint=hint)
            kind = response.content_type
            if kind.startswith("text/") or kind.endswith("json"):
                raise TtsFailed(f"the service sent {kind} and no audio", hint=hint)
            try:
                async for chunk in _samples(_in_time(response.content.iter_any(), settings.timeout_s, hint), kind):
                    yield chunk
            except AudioError as error:
                raise TtsFailed(
                    f"the service sent audio that cannot be used: {error.message}", hint="it must do pcm or wav"
                ) from error


async def _in_time(pieces: AsyncIterator[bytes], timeout_s: float, hint: str) -> AsyncGenerator[bytes]:
    """Raise TtsFailed when 0.1 s of audio takes `timeout_s` of waiting: a trickle is as bad as silence."""
    waited_s, got = 0.0, 0
    while True:
        asked_at = anyio.current_time()
        piece = await anext(pieces, b"")
        waited_s += anyio.current_time() - asked_at
        got += len(piece)
        if got >= PCM_RATE_HZ // 5:
            waited_s, got = 0.0, 0
        if waited_s > timeout_s:
            raise TtsFailed("the speech service is far too slow", hint=hint)
        if not piece:
            return
        yield piece


async def _samples(pieces: AsyncIterator[bytes], kind: str) -> AsyncGenerator[SpeechChunk]:
    """What the service sent, told by its first four bytes.

    1. RIFF: a WAV file. 2. A known other container: an error, not noise. 3. Anything else: the PCM asked for.
    `kind` is its Content-Type, which is often wrong; but what is told to be MP3 and begins like it is no PCM.
    """
    head = b""
    async for piece in pieces:
        head += piece
        if len(head) >= 4:
            break
    if head[:4] in (b"OggS", b"fLaC") or head[:3] == b"ID3" or (kind in _MP3 and head[:2] in _MP3_FRAMES):  # 2
        raise AudioError(f"a file that begins with {head[:4]!r}")
    wav = WavStream() if head[:4] == b"RIFF" else None  # 1
    odd = b""
    async for piece in _chained(head, pieces):
        if wav is not None:
            pcm = wav.feed(piece)
        else:  # 3
            data = odd + piece
            whole = len(data) - len(data) % 2
            pcm, odd = np.frombuffer(data[:whole], "<i2").astype(np.int16, copy=False), data[whole:]
        if len(pcm):
            yield SpeechChunk(pcm, wav.rate_hz if wav is not None else PCM_RATE_HZ)


async def _chained(head: bytes, rest: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    yield head
    async for piece in rest:
        yield piece
