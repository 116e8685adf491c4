"""The names of voices that a Realtime client may use. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from voice.protocols.realtime_errors import invalid

__all__ = ["OPENAI_VOICES", "Voices", "voice_of"]

OPENAI_VOICES = frozenset(
    "alloy ash ballad cedar coral echo fable juniper marin nova onyx sage shimmer verse".split()
)
"""Names that every OpenAI client sends and no engine here has: they mean the default voice."""
_SHOWN = 8


def voice_of(name: str) -> str:
    """The voice that the client's name for one means here."""
    return "default" if name in OPENAI_VOICES else name


class Voices:
    """`ids` are those of the installed engine; None where nobody knows which there are.

    A conversation keeps its voice, as OpenAI's do: once one has spoken, no other may be chosen than the session's and
    those that have spoken.
    """

    def __init__(self, ids: Iterable[str] | None = None) -> None:
        self._ids = None if ids is None else {id.lower(): id for id in ids}
        self._spoken: set[str] = set()

    def spoke(self, name: str) -> None:
        """Words of it were sent. `name` is the client's."""
        self._spoken.add(name)

    def check(self, name: str, of_session: str | None, param: str) -> None:
        """Raises RealtimeError for a voice that does not exist, or that may not be chosen any more."""
        wanted = voice_of(name).lower()
        if self._ids is not None and wanted != "default" and not self._has(wanted, self._ids):
            known = sorted(self._ids.values())
            shown = "".join(letter for letter in name[:64] if letter.isprintable())
            raise invalid(
                f"Invalid value: '{shown}'. Supported values are: OpenAI's names (the default voice), "
                f"{', '.join(known[:_SHOWN])}{', ...' if len(known) > _SHOWN else ''}.",
                param,
                hint="GET /v1/audio/voices lists all voices",
            )
        if self._spoken and name not in (of_session, *self._spoken):
            said = "Cannot update a conversation's voice if assistant audio is present."
            raise invalid(said, param, code="cannot_update_voice")

    @staticmethod
    def _has(wanted: str, ids: Iterable[str]) -> bool:
        """By its id; espeak-ng's with a variant ("de+f3"); Piper's by the file or the speaker of `file#speaker`."""
        return any(wanted == id or wanted.split("+", 1)[0] == id or wanted in id.split("#", 1) for id in ids)
