"""Load on an OpenAI-compatible server, and what came of it: one stage a number of clients."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

import aiohttp
import anyio

from llm.errors import BackendFailed
from llm.measuring.statistics import quantile
from llm.remote.backend_http import loads
from llm.remote.chunk_reader import ChunkReader
from llm.remote.sse import SseReader
from llm.stream import StreamEvent, UsageSoFar
from models.clock import Clock
from models.errors import ParleyError
from models.secrecy import hidden

__all__ = ["Outcome", "Stage", "Work", "run_stage"]

MOST_OF_AN_ERROR = 300
APART_S = 0.0005

_WORDS = (
    "river lamp stone morning window bread letter garden winter table music answer paper silver open quiet".split()
)


@dataclass(frozen=True, slots=True)
class Work:
    """`base_url` ends with /v1. Lengths are in tokens; a prompt's is about right (one common word, one token)."""

    base_url: str
    model: str
    key: str = field(default="", repr=False)
    prompt_tokens: int = 128
    output_tokens: int = 64
    timeout_s: float = 120.0


@dataclass(slots=True)
class Outcome:
    """One request. `tokens` as the server counts them, else the pieces that came."""

    first_s: float = 0.0
    whole_s: float = 0.0
    tokens: int = 0
    pauses: int = 0
    """Pieces that came APART_S or more behind the one before: a reply without them was written before it was sent."""
    last_s: float = 0.0
    prompt_tokens: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class Stage:
    """`tokens_per_s` of all clients together; `reply_tokens_per_s` of one reply, after its first token."""

    clients: int
    requests: int
    errors: int
    seconds: float
    tokens_per_s: float
    reply_tokens_per_s: float
    first_median_s: float
    first_p95_s: float
    prompt_tokens: int
    error: str = ""

    def row(self) -> dict[str, float | int | str]:
        return asdict(self)


async def run_stage(
    http: aiohttp.ClientSession,
    work: Work,
    clients: int,
    requests: int,
    seconds: float,
    clock: Clock,
    on_done: Callable[[], None] = lambda: None,
) -> Stage:
    """Each client asks again as soon as it has its answer, until `requests` were asked or the time is over. What
    runs then is let finish within as long again; what does not is an error.
    """
    outcomes: list[Outcome] = []
    begun_s = clock.now()
    left = requests
    mark = secrets.token_hex(4)  # a prompt that an earlier stage or run has sent may still be in a cache

    async def client(number: int) -> None:
        nonlocal left
        while left > 0 and clock.now() - begun_s < seconds:
            left -= 1
            outcomes.append(outcome := Outcome(error=f"no whole answer within {2 * seconds:g} s"))
            await _ask(http, work, f"{mark}.{number}.{left}", clock, outcome)
            on_done()
            if outcome.error:
                await anyio.sleep(0.1)

    with anyio.move_on_after(2 * seconds):
        async with anyio.create_task_group() as group:
            for number in range(clients):
                group.start_soon(client, number)
    return _stage(clients, outcomes, clock.now() - begun_s)


