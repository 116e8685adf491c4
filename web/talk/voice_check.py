"""Is there the voice that was asked for? Said before the conversation; in it, every answer would fail alike."""

from __future__ import annotations

from web.terminal.api_client import ApiClient, ServerRefused

__all__ = ["check_voice"]

_MOST_NAMES = 12


async def check_voice(client: ApiClient, voice: str) -> None:
    """Let the voice say a word: only its engine knows by which names it can be called. Raises ServerRefused with the
    voices that there are. What else is wrong is left to the conversation.
    """
    try:
        await client.check("/v1/audio/speech", {"input": "Yes.", "voice": voice, "response_format": "pcm"})
    except ServerRefused as error:
        if error.param != "voice":
            return
        rows = (await client.get("/v1/audio/voices"))["voices"]
        names = [str(row["id"]) for row in rows]
        more = f" and {len(names) - _MOST_NAMES} more (GET /v1/audio/voices)" if len(names) > _MOST_NAMES else ""
        hint = f"there is {', '.join(names[:_MOST_NAMES])}{more}"
        raise ServerRefused(error.message, hint=hint) from None
