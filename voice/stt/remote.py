"""The server's side of a recogniser in a worker process of ours: audio goes there while it is being spoken."""

from __future__ import annotations

import itertools
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import aiohttp
import anyio

from models.errors import BadInput
from voice.errors import AudioError, SttFailed
from voice.port import Pcm, SttStream, Transcript
from voice.worker.transcript_json import from_json

__all__ = ["RemoteStt"]

PATH = "/v1/audio/transcriptions/stream"
_FRAME_SAMPLES = 256 * 1024  # half of what the worker takes in one frame
_HINT = "the recogniser is being started again; say it once more"


class RemoteStt:
    """`address` gives the worker's base URL once it is ready (`WorkerProcess.ensure_ready`)."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        address: Callable[[], Awaitable[str]],
        name: str,
        *,
        streaming: bool,
        spotting: bool = False,
        timeout_s: float = 30.0,
    ) -> None:
        self.name = name
        self.streaming = streaming
        self._stream = _SpottingStream if spotting else _Stream
        self._http = http
        self._address = address
        self._timeout_s = timeout_s

    async def open(self, language: str | None) -> SttStream:
        """A stream of its own in the worker. Raises SttFailed, or what `address` raises."""
        params = {"language": language} if language and language != "auto" else {}
        timeout = aiohttp.ClientWSTimeout(ws_close=1.0)
        for last_try in (False, True):
            url = await self._address() + PATH
            try:
                with anyio.fail_after(self._timeout_s):
                    socket = await self._http.ws_connect(url, params=params, timeout=timeout, max_msg_size=2**24)
                return self._stream(socket, self._timeout_s)
            except (aiohttp.ClientError, TimeoutError) as error:
                # A worker that has just died may still be called ready; a moment later `address` knows and waits.
                if last_try:
                    raise SttFailed(f"the {self.name} worker does not answer", hint=_HINT) from error
                await anyio.sleep(0.2)
        raise AssertionError("the second try returns or raises")


class _Stream:
    def __init__(self, socket: aiohttp.ClientWebSocketResponse, timeout_s: float) -> None:
        self._socket = socket
        self._timeout_s = timeout_s
        self._ids = itertools.count(1)
        self._asking = anyio.Lock()

    async def feed(self, pcm: Pcm) -> None:
        """Returns when the samples are on their way; waits while the worker is more than 20 s behind."""
        if pcm.ndim != 1 or pcm.dtype.kind != "i" or pcm.dtype.itemsize != 2:
            raise AudioError(f"expected int16 [samples], got {pcm.dtype} {pcm.shape}")
        try:
            with anyio.fail_after(self._timeout_s):
                for start in range(0, len(pcm), _FRAME_SAMPLES):
                    piece = pcm[start : start + _FRAME_SAMPLES]
                    await self._socket.send_bytes(piece.astype("<i2", copy=False).tobytes())
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
            raise SttFailed("the recogniser's worker is gone", hint=_HINT) from error

    async def partial(self) -> str | None:
        answer = await self._ask("partial")
        text = answer.get("text")
        return None if text is None else str(text)

    async def transcribe(self) -> Transcript:
        return from_json(await self._ask("transcribe"))

    async def aclose(self) -> None:
        with anyio.CancelScope(shield=True), anyio.move_on_after(2.0), suppress(aiohttp.ClientError, ConnectionError):
            await self._socket.close()

    async def _ask(self, kind: str, **more: Any) -> dict[str, Any]:
        """Ask and wait for the answer with our id; answers to requests that were cancelled meanwhile are dropped."""
        try:
            with anyio.fail_after(self._timeout_s):
                async with self._asking:
                    ask_id = next(self._ids)
                    await self._socket.send_str(json.dumps({"type": kind, "id": ask_id, **more}))
                    while True:
                        answer = await self._receive()
                        if answer.get("id") in (ask_id, None):
                            break
        except TimeoutError as error:
            raise SttFailed(f"no transcript within {self._timeout_s:g} s", hint=_HINT) from error
        except (aiohttp.ClientError, ConnectionError) as error:
            raise SttFailed("the recogniser's worker is gone", hint=_HINT) from error
        if answer.get("type") == "error":
            message, hint = str(answer.get("message")), str(answer.get("hint", ""))
            raise (_ERRORS.get(str(answer.get("code")), SttFailed))(message, hint=hint)
        return answer

    async def _receive(self) -> dict[str, Any]:
        message = await self._socket.receive()
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise SttFailed("the recogniser's worker is gone", hint=_HINT)
        try:
            answer = json.loads(message.data)
        except ValueError as error:
            raise SttFailed("the recogniser's worker sent something that cannot be read") from error
        if not isinstance(answer, dict):
            raise SttFailed("the recogniser's worker sent something that cannot be read")
        return answer


class _SpottingStream(_Stream):
    async def spot(self, phrases: Sequence[str]) -> str:
        return str((await self._ask("spot", phrases=list(phrases))).get("phrase", ""))


_ERRORS: dict[str, type[AudioError] | type[BadInput] | type[SttFailed]] = {
    "invalid_audio": AudioError,
    "invalid_request": BadInput,
}
