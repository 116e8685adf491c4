"""Pure: the frames of a worker's speech stream, both ends.

The answer to `POST /v1/parley/speech/stream` is a sequence of frames, each one line of JSON and what it announces:

    {"type":"audio","rate_hz":22050,"samples":n}\n   followed by 2 n bytes of little-endian PCM16 mono
    {"type":"end","words":[["Hello",0.0,0.29],...]}\n
    {"type":"error","code":"tts_failed","message":"...","hint":"..."}\n

`end` or `error` is always the last; without one the stream was broken off.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import numpy as np

from models.errors import ParleyError
from voice.errors import TtsFailed
from voice.port import SpeechChunk, Word

__all__ = ["FrameReader", "audio_frame", "end_frame", "error_frame"]

MAX_HEADER = 4 * 1024 * 1024
MAX_SAMPLES = 64 * 1024 * 1024


def audio_frame(chunk: SpeechChunk) -> bytes:
    header = {"type": "audio", "rate_hz": chunk.rate_hz, "samples": len(chunk.pcm)}
    return json.dumps(header).encode() + b"\n" + chunk.pcm.astype("<i2", copy=False).tobytes()


def end_frame(words: tuple[Word, ...]) -> bytes:
    times = [[word.text, round(word.start_s, 4), round(word.end_s, 4)] for word in words]
    return json.dumps({"type": "end", "words": times}).encode() + b"\n"


def error_frame(error: ParleyError) -> bytes:
    body = {"type": "error", "code": error.code, "message": error.message, "hint": error.hint}
    return json.dumps(body).encode() + b"\n"


@dataclass(slots=True)
class FrameReader:
    """Bytes, cut anywhere -> chunks. `done` once the end was seen. Raises TtsFailed for error frames, and for bytes
    that are no frame."""

    done: bool = False
    _data: bytearray = field(default_factory=bytearray)
    _rate_hz: int = 0
    _wanted: int | None = None
    """Bytes of PCM that the last header announced; None while a header is awaited."""

    def feed(self, data: bytes) -> list[SpeechChunk]:
        self._data += data
        chunks = []
        while not self.done:
            if self._wanted is None:
                line_end = self._data.find(b"\n")
                if line_end < 0:
                    if len(self._data) > MAX_HEADER:
                        raise TtsFailed("the speech worker sent a header without an end")
                    break
                line = bytes(self._data[:line_end])
                del self._data[: line_end + 1]
                if (last := self._header(line)) is not None:
                    chunks.append(last)
            else:
                if len(self._data) < self._wanted:
                    break
                pcm = np.frombuffer(bytes(self._data[: self._wanted]), "<i2").astype(np.int16, copy=False)
                del self._data[: self._wanted]
                self._wanted = None
                chunks.append(SpeechChunk(pcm, self._rate_hz))
        return chunks

    def _header(self, line: bytes) -> SpeechChunk | None:
        try:
            header = json.loads(line)
            match header["type"]:
                case "audio":
                    rate_hz, samples = int(header["rate_hz"]), int(header["samples"])
                    if rate_hz <= 0 or not 0 <= samples <= MAX_SAMPLES:
                        raise ValueError("out of range")
                    self._rate_hz, self._wanted = rate_hz, 2 * samples
                    return None
                case "end":
                    self.done = True
                    words = tuple(Word(str(t), float(a), float(b)) for t, a, b in header["words"])
                    return SpeechChunk(np.zeros(0, np.int16), self._rate_hz, words)
                case "error":
                    message, hint = str(header["message"]), str(header.get("hint", ""))
                case kind:
                    raise ValueError(f"unknown type {kind!r}")
        except (ValueError, KeyError, TypeError) as error:
            raise TtsFailed("the speech worker sent a frame that cannot be read") from error
        raise TtsFailed(message, hint=hint)
