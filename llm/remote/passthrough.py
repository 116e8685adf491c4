"""Answers that are in OpenAI's own form already and are passed on as they came. Pure.

Each chunk is still read: an error must become an error, usage is counted, and what is no JSON goes to nobody. But it
is not taken apart and written again. What is not quite OpenAI's form (no id, no date) is left to the conversion
(chunk_reader.py and convert/chat.py); a stream is judged by its first chunk. The one thing that is added is
`reasoning_content` where a server says `reasoning` (vLLM, mlx-lm): clients read one name or the other. What
would break clients is put right: numbers that JSON does not have, counts of tokens that are none, and a content in
parts. A reply that begins with `<think>` is converted, too.
"""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from math import isfinite
from typing import Any

from llm.messages import GenerateRequest
from llm.remote.chunk_reader import LEAST_LOGPROB, ChunkReader, count_of, plain_content
from llm.remote.text_frames import TextFrames
from llm.stream import Relayed, StreamEvent

__all__ = ["StreamRelay", "is_openais", "joined", "may_relay", "relayed_whole"]


def may_relay(request: GenerateRequest) -> bool:
    """Whether an answer to it may pass as it is. Tool calls may not: their index and ids need repair so often."""
    return bool(request.relay) and request.n == 1 and not request.tools


_SAYS = {"chat.completion": "message", "chat.completion.chunk": "delta"}


def is_openais(value: object, kind: str) -> bool:
    """`kind`: "chat.completion" or "chat.completion.chunk"."""
    return (
        isinstance(value, dict)
        and value.get("object") == kind
        and isinstance(value.get("choices"), list)
        and all(isinstance(choice, dict) and _SAYS[kind] in choice for choice in value["choices"])
        and all(isinstance(value.get(name), str) and value[name] for name in ("id", "model"))
        and isinstance(value.get("created"), int)
    )


def relayed_whole(value: Any, data: bytes) -> list[StreamEvent] | None:
    """The events of a whole answer that may pass; None where it must be converted. Raises what ChunkReader raises."""
    reader = ChunkReader()
    reader.read(value)
    if reader.reason is None or reader.thoughts.found or not is_openais(value, "chat.completion"):
        return None
    mended = _mended(value, b"NaN" in data or b"Infinity" in data)
    if (b'"reasoning"' in data and _named_twice(value, "message")) or mended:
        data = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    data = data.removeprefix(BOM_UTF8).decode("utf-8", "replace").encode()
    return [Relayed(data), reader.finish()]


_HEAD = ("id", "object", "created", "model", "system_fingerprint")
"""What all chunks of a reply have in common."""


class StreamRelay:
    """Goes between the server's chunks and the events of `reader`, and takes from it all but usage and the end.

    `usage`: the client wants the chunk with the usage, too. Chunks without a word in them (the role) wait for the
    first that has one: until then another backend may still take over. A reply that ended without saying why is
    given a reason, which clients wait for.
    """

    __slots__ = ("_converting", "_head", "_held", "_reader", "_texts", "_usage", "_wrote")

    def __init__(self, reader: ChunkReader, usage: bool) -> None:
        self._reader = reader
        self._usage = usage
        self._held = b""
        self._head: dict[str, Any] = {}
        self._wrote = False
        self._converting: bool | None = None
        self._texts = TextFrames()

    def as_it_is(self, piece: bytes) -> Relayed | None:
        """The piece, where it is whole frames with nothing to be learned from; it begins where an event begins."""
        frames = self._texts.count(piece) if self._wrote else 0
        return Relayed(piece, frames) if frames else None

    def read(self, data: str, chunk: Any) -> list[StreamEvent]:
        """The events of one chunk; `data` is its text. Raises what ChunkReader raises."""
        if _mended(chunk, "NaN" in data or "Infinity" in data):
            data = json.dumps(chunk, ensure_ascii=False, separators=(",", ":"))
        if self._wrote and _only_text(chunk):
            if self._texts.learning:
                self._texts.learn(data, chunk)
            return [_line(data)]
        events = self._reader.read(chunk)
        if self._converting is None:
            self._converting = not is_openais(chunk, "chat.completion.chunk")
            self._head = {name: chunk[name] for name in _HEAD if name in chunk}
        if self._reader.thoughts.found and not self._wrote:
            self._converting = True  # the words before were none: only beginnings of the mark
        if self._converting:
            return events
        if '"reasoning"' in data and _named_twice(chunk, "delta"):
            data = json.dumps(chunk, ensure_ascii=False, separators=(",", ":"))
        if not chunk.get("choices") and (not self._usage or chunk.get("usage") is None):
            return []
        line = _line(data)
        if not self._wrote and not events and self._reader.reason is None:
            self._held += line.data
            return []
        self._wrote = True
        held, self._held = self._held, b""
        return [Relayed(held + line.data) if held else line]

    def close(self) -> list[StreamEvent]:
        """The last events of the stream. Raises what ChunkReader raises."""
        last = self._reader.close()
        if not self._wrote or self._converting or self._reader.reason is not None:
            return last
        ending = {**self._head, "choices": [{"index": 0, "delta": {}, "finish_reason": self._reader.finish().reason}]}
        return [_line(json.dumps(ending, ensure_ascii=False, separators=(",", ":"))), *last]


