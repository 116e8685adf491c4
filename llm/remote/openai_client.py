"""A client of OpenAI's chat completions over HTTP: one request out, stream events in, typed errors.

The servers that speak it differ in small things; each has a file in llm/backends/ that says which.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar, Protocol

import aiohttp
import anyio

from llm.convert.chat import parse_body, to_body
from llm.convert.vector_answers import embeddings_of, ranks_of
from llm.convert.vectors import document_texts
from llm.errors import BackendFailed, BackendUnreachable, LlmError
from llm.messages import GenerateRequest, WaitState
from llm.port import BackendConfig, ModelInfo, SlotTold, VectorPath
from llm.remote.backend_http import (
    MAX_REPLY_BYTES,
    PROBE_S,
    SERVER_BROKE,
    SERVER_GONE,
    data_of,
    dumps,
    json_of,
    loads,
    read_out,
    reason_of,
)
from llm.remote.chunk_reader import ChunkReader
from llm.remote.exchange import NoAnswer, SpeaksTls
from llm.remote.inline_thoughts import InlineThoughts
from llm.remote.ndjson import LineReader
from llm.remote.passthrough import StreamRelay, joined, may_relay, relayed_whole
from llm.remote.request_defaults import with_defaults
from llm.remote.sse import SseReader
from llm.remote.upstream import Upstream, UpstreamAnswer
from llm.remote.via import OWN_ID, ids_of
from llm.routing.abilities import abilities_of
from llm.stream import StreamEvent
from llm.wire.vectors import EmbeddingRequest, RerankRequest
from models.errors import ParleyError

__all__ = ["OpenAIClient"]

_JSON = {"Content-Type": "application/json"}
_DONE = "[DONE]"
_PAGE = "base_url must point at the API; does a proxy before it ask for a sign-in?"
LONGEST_ID = 512
WHOLE_PATIENCE = 5.0
"""Times `timeout_s`: a server that answers in one piece is silent while it writes."""


class _FrameReader(Protocol):
    done: bool
    """The frame that was read last ended the answer."""

    def read(self, frame: object) -> list[StreamEvent]:
        """Raises LlmError."""
        ...


class OpenAIClient:
    """A Backend. `http` is the shared session. Closing the iterator of `generate` closes the upstream socket.

    `gone` and `broken` make the errors for a server that does not answer and one that stops in the middle.
    """

    ours: ClassVar[bool] = False
    """Whether the server understands the fields that are Parley's own."""
    renames: ClassVar[Mapping[str, str]] = {}
    """Fields of our body that this server calls otherwise; "" leaves one out, because it would be refused."""
    versioned: ClassVar[bool] = True
    """Whether /v1 is put behind a base_url that has no path."""
    health_path: ClassVar[str] = ""
    """From the server's root; "": that it lists its models is its health."""
    carries: ClassVar[bool] = True
    """Whether it is sent the fields of a client's request that nothing here reads."""
    relays: ClassVar[bool] = True
    """Whether its chunks are OpenAI's own, so that they may be passed on as they are."""

    def __init__(self, config: BackendConfig, http: aiohttp.ClientSession) -> None:
        self.name = config.name
        self.config = config
        self._http = http
        # What one of our own workers was asked may be what ended it: slot.py knows when to ask the next one.
        self._upstream = Upstream(http, asks_again=not self.ours)
        self._base = config.base_url.rstrip("/")
        self._root = self._base.removesuffix("/v1")
        if self.versioned and self._base.count("/") == 2:
            self._base = f"{self._root}/v1"

    # ---- answering -----------------------------------------------------------------------------------------

    def body(self, request: GenerateRequest) -> dict[str, Any]:
        """What is sent. Raises BadInput for what this server cannot do."""
        body = to_body(request, request.model or self.config.model, ours=self.ours, carries=self.carries)
        return {self.renames.get(name, name): value for name, value in body.items() if self.renames.get(name, name)}

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[StreamEvent, None]:
        body = self.body(with_defaults(request, self.config))
        thoughts = InlineThoughts(not self.ours and request.prompt is None)
        reader, events = ChunkReader(choices=request.n, thoughts=thoughts), SseReader()
        begun = False
        quiet_s: float | None = anyio.current_time()  # since when nothing of the answer has come
        passes = self.relays and may_relay(request)
        relay = StreamRelay(reader, request.relay_usage) if passes and request.relay == "stream" else None
        whole = passes and request.relay == "whole" and not self.ours  # which tells more while it writes
        if whole:
            body = {name: value for name, value in body.items() if name not in ("stream", "stream_options")}
        try:
            path = "chat/completions" if request.prompt is None else "completions"
            async with self._asked(f"{self._base}/{path}", body, WHOLE_PATIENCE if whole else 1.0) as response:
                if response.content_type == "text/html":
                    raise BackendFailed(f"{self.name} sent a page", hint=_PAGE, of_server=True)
                if _in_one_piece(response, await response.opening(), whole):
                    for event in await self._whole_answer(response, reader, relay=whole):
                        yield event
                    return
                async for piece in response.pieces():
                    if relay is not None and events.idle and (same := relay.as_it_is(piece)) is not None:
                        quiet_s = None
                        yield same
                        continue
                    said = events.feed(piece)
                    found, ended = _read(said, reader, relay)
                    if found or (begun and said):
                        quiet_s = None
                    for event in found:
                        begun = True
                        yield event
                    if isinstance(ended, Exception):
                        raise ended
                    if ended:
                        if reader.reason is None and not (begun or reader.content_check.words):
                            raise self.broken()
                        for event in (relay or reader).close():
                            yield event
                        await read_out(response)
                        return
                    quiet_s = anyio.current_time() if quiet_s is None else quiet_s
                    self._check_pause(begun, quiet_s)
                    if self.ours and not begun and request.on_wait is not None:
                        request.on_wait(WaitState(request.model, 0))  # it reads the prompt
                found, ended = _read(events.close(), reader, relay)
                for event in found:
                    yield event
                if isinstance(ended, Exception):
                    raise ended
                if reader.reason is None:
                    raise self.broken()
                for event in reader.close():
                    yield event
        except SERVER_GONE as error:
            raise self.gone(error) from error
        except SERVER_BROKE as error:
            raise self.broken(error) from error

    async def _whole_answer(
        self, response: UpstreamAnswer, reader: ChunkReader, *, relay: bool
    ) -> Sequence[StreamEvent]:
        """The events of an answer that is one JSON value; passed on as it is where `relay` allows it."""
        data = await data_of(response, MAX_REPLY_BYTES)
        value = loads(data)
        if relay and (as_it_is := relayed_whole(value, data)) is not None:
            return as_it_is
        events = [*reader.read(value), *reader.close()]
        if reader.reason is None and not reader.content_check.words:
            raise self.broken()  # the value is whole; some leave the reason out
        return events

    async def _frames(
        self, url: str, body: dict[str, Any], frames: SseReader | LineReader, reader: _FrameReader
    ) -> AsyncGenerator[StreamEvent, None]:
        """The answer to a POST as `reader` reads its frames, each a JSON value. For APIs that are not OpenAI's."""
        try:
            async with self._asked(url, body) as response:
                async for piece in response.pieces():
                    for data in frames.feed(piece):
                        for event in reader.read(loads(data)) if data != _DONE else ():
                            yield event
                        if reader.done:
                            await read_out(response)
                            return
                for data in frames.close():
                    for event in reader.read(loads(data)) if data != _DONE else ():
                        yield event
                if not reader.done:
                    raise self.broken()
        except SERVER_GONE as error:
            raise self.gone(error) from error
        except SERVER_BROKE as error:
            raise self.broken(error) from error

    def _asked(
        self, url: str, body: dict[str, Any], patience: float = 1.0
    ) -> AbstractAsyncContextManager[UpstreamAnswer]:
        """The answer to a POST that succeeded."""
        headers = {**_JSON, **self._headers()}
        return self._upstream.request("POST", url, headers, dumps(body), self._patience(patience))

    def _check_pause(self, begun: bool, quiet_s: float) -> None:
        """A server may send comments for ever; the answer itself must begin in time, and go on. One of our own slots
        says with comments that it works before it has a word: a model that loads.
        """
        if (begun or not self.ours) and anyio.current_time() - quiet_s > self.config.timeout_s:
            raise self.broken() if begun else self.gone(TimeoutError())

    # ---- what it is and has --------------------------------------------------------------------------------

    async def health(self) -> bool:
        try:
            if self.health_path:
                await self._get(self._root + self.health_path)
            else:
                await self.models()
        except ParleyError:  # also one that calls the question itself wrong: it is no server for us
            return False
        return True

    async def models(self) -> tuple[ModelInfo, ...]:
        """What the server lists, with the context length where it tells. Raises BackendUnreachable, BackendFailed."""
        answer = await self._get(f"{self._base}/models")
        rows = answer.get("data") if isinstance(answer, dict) else None
        found: dict[str, ModelInfo] = {}
        for row in rows if isinstance(rows, list) else ():
            if isinstance(row, dict) and isinstance(row.get("id"), str) and 0 < len(row["id"]) <= LONGEST_ID:
                via, owner = ids_of(row.get("parley_via")), str(row.get("owned_by") or self.name)
                if OWN_ID not in via:  # it has that from us
                    info = ModelInfo(row["id"], self.name, _context(row), owner, abilities_of(row), via)
                    found.setdefault(info.id, info)
        return tuple(found.values())

    async def context_limit(self, model: str) -> int | None:
        """Tokens that `model` takes, None where the server does not tell. Raises LlmError."""
        return next((info.context for info in await self.models() if info.id == model), None)

    async def preload(self, model: str) -> None:
        """Load the model so that the first request need not wait, where the server can. Raises LlmError."""

    async def vectors(
        self, path: VectorPath, body: Mapping[str, Any], user: str = "", on_slot: SlotTold | None = None
    ) -> dict[str, Any]:
        """Raises UnknownModel where the server has no such thing, BadInput, and as `generate` does."""
        model = str(body.get("model") or self.config.model)
        if path == "embeddings":
            return embeddings_of(parse_body(EmbeddingRequest, body), await self._vectors(path, body, model), model)
        asked = parse_body(RerankRequest, body)
        documents = {**body, "documents": document_texts(asked)}
        return ranks_of(asked, await self._vectors(path, documents, model), model)

    async def embed(self, texts: Sequence[str], model: str) -> list[list[float]]:
        """A vector for every text. Raises LlmError where the server has no embeddings."""
        answer = await self.vectors("embeddings", {"model": model, "input": list(texts)})
        return [row["embedding"] for row in answer["data"]]

    async def rerank(self, query: str, documents: Sequence[str], model: str) -> list[float]:
        """A score for every document. Raises LlmError where the server cannot rerank."""
        answer = await self.vectors("rerank", {"model": model, "query": query, "documents": list(documents)})
        scores = {row["index"]: row["relevance_score"] for row in answer["results"]}
        return [scores[index] for index in range(len(documents))]

    async def prefill(self, request: GenerateRequest) -> None:
        """Not asked of a server that may be paid for every prompt."""

    async def _vectors(self, path: VectorPath, body: Mapping[str, Any], model: str) -> Any:
        sent = {name: value for name, value in body.items() if not name.startswith("parley_")}
        if path == "embeddings":
            sent.setdefault("encoding_format", "float")
        return await self._post(f"{self._base}/{path}", {**sent, "model": model})

    async def forget(self, conversation: str) -> None:
        """Other servers keep their caches themselves."""

    async def aclose(self) -> None:
        """The HTTP session is not ours."""

    # ---- the wire ------------------------------------------------------------------------------------------

    async def _get(self, url: str) -> Any:
        """The JSON of a GET; None where the answer is empty. Raises LlmError."""
        return await self._ask("GET", url, None, aiohttp.ClientTimeout(total=PROBE_S, connect=PROBE_S))

    async def _post(self, url: str, body: dict[str, Any]) -> Any:
        return await self._ask("POST", url, body, self._patience())

    async def _ask(self, method: str, url: str, body: dict[str, Any] | None, timeout: aiohttp.ClientTimeout) -> Any:
        try:
            headers = self._headers() if body is None else {**_JSON, **self._headers()}
            data = b"" if body is None else dumps(body)
            async with self._upstream.request(method, url, headers, data, timeout) as response:
                return await json_of(response)
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            raise self.gone(error) from error

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.config.api_key}"} if self.config.api_key else {}

    def _patience(self, factor: float = 1.0) -> aiohttp.ClientTimeout:
        config = self.config
        return aiohttp.ClientTimeout(
            total=config.total_timeout_s or None,
            connect=min(config.connect_timeout_s, config.total_timeout_s or config.connect_timeout_s),
            sock_read=config.timeout_s * factor,
        )

    def gone(self, error: BaseException) -> LlmError:
        why, hint = reason_of(error)
        return BackendUnreachable(f"{self.name} at {self._base} does not answer ({why})", hint=hint)

    def broken(self, error: BaseException | None = None) -> LlmError:
        said, hint = "broke off its answer", "see the log of that server"
        if isinstance(error, (NoAnswer, SpeaksTls)):
            why, hint = reason_of(error)
            said = f"at {self._base} does not answer ({why})"
        return BackendFailed(f"{self.name} {said}", hint=hint, of_server=True)


