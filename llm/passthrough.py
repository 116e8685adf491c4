"""Answers that are in OpenAI's own form already and are passed on as they came. Pure.

Each chunk is still read: an error must become an error, usage is counted, and what is no JSON goes to nobody. But it
is not taken apart and written again. What is not quite OpenAI's form (no id, `reasoning` for `reasoning_content`) is
left to the conversion (chunk_reader.py and convert.py); a stream is judged by its first chunk.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm.chunk_reader import ChunkReader
from llm.messages import GenerateRequest
from llm.stream import Relayed, StreamEvent

__all__ = ["StreamRelay", "is_openais", "joined", "may_relay", "relayed_whole"]


def may_relay(request: GenerateRequest) -> bool:
    """Whether an answer to it may pass as it is. Tool calls may not: their index and ids need repair so often."""
    return bool(request.relay) and request.n == 1 and not request.tools


def is_openais(value: object, kind: str) -> bool:
    """`kind`: "chat.completion" or "chat.completion.chunk"."""
    return (
        isinstance(value, Mapping)
        and value.get("object") == kind
        and isinstance(value.get("choices"), list)
        and all(isinstance(value.get(name), str) and value[name] for name in ("id", "model"))
        and isinstance(value.get("created"), int)
    )


def relayed_whole(value: Any, data: bytes) -> list[StreamEvent] | None:
    """The events of a whole answer that may pass; None where it must be converted. Raises what ChunkReader raises."""
    reader = ChunkReader()
    reader.read(value)
    if reader.reason is None or b'"reasoning"' in data or not is_openais(value, "chat.completion"):
        return None
    return [Relayed(data), reader.finish()]


class StreamRelay:
    """Goes between the server's chunks and the events of `reader`, and takes from it all but usage and the end.

    `usage`: the client wants the chunk with the usage, too. Chunks without a word in them (the role) wait for the
    first that has one: until then another backend may still take over.
    """

    __slots__ = ("_converting", "_held", "_reader", "_usage", "_wrote")

    def __init__(self, reader: ChunkReader, usage: bool) -> None:
        self._reader = reader
        self._usage = usage
        self._held = ""
        self._wrote = False
        self._converting: bool | None = None

    def read(self, data: str, chunk: Any) -> list[StreamEvent]:
        """The events of one chunk; `data` is its text. Raises what ChunkReader raises."""
        events = self._reader.read(chunk)
        if self._converting is None:
            self._converting = '"reasoning"' in data or not is_openais(chunk, "chat.completion.chunk")
        if self._converting:
            return events
        if not chunk.get("choices") and (not self._usage or chunk.get("usage") is None):
            return []
        # A line break in JSON is between its tokens, and ends a line of the event stream.
        line = f"data: {data if chr(10) not in data else data.replace(chr(10), ' ')}\n\n"
        if not self._wrote and not events and self._reader.reason is None:
            self._held += line
            return []
        self._wrote = True
        line, self._held = self._held + line, ""
        return [Relayed(line.encode("utf-8", "replace"))]


def joined(events: list[StreamEvent]) -> list[StreamEvent]:
    """What came in one piece goes on in one piece."""
    if len(events) < 2 or not all(type(event) is Relayed for event in events):
        return events
    return [Relayed(b"".join(event.data for event in events if isinstance(event, Relayed)))]