async def _ask(http: aiohttp.ClientSession, work: Work, mark: str, clock: Clock, outcome: Outcome) -> None:
    words = " ".join(_WORDS[(index * 7) % len(_WORDS)] for index in range(max(1, work.prompt_tokens - 20)))
    body = {
        "model": work.model,
        "messages": [{"role": "user", "content": f"Request {mark}: {words}. Tell a long story of these words."}],
        "max_tokens": work.output_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    headers = {"authorization": f"Bearer {work.key}"} if work.key else {}
    timeout = aiohttp.ClientTimeout(total=work.timeout_s)
    begun_s, error = clock.now(), ""
    try:
        async with http.post(
            f"{work.base_url}/chat/completions", json=body, headers=headers, timeout=timeout
        ) as answer:
            if answer.status != 200:
                error = _refusal(answer.status, await answer.text(), work)
            elif answer.content_type == "text/html":
                error = "a web page, and no answer of a model"
            else:
                await _read(answer, outcome, begun_s, clock)
    except (aiohttp.ClientConnectorError, aiohttp.InvalidURL) as problem:
        reason = getattr(problem, "strerror", None) or problem
        error = hidden(f"nothing answers at {work.base_url} ({reason})")
    except TimeoutError:
        error = f"no answer within {work.timeout_s:.0f} s"
    except ParleyError as problem:  # what the server says is wrong, or nothing that anybody could read
        error = hidden(problem.message)[:MOST_OF_AN_ERROR]
    except (aiohttp.ClientError, OSError, ValueError) as problem:
        error = hidden(f"{type(problem).__name__}: {problem}")[:MOST_OF_AN_ERROR]
    outcome.whole_s = clock.now() - begun_s
    outcome.error = error or ("" if outcome.first_s else "an empty answer")


def _refusal(status: int, text: str, work: Work) -> str:
    """What the server says, and what can be done where the status alone tells."""
    try:
        body = json.loads(text)
    except ValueError:
        body = None
    said = _message(body) if isinstance(body, dict) else hidden(" ".join(text.split()))[:MOST_OF_AN_ERROR]
    advice = ""
    if status in (401, 403):
        advice = "; give its key with --key" if not work.key else "; is --key the right one?"
    elif status == 404 and not work.base_url.endswith("/v1"):
        advice = "; such addresses mostly end with /v1"
    return f"{status}: {said or 'no reason given'}{advice}"


def _message(body: dict[str, Any]) -> str:
    """Of OpenAI's error object, or of what looks like one."""
    error = body.get("error") or body.get("detail") or body.get("message") or "an error without a message"
    if not isinstance(error, dict):
        return hidden(str(error))[:MOST_OF_AN_ERROR]
    said = str(error.get("message") or error.get("code") or "an error without a message")
    hint = error.get("hint")
    return hidden(f"{said}; {hint}" if isinstance(hint, str) and hint else said)[:MOST_OF_AN_ERROR]


async def _read(answer: aiohttp.ClientResponse, outcome: Outcome, begun_s: float, clock: Clock) -> None:
    """A stream, or an answer in one piece of a server that has none. Raises LlmError, BadInput."""
    reader, stream, ended = ChunkReader(), SseReader(), False
    if answer.content_type == "application/json":
        _count(reader.read(loads(await answer.read())), outcome, clock.now() - begun_s)
    else:
        async for piece in answer.content.iter_any():
            for data in stream.feed(piece):
                ended = ended or data == "[DONE]"
                if not ended:
                    _count(reader.read(loads(data)), outcome, clock.now() - begun_s)
        if outcome.first_s and not ended and reader.reason is None:
            raise BackendFailed("the answer broke off")
    _count(reader.close()[:-1], outcome, clock.now() - begun_s)
    if reader.usage is not None:
        outcome.tokens = reader.usage.completion_tokens or outcome.tokens
        outcome.prompt_tokens = reader.usage.prompt_tokens


def _count(events: list[StreamEvent], outcome: Outcome, now_s: float) -> None:
    """Of one chunk."""
    if all(isinstance(event, UsageSoFar) for event in events):
        return
    outcome.pauses += bool(outcome.first_s) and now_s - outcome.last_s > APART_S
    outcome.first_s, outcome.last_s = outcome.first_s or now_s, now_s
    outcome.tokens += 1


def _stage(clients: int, outcomes: list[Outcome], seconds: float) -> Stage:
    good = [one for one in outcomes if not one.error]
    firsts = [one.first_s for one in good]
    speeds = [(one.tokens - 1) / (one.whole_s - one.first_s) for one in good if one.pauses > 1]
    return Stage(
        clients=clients,
        requests=len(outcomes),
        errors=len(outcomes) - len(good),
        seconds=round(seconds, 6),
        tokens_per_s=round(sum(one.tokens for one in good) / seconds, 2) if seconds > 0 else 0.0,
        reply_tokens_per_s=round(median(speeds), 2) if speeds else 0.0,
        first_median_s=round(median(firsts), 4) if firsts else 0.0,
        first_p95_s=round(quantile(firsts, 0.95), 4),
        prompt_tokens=round(median([one.prompt_tokens for one in good])) if good else 0,
        error=next((one.error for one in outcomes if one.error), ""),
    )
