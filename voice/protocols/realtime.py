"""The OpenAI Realtime API as a session's codec: GA names, or the beta's for clients that ask for them.

The lifecycle decides what is said (realtime_lifecycle.py); here frames become its events, and what it says becomes
frames: ids, JSON, audio in the client's format.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from models.errors import ParleyError
from models.registry import discover
from voice.codecs.spec import CodecSpec
from voice.errors import FrameTooLarge
from voice.port import Pcm
from voice.protocols.port import Draft, Frame
from voice.protocols.realtime_beta import beta_messages
from voice.protocols.realtime_client import Asked, UpdateSession, event_id_of, parse_event, parse_frame
from voice.protocols.realtime_config import RealtimeSession
from voice.protocols.realtime_errors import RealtimeError, invalid
from voice.protocols.realtime_lifecycle import Lifecycle
from voice.protocols.realtime_messages import Said, error_said
from voice.protocols.realtime_schema import FORMATS
from voice.protocols.realtime_voices import Voices
from voice.resample import StreamResampler
from voice.session.config import SessionConfig
from voice.session.incoming import ClientEvent
from voice.session.outgoing import AudioOut, ServerEvent
from voice.settings import VoiceSettings

__all__ = ["RealtimeCodec"]

_CLIENT_ERRORS = frozenset({"invalid_message", "invalid_request", "invalid_audio", "message_too_large"})
"""Codes of ParleyErrors that are the client's doing."""


EARLY_UPDATES = 32
"""The first events of a client, in which it may agree to be recorded; awaiting_consent.py in voice/records waits for
more."""
ASK_AT_FIRST = "connect with ?record=true, or send it in a session.update before anything else"