def _line(data: str) -> Relayed:
    """A line break in JSON is between its tokens, and ends a line of the event stream."""
    text = data.replace("\n", " ") if "\n" in data else data
    return Relayed(f"data: {text}\n\n".encode("utf-8", "replace"))


def _only_text(chunk: Any) -> bool:
    """A chunk from the middle of an answer, from which nothing is to be learned: nearly all of them are such."""
    if type(chunk) is not dict or chunk.get("usage") or chunk.get("error") or chunk.get("object") == "error":
        return False
    choices = chunk.get("choices")
    if type(choices) is not list or len(choices) != 1 or type(choices[0]) is not dict:
        return False
    delta = choices[0].get("delta")
    if choices[0].get("finish_reason") or choices[0].get("error"):
        return False
    return type(delta) is dict and delta.keys() <= _PLAIN


_PLAIN = {"role", "content", "refusal", "reasoning_content"}


_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")


def _mended(value: Any, odd_numbers: bool) -> bool:
    """Whether something was put right, in place. `odd_numbers`: the text may have NaN or Infinity in it."""
    if not isinstance(value, dict):
        return False
    mended = (odd_numbers and _made_finite(value, 0)) | _in_words(value.get("choices"))
    usage = value.get("usage")
    if usage is not None and not isinstance(usage, dict):
        value["usage"], mended = None, True
    if isinstance(usage, dict):
        for name in _COUNTS:
            if name in usage and usage[name] != count_of(usage[name]):
                usage[name], mended = count_of(usage[name]), True
        if mended and "total_tokens" in usage:
            usage["total_tokens"] = count_of(usage.get("prompt_tokens")) + count_of(usage.get("completion_tokens"))
    return mended


def _in_words(choices: Any) -> bool:
    """Contents in parts as texts, in place."""
    mended = False
    for choice in choices if isinstance(choices, list) else ():
        for part in ("delta", "message"):
            said = choice.get(part) if isinstance(choice, dict) else None
            if isinstance(said, dict) and isinstance(said.get("content"), list):
                choice[part], mended = plain_content(said), True
    return mended


def _made_finite(value: Any, depth: int) -> bool:
    made = False
    if depth > 20:
        return made
    for key, inner in list(value.items()) if isinstance(value, dict) else enumerate(value):
        if isinstance(inner, float) and not isfinite(inner):
            value[key], made = LEAST_LOGPROB if key == "logprob" else None, True
        elif isinstance(inner, dict | list):
            made = _made_finite(inner, depth + 1) or made
    return made


def _named_twice(value: Any, part: str) -> bool:
    """Whether `reasoning_content` was put beside a `reasoning`; `part`: "message" or "delta"."""
    added = False
    for choice in value.get("choices") or ():
        said = choice.get(part) if isinstance(choice, dict) else None
        if isinstance(said, dict) and isinstance(said.get("reasoning"), str) and "reasoning_content" not in said:
            said["reasoning_content"] = said["reasoning"]
            added = True
    return added


def joined(events: list[StreamEvent]) -> list[StreamEvent]:
    """What came in one piece goes on in one piece."""
    if len(events) < 2 or not all(type(event) is Relayed for event in events):
        return events
    return [Relayed(b"".join(event.data for event in events if isinstance(event, Relayed)), len(events))]