def _read(
    events: Sequence[str], reader: ChunkReader, relay: StreamRelay | None
) -> tuple[list[StreamEvent], bool | Exception]:
    """What came in one piece; and whether it had the end, or what was wrong behind the events."""
    found: list[StreamEvent] = []
    ended: bool | Exception = False
    try:
        for data in events:
            if data.strip() == _DONE:
                ended = True
                break
            chunk = loads(data)
            found += reader.read(chunk) if relay is None else relay.read(data, chunk)
    except ParleyError as error:
        ended = error
    return (found if relay is None else joined(found)), ended


def _in_one_piece(response: UpstreamAnswer, opening: bytes, whole: bool) -> bool:
    """Whether a whole answer comes and no stream. Servers forget to say what they send, or call it otherwise: what it
    begins with tells.
    """
    first = opening.removeprefix(BOM_UTF8).lstrip()[:1]
    if first:
        return first in b"{["
    return response.content_type == "application/json" or (whole and response.content_type != "text/event-stream")


def _context(row: dict[str, Any]) -> int | None:
    found = row.get("meta")
    meta = found if isinstance(found, dict) else {}
    value = row.get("max_model_len") or row.get("context_length") or meta.get("n_ctx") or meta.get("n_ctx_train")
    return value if isinstance(value, int) else None
