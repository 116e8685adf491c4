"""How a turn is told to be over: its words, what it cost, and why it ended as it did. Pure."""

from __future__ import annotations

from typing import Literal

from voice.session.outgoing import TurnComplete
from voice.turn.revision import Revision

__all__ = ["status_of", "turn_complete"]

Status = Literal["completed", "cancelled", "incomplete", "failed"]
_UNFINISHED = {"length": "max_output_tokens", "content_filter": "content_filter"}


def turn_complete(revision: Revision, heard: str, interrupted: bool, reason: str) -> TurnComplete:
    """`heard`: what of the reply was played; `reason`: why it was interrupted, if it was."""
    reply = revision.reply
    tokens_in, tokens_out = revision.spent  # of a round that was cut off
    tokens_in += revision.prompt_tokens
    tokens_out += revision.completion_tokens or 0
    if revision.completion_tokens is None and reply is not None:
        tokens_out = max(tokens_out, reply.tokens)
    status, why = status_of(revision.finish, revision.failure, reason if interrupted else None)
    return TurnComplete(
        reply=reply.id if reply is not None else "",
        input_transcript=revision.request,
        output_transcript=reply.text.strip() if reply is not None else "",
        heard_transcript=heard,
        tools_called=tuple(revision.rounds.called),
        interrupted=interrupted,
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        cost=0.0,
        latency_ms=revision.ledger.answer_ms(),
        latency=revision.ledger.milliseconds(),
        key=revision.options.key,
        item=revision.item,
        user_item=revision.user_item,
        status=status,
        reason=why,
    )


def status_of(finish: str, failure: str, cancelled: str | None) -> tuple[Status, str]:
    """How a reply ended, and why. `finish`: the model's word; `cancelled`: the reason if it was."""
    if cancelled is not None:
        return "cancelled", cancelled
    if failure:
        return "failed", failure
    if finish in _UNFINISHED:
        return "incomplete", _UNFINISHED[finish]
    return "completed", ""
