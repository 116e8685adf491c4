"""Any OpenAI-compatible transcription service, by configuration: `[voice.stt] engine = "openai"`.

Such a service hears whole recordings, so the audio is kept here until it is asked about, and is sent anew each
time. `POST {base_url}/audio/transcriptions`, multipart, a WAV file.
"""

from __future__ import annotations

import io
import json
import wave

import aiohttp
import anyio
import numpy as np

from voice.errors import AudioError, SttFailed
from voice.languages import code_of
from voice.port import Pcm, SttStream, Transcript
from voice.settings import SpeechServiceSettings
from voice.speech_http import post, raise_for

__all__ = ["OpenAiStt"]

RATE_HZ = 16_000
MIN_SAMPLES = RATE_HZ // 10
"""OpenAI refuses less than 0.1 s; no word is shorter."""
MAX_SAMPLES = 12 * 60 * RATE_HZ
"""12 minutes are 23 MB; OpenAI takes 25 MB."""


class OpenAiStt:
    name = "openai"
    streaming = False

    def __init__(self, http: aiohttp.ClientSession, settings: SpeechServiceSettings) -> None:
        self._http = http
        self._settings = settings

    async def open(self, language: str | None) -> SttStream:
        """Opens nothing yet; a service that is not there is noticed at the first transcribe."""
        return _Stream(self._http, self._settings, language)


class _Stream:
    def __init__(self, http: aiohttp.ClientSession, settings: SpeechServiceSettings, language: str | None) -> None:
        self._http = http
        self._settings = settings
        self._language = language
        self._blocks: list[Pcm] = []
        self._samples = 0

    async def feed(self, pcm: Pcm) -> None:
        """Raises AudioError for another shape or dtype, SttFailed beyond 12 minutes."""
        if pcm.ndim != 1 or pcm.dtype.kind != "i" or pcm.dtype.itemsize != 2:
            raise AudioError(f"expected int16 [samples], got {pcm.dtype} {pcm.shape}")
        if self._samples + len(pcm) > MAX_SAMPLES:
            raise SttFailed("more audio in one turn than the service takes", hint="end the turn earlier")
        self._blocks.append(pcm.copy())
        self._samples += len(pcm)

    async def partial(self) -> str | None:
        return None

    async def transcribe(self) -> Transcript:
        if self._samples < MIN_SAMPLES:
            return Transcript("")
        settings = self._settings
        url = settings.base_url.rstrip("/") + "/audio/transcriptions"
        hint = f"is the service of [voice.stt] base_url ({settings.base_url}) up?"
        try:
            # All in all: a service that sends its answer byte by byte is slow, too.
            with anyio.fail_after(settings.timeout_s):
                async with post(
                    self._http,
                    url,
                    SttFailed,
                    hint=hint,
                    timeout_s=settings.timeout_s,
                    body=lambda: {"data": self._form()},
                    headers=_authorization(settings),
                ) as response:
                    await raise_for(response, SttFailed, hint=hint)
                    answer = await response.text(errors="replace")
        except TimeoutError as error:
            raise SttFailed(f"{url} did not answer within {settings.timeout_s:g} s", hint=hint) from error
        return _transcript(answer, self._language)

    async def aclose(self) -> None:
        self._blocks.clear()

    def _form(self) -> aiohttp.FormData:
        form = aiohttp.FormData()
        form.add_field("file", _wav(self._blocks), filename="speech.wav", content_type="audio/wav")
        form.add_field("model", self._settings.model or "whisper-1")
        form.add_field("response_format", "json")
        language = self._language or self._settings.language
        if language and language != "auto":
            form.add_field("language", language)
        return form


def _wav(blocks: list[Pcm]) -> io.BytesIO:
    sink = io.BytesIO()
    with wave.open(sink, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(np.concatenate(blocks).astype("<i2", copy=False).tobytes())
    sink.seek(0)
    return sink


def _authorization(settings: SpeechServiceSettings) -> dict[str, str]:
    return {"Authorization": f"Bearer {settings.api_key}"} if settings.api_key else {}


def _transcript(body: str, language: str | None) -> Transcript:
    try:
        answer = json.loads(body)
        text = answer["text"]
        heard = answer.get("language", language)
        if not isinstance(text, str):
            raise TypeError("text")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SttFailed(
            "the service's answer has no text in it",
            hint="check that base_url is an OpenAI-compatible service; it usually ends in /v1",
        ) from error
    return Transcript(text.strip(), language=code_of(heard) if isinstance(heard, str) else None)