class RealtimeCodec:
    """One connection. `session_id` is shown, `expires_at` (unix seconds) too; `new_id(prefix)` makes unique ids;
    `voices` are those that there are."""

    most_errors: int | None = None

    def __init__(
        self,
        config: SessionConfig,
        session: RealtimeSession,
        settings: VoiceSettings,
        *,
        session_id: str,
        expires_at: int,
        new_id: Callable[[str], str],
        beta: bool = False,
        voices: Voices | None = None,
    ) -> None:
        self._head = {"id": session_id, "expires_at": expires_at}
        self._config, self._settings, self._new_id, self._beta = config, settings, new_id, beta
        self._voices = voices if voices is not None else Voices()
        self._lifecycle = Lifecycle(session, new_id, settings.llm.max_tokens, self._voices)
        self._wanted = session
        self._event_id: str | None = None
        self._writer = _AudioWriter()
        self._may_consent = True
        """Nothing was said yet, and consent to a recording was not taken back."""
        self._frames_seen = 0
        self._mcp_told: set[str] = set()

    @property
    def config(self) -> SessionConfig:
        return self._config

    @config.setter
    def config(self, config: SessionConfig) -> None:
        self._config, self._lifecycle.session = config, self._wanted

    def opened(self, token: str) -> Sequence[Draft]:
        greeting = [Said("session.created", {"session": self._session()})]
        if self._lifecycle.session.kind == "realtime":
            conversation = {"id": self._lifecycle.conversation, "object": "realtime.conversation"}
            greeting.append(Said("conversation.created", {"conversation": conversation}))
        return self._drafts([*greeting, *self._without_mcp()])

    def receive(self, frame: Frame) -> Sequence[ClientEvent | Draft]:
        """Everything but FrameTooLarge is answered here, with an `error` event that carries the client's event_id."""
        self._event_id = None
        try:
            message = parse_frame(frame)
            self._event_id = event_id_of(message)
            event = parse_event(message)
            self._frames_seen += 1
            if not isinstance(event, UpdateSession) or self._frames_seen > EARLY_UPDATES:
                self._may_consent = False
            steps = self._lifecycle.step(Asked(event, self._event_id))
        except RealtimeError as error:
            return self.complain(error)
        return [partial(self._frames, self._named(step)) if isinstance(step, Said) else step for step in steps]

    def apply(self, fields: Mapping[str, Any]) -> SessionConfig:
        # The model was chosen in the address, and clients send a name of OpenAI's along with everything else.
        fields = {name: value for name, value in fields.items() if name != "model"}
        wanted = self._lifecycle.session.changed(fields, self._settings, fresh=self._lifecycle.is_fresh)
        of_session = self._lifecycle.session.voice
        if wanted.voice is not None and wanted.voice != of_session:
            self._voices.check(wanted.voice, of_session, "session.audio.output.voice")
        self._check_consent(wanted.fields["record"])
        self._wanted = wanted
        return wanted.config(self._config.llm.model, self._settings)

    def _check_consent(self, wanted: bool) -> None:
        """A session is recorded from its beginning or not at all; consent may be taken back at any time."""
        given = self._lifecycle.session.fields["record"]
        if wanted and not given and not self._may_consent:
            raise invalid(
                "A session that runs cannot be recorded from its middle on.", "session.record", hint=ASK_AT_FIRST
            )
        if given and not wanted:
            self._may_consent = False

    def updated(self, token: str) -> Sequence[Draft]:
        return self._drafts([Said("session.updated", {"session": self._session()}), *self._without_mcp()])

    def _without_mcp(self) -> list[Said]:
        """MCP servers are not asked: the conversation goes on without their tools, and the client is told so once."""
        said: list[Said] = []
        for label in self._lifecycle.session.mcp_servers:
            if label not in self._mcp_told:
                self._mcp_told.add(label)
                # Not `in_progress` before: clients then ask for the item, and there is none.
                said.append(Said("mcp_list_tools.failed", {"item_id": self._new_id("mcpl")}))
                message = f"Tools of the MCP server '{label}' cannot be used here (offer them as functions)."
                said.append(
                    error_said(
                        "invalid_request_error",
                        "mcp_not_supported",
                        message,
                        param="session.tools",
                        event_id=self._event_id,
                    )
                )
        return said

    def complain(self, error: ParleyError) -> Sequence[Draft]:
        self._lifecycle.refused()
        asked = isinstance(error, RealtimeError | FrameTooLarge) or error.code in _CLIENT_ERRORS
        code = error.reason if isinstance(error, RealtimeError) else error.code
        kind = "invalid_request_error" if asked else "server_error"
        return self._drafts([error_said(kind, code, str(error), param=error.param, event_id=self._event_id)])  # type: ignore[arg-type]

    def tell(self, event: ServerEvent) -> Sequence[Draft]:
        said = [step for step in self._lifecycle.step(event) if isinstance(step, Said)]
        return self._drafts(said)

    # ---- out ------------------------------------------------------------------------------------------------

    def _session(self) -> dict[str, Any]:
        session = self._lifecycle.session
        kind = "realtime.session" if session.kind == "realtime" else "realtime.transcription_session"
        return {"object": kind, **self._head, **session.fields}

    def _drafts(self, said: Sequence[Said]) -> list[Draft]:
        return [partial(self._frames, self._named(one)) for one in said]

    def _named(self, said: Said) -> Said:
        return replace(said, body={"event_id": self._new_id("event"), **said.body})

    def _frames(self, said: Said) -> Sequence[Frame]:
        body = dict(said.body)
        if said.audio is not None:
            data = self._writer.write(said.audio, said.format)
            if not data:
                return ()
            body["delta"] = base64.b64encode(data).decode("ascii")
        messages = beta_messages(said.type, body) if self._beta else ((said.type, body),)
        return [_json({"type": kind, **fields}) for kind, fields in messages]


class _AudioWriter:
    """Samples of replies as bytes, each reply in its own format and rate."""

    def __init__(self) -> None:
        self._made_for: tuple[str, int, str] | None = None

    def write(self, event: AudioOut, format: str) -> bytes:
        if self._made_for != (event.reply, event.rate_hz, format):
            self._made_for = event.reply, event.rate_hz, format
            name, rate_hz = FORMATS[format]
            spec: CodecSpec = discover("voice.codecs")[name]
            if spec.encoder is None:
                raise ValueError(f"{name} is not an output format")
            self._encoder = spec.encoder(rate_hz)
            same = event.rate_hz == rate_hz
            self._resampler = None if same else StreamResampler(event.rate_hz, rate_hz)
        pcm: Pcm = np.asarray(event.pcm, dtype=np.int16)
        if self._resampler is not None:
            pcm = self._resampler.process(pcm, last=event.is_last)
        return self._encoder.encode(pcm) if len(pcm) else b""


def _json(message: Mapping[str, Any]) -> str:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
