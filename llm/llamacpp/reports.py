"""What the engine tells its callers about the batcher's decisions and counts. Pure."""

from __future__ import annotations

from llm.batching import events as batch
from llm.batching.batcher import Batcher
from llm.engine import EngineState, SequenceState
from llm.errors import ContextTooLong, LlmError, Overloaded
from llm.llamacpp.state_store import StateStore
from models.errors import BadInput

__all__ = ["refusal", "state_of"]


def refusal(why: batch.RefuseReason, limits: batch.Limits, tokens: int) -> LlmError | BadInput:
    """The error of a refused request; `tokens` is the length of its prompt."""
    match why:
        case "too_long":
            return ContextTooLong(
                f"the prompt has {tokens} tokens; this model holds {limits.context}, the reply included",
                hint="send less history, or give the slot a larger ctx_size",
                param="messages",
            )
        case "queue_full":
            return Overloaded(f"{limits.queue} requests are waiting already", hint="try again in a few seconds")
        case "empty":
            return BadInput("the prompt is empty", param="messages")


def state_of(batcher: Batcher, state_store: StateStore | None = None) -> EngineState:
    """A snapshot; call it between two steps."""
    counted = batcher.statistics
    return EngineState(
        busy=batcher.active,
        waiting=batcher.waiting,
        sequences=tuple(
            SequenceState(
                row.id, row.holder is not None, len(row.tokens), row.conversation, row.holder, row.offloaded
            )
            for row in batcher.sequences.all
        ),
        counters={
            "steps": counted.steps,
            "prompt_tokens": counted.prompt_tokens,
            "cached_tokens": counted.cached_tokens,
            "completion_tokens": counted.completion_tokens,
            "cancelled": counted.cancelled,
            "refused": counted.refused,
            "guessed_tokens": counted.guessed_tokens,
            "right_tokens": counted.right_tokens,
            "offloaded": counted.offloaded,
            "reloaded": counted.reloaded,
            "preempted": counted.preempted,
            "restored": state_store.restored if state_store is not None else 0,
        },
        widths=dict(counted.widths),
    )
