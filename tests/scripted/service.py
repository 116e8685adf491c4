"""A runnable OpenAI-compatible service that answers on a timetable: recogniser, chat model and voice.

    python -m tests.scripted --port 8901

It is no mock: it speaks HTTP, streams, takes as long as its script says, breaks the way its script says, and notes
every request with its times and whether the client hung up. Beside the OpenAI paths it has
`GET /requests` (what was asked), `POST /script` (change the script), `POST /reset` (script and notes from the start).
"""

from __future__ import annotations

import asyncio
import io
import json
import time
import wave
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from aiohttp import web

from tests.scripted.script import Fault, Record, Script, Stage, changed

__all__ = ["ScriptedService", "answer_whole", "reset_connection", "tokens_of", "until"]

TTS_RATE_HZ = 24000
"""The rate of OpenAI's `pcm` answers."""
_PIECE_S = 0.1
_MODELS = ("any", "whisper-1", "tts-1")


class ScriptedService:
    """The state behind the routes. `app()` gives the aiohttp application."""

    def __init__(self, script: Script | None = None) -> None:
        self._start = script or Script()
        self._reset()

    def _reset(self) -> None:
        self.script = self._start
        self.records: list[Record] = []
        self._counts = {"transcripts": 0, "replies": 0, "tool_calls": 0}

    def app(self) -> web.Application:
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_get("/health", self._health)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/audio/transcriptions", self._transcribe)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/audio/speech", self._speak)
        app.router.add_get("/requests", self._list_requests)
        app.router.add_post("/script", self._change_script)
        app.router.add_post("/reset", self._do_reset)
        return app

    # ---- control ----------------------------------------------------------------------------------------------

    async def _health(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _models(self, request: web.Request) -> web.Response:
        data = [{"id": name, "object": "model", "created": 0, "owned_by": "script"} for name in _MODELS]
        return web.json_response({"object": "list", "data": data})

    async def _list_requests(self, request: web.Request) -> web.Response:
        return web.json_response([asdict(record) for record in self.records])

    async def _change_script(self, request: web.Request) -> web.Response:
        try:
            self.script = changed(self.script, await request.json())
        except (ValueError, TypeError) as error:
            return _error(400, str(error))
        return web.json_response(asdict(self.script))

    async def _do_reset(self, request: web.Request) -> web.Response:
        self._reset()
        return web.json_response({})

    # ---- the three stages ---------------------------------------------------------------------------------------

    async def _transcribe(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        upload = form.get("file")
        if not isinstance(upload, web.FileField):
            return _error(400, "field 'file' is missing")
        data = upload.file.read()
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
        asked = {**fields, "filename": upload.filename, "bytes": len(data)}
        async with self.noted("stt", request, asked) as (record, fault):
            text = self._transcript(data)
            await until(record.at_s + self.script.stt_delay_ms / 1000)
            if fields.get("response_format") == "text":
                return await answer_whole(request, record, fault, text.encode(), "text/plain")
            return await answer_whole(request, record, fault, json.dumps({"text": text}).encode(), "application/json")

    async def _speak(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        shape = body.get("response_format", "mp3")
        if shape not in ("pcm", "wav"):
            return _error(400, f"this service speaks pcm and wav, not {shape}")
        async with self.noted("tts", request, body) as (record, fault):
            pcm = _voice(len(body.get("input", "")) * self.script.tts_ms_per_character / 1000)
            data = pcm if shape == "pcm" else _wav_header(len(pcm)) + pcm
            await until(record.at_s + self.script.tts_delay_ms / 1000)
            kind = "audio/pcm" if shape == "pcm" else "audio/wav"
            return await answer_whole(request, record, fault, data, kind, piece=int(TTS_RATE_HZ * 2 * _PIECE_S))

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        if not isinstance(body.get("messages"), list):
            return _error(400, "field 'messages' is missing")
        async with self.noted("llm", request, body) as (record, fault):
            # Who calls a tool and got its answer is given words; who has not is given the next call, if any.
            answered = any(message.get("role") == "tool" for message in body["messages"])
            if body.get("tools") and not answered and self._counts["tool_calls"] < len(self.script.tool_calls):
                name, arguments = self.script.tool_calls[self._counts["tool_calls"]]
                self._counts["tool_calls"] += 1
                call = {"id": f"call_{self._counts['tool_calls']}", "type": "function"}
                function = {"name": name, "arguments": arguments}
                deltas: list[dict[str, Any]] = [{"tool_calls": [{"index": 0, **call, "function": function}]}]
                message, reason = (
                    {"role": "assistant", "content": None, "tool_calls": deltas[0]["tool_calls"]},
                    "tool_calls",
                )
            else:
                reply = self._next("replies", self.script.replies)
                limit = body.get("max_completion_tokens") or body.get("max_tokens") or 10**6
                tokens = tokens_of(reply)
                reason = "length" if len(tokens) > limit else "stop"
                deltas = [{"content": token} for token in tokens[:limit]]
                message = {"role": "assistant", "content": "".join(tokens[:limit])}
            prompt = sum(len(tokens_of(str(entry.get("content") or ""))) for entry in body["messages"])
            usage = {
                "prompt_tokens": prompt,
                "completion_tokens": len(deltas),
                "total_tokens": prompt + len(deltas),
            }
            frame = {"id": f"chatcmpl-{len(self.records)}", "created": 0, "model": body.get("model", "any")}
            if body.get("stream"):
                return await self._stream(request, record, fault, frame, deltas, reason, usage)
            await until(self.token_at(record, len(deltas) - 1))
            choice = {"index": 0, "message": message, "finish_reason": reason}
            whole = {**frame, "object": "chat.completion", "choices": [choice], "usage": usage}
            return await answer_whole(request, record, fault, json.dumps(whole).encode(), "application/json")

    async def _stream(
        self,
        request: web.Request,
        record: Record,
        fault: Fault,
        frame: dict[str, Any],
        deltas: list[dict[str, Any]],
        reason: str,
        usage: dict[str, int],
    ) -> web.StreamResponse:
        if fault.kind in ("hang", "trickle", "garbage") or (fault.kind in ("error", "reset") and fault.after == 0):
            await until(self.token_at(record, 0))
            return await answer_whole(request, record, fault, b"data: {}\n\n", "text/event-stream")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
        await response.prepare(request)

        async def send(body: dict[str, Any]) -> None:
            await response.write(b"data: " + json.dumps(body).encode() + b"\n\n")

        def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            return {**frame, "object": "chat.completion.chunk", "choices": [choice]}

        for index, delta in enumerate(deltas):
            if fault.kind in ("error", "reset") and index == fault.after:
                if fault.kind == "reset":
                    return reset_connection(request, response)
                await send({"error": {"message": "the script says so", "type": "server_error", "code": "scripted"}})
                return response
            await until(self.token_at(record, index))
            record.first_byte_s = record.first_byte_s or time.monotonic()
            await send(chunk({"role": "assistant", **delta} if index == 0 else delta))
            record.pieces += 1
        await send(chunk({}, reason))
        if (request_options := record.request.get("stream_options")) and request_options.get("include_usage"):
            await send({**frame, "object": "chat.completion.chunk", "choices": [], "usage": usage})
        await response.write(b"data: [DONE]\n\n")
        await response.write_eof()
        return response

    # ---- bookkeeping --------------------------------------------------------------------------------------------

    def token_at(self, record: Record, index: int) -> float:
        return record.at_s + self.script.first_token_ms / 1000 + max(0, index) / self.script.tokens_per_s

    def _transcript(self, wav: bytes) -> str:
        if not self.script.transcripts_by_length:
            return self._next("transcripts", self.script.transcripts)
        with wave.open(io.BytesIO(wav)) as audio:
            seconds = audio.getnframes() / audio.getframerate()
        fitting = (text for longest_s, text in self.script.transcripts_by_length if seconds <= longest_s)
        return next(fitting, self.script.transcripts_by_length[-1][1])

    def _next(self, name: str, texts: tuple[str, ...]) -> str:
        text = texts[min(self._counts[name], len(texts) - 1)]
        self._counts[name] += 1
        return text

    @asynccontextmanager
    async def noted(
        self, stage: Stage, request: web.Request, asked: dict[str, Any]
    ) -> AsyncIterator[tuple[Record, Fault]]:
        """A record for the request, and the fault that its stage has now; notices a client that goes away."""
        fault: Fault = getattr(self.script, f"{stage}_fault")
        if fault.kind != "none" and fault.times == 0:
            fault = Fault()
        elif fault.times > 0:
            self.script = replace(self.script, **{f"{stage}_fault": replace(fault, times=fault.times - 1)})
        record = Record(stage, time.monotonic(), asked, fault=fault.kind)
        self.records.append(record)
        try:
            yield record, fault
        except (asyncio.CancelledError, ConnectionError):
            record.hung_up = True
            raise
        finally:
            record.end_s = time.monotonic()


async def answer_whole(
    request: web.Request, record: Record, fault: Fault, data: bytes, content_type: str, piece: int = 2**16
) -> web.StreamResponse:
    """Send `data` whole, or do what the fault says instead."""
    if fault.kind == "hang":
        await asyncio.Event().wait()
    if fault.kind == "error":
        return _error(fault.status, "the script says so")
    if fault.kind == "garbage":
        data = b"\x00\xffneither JSON nor audio\n" * 3
    response = web.StreamResponse(headers={"Content-Type": content_type})
    if fault.kind == "reset" and fault.after == 0:
        return reset_connection(request, response)
    await response.prepare(request)
    step = 1 if fault.kind == "trickle" else piece
    for start in range(0, len(data), step):
        if fault.kind == "reset" and record.pieces == fault.after:
            return reset_connection(request, response)
        record.first_byte_s = record.first_byte_s or time.monotonic()
        await response.write(data[start : start + step])
        record.pieces += 1
        if fault.kind == "trickle":
            await asyncio.sleep(0.1)
    await response.write_eof()
    return response


def reset_connection(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return response


def _error(status: int, message: str) -> web.Response:
    body = {"error": {"message": message, "type": "server_error", "param": None, "code": "scripted"}}
    return web.json_response(body, status=status)


async def until(at_s: float, clock: Callable[[], float] = time.monotonic) -> None:
    """Sleep to a point in time, so that the delays of a stream do not add up their errors."""
    await asyncio.sleep(max(0.0, at_s - clock()))


def tokens_of(text: str) -> list[str]:
    """Words with the space before them: close enough to a tokenizer to count and to stream."""
    words = text.split(" ")
    return [word if index == 0 else " " + word for index, word in enumerate(words)]


def _voice(seconds: float) -> bytes:
    """PCM16 mono of that length: a 180 Hz tone with overtones that swells like syllables."""
    t = np.arange(round(seconds * TTS_RATE_HZ)) / TTS_RATE_HZ
    tone = sum(np.sin(2 * np.pi * 180 * n * t) / n for n in (1, 2, 3))
    return (np.asarray(tone * (0.55 - 0.45 * np.cos(2 * np.pi * 4 * t)) * 6000)).astype("<i2").tobytes()


def _wav_header(size: int) -> bytes:
    def number(value: int, width: int) -> bytes:
        return value.to_bytes(width, "little")

    rate = number(TTS_RATE_HZ, 4) + number(TTS_RATE_HZ * 2, 4)
    form = b"fmt " + number(16, 4) + number(1, 2) + number(1, 2) + rate + number(2, 2) + number(16, 2)
    return b"RIFF" + number(36 + size, 4) + b"WAVE" + form + b"data" + number(size, 4)
