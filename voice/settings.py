"""The server's voice settings: `[voice.*]` of parley.toml. Read once by web/settings.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from models.secrecy import keep_headers, keep_secret, keep_url

__all__ = [
    "STOP_PHRASES",
    "HttpToolSettings",
    "RealtimeSettings",
    "RecordSettings",
    "SpeechServiceSettings",
    "ToolSettings",
    "TurnSettings",
    "VadSettings",
    "VoiceLlmSettings",
    "VoiceSettings",
    "WakeSettings",
]


@dataclass(frozen=True, slots=True)
class SpeechServiceSettings:
    """One of `[voice.stt]`, `[voice.tts]`. `engine` auto takes the best that is installed."""

    engine: str = "auto"
    base_url: str = ""
    model: str = ""
    api_key: str = field(default="", repr=False)
    voice: str = ""
    language: str = "auto"
    timeout_s: float = 20.0

    def __post_init__(self) -> None:
        keep_secret(self.api_key)
        keep_url(self.base_url)


@dataclass(frozen=True, slots=True)
class VoiceLlmSettings:
    """`[voice.llm]`."""

    model: str = ""
    system_prompt: str = "You are Parley, a friendly voice assistant. Answer in one or two short spoken sentences."
    temperature: float | None = None
    """None: what the model's makers advise, or the backend's own default."""
    max_tokens: int = 1024


STOP_PHRASES = (
    "stop", "stop it", "stop talking", "be quiet", "quiet", "shut up", "enough", "that's enough", "cancel",
    "never mind", "silence", "halt",
)  # fmt: skip
"""People end a reply with these, and want no other."""


@dataclass(frozen=True, slots=True)
class TurnSettings:
    """`[voice.turn]`. All times in milliseconds of audio."""

    detector: str = "auto"
    """auto, or a part of voice/turn_detection. auto: smart_turn where its model is, else adaptive."""
    smart_turn_model: str = ""
    """The path of a Smart Turn v3 model; empty: looked for in the model folders and in an installed pipecat-ai."""
    silence_ms: int = 500
    """The turn is over after this much silence, if nothing speaks for more or less."""
    max_silence_ms: int = 4000
    """The turn is over after this much silence, whatever a detector thinks."""
    pause_ms: int = 128
    """After this much silence it is a pause: the detector is asked, and work on the answer has started, unheard."""
    guess_ms: int = 32
    """A guess that the turn is over: work on the answer starts after this much silence already. From the sixth wrong
    guess of a turn on, each makes the next one wait as much longer, up to `pause_ms`. None without `speculate`."""
    min_speech_ms: int = 96
    """Shorter sounds are no speech."""
    preroll_ms: int = 320
    """Audio kept from before the onset, so that no first word is lost."""
    barge_in_ms: int = 384
    """Voiced time after which a sound over a reply is speech and no cough: it is asked what is said."""
    barge_in_sure_ms: int = 512
    """Voiced time after which it is an interruption even where the recogniser has not said what it is."""
    stop_words: tuple[str, ...] = STOP_PHRASES
    """Said alone over a reply they end it, with a wake word too; they are not answered."""
    far_voice_db: float = 0.0
    """A voice so much below the level of the user's own requests is far: a television. 0: none is. It is for rooms
    where one runs (12 is a good value): elsewhere who is far is the user, who has walked away and asks something."""
    max_turn_s: float = 60.0
    """A turn is cut here whatever happens (a television, a fan)."""
    speculate: bool = True
    lead_ms: int = 300
    """Audio is sent at most this far ahead of playout."""
    unsure_ms: int = 300
    """A client that does not report what it has played may play it so much later than it was sent, its network not
    counted. When it is interrupted, so much less counts as heard."""
    slow_after_ms: int = 4000
    """An answer of which nothing has come for so long is slow: the client is told what it waits for, and a few words
    are spoken before its first ones (`filler` of `[voice.tools]`). 0: never."""
    reply_timeout_s: float = 60.0
    """An answer is given up when there was no sign of it for so long; a model that is being loaded, or other requests
    before it in the line, are signs."""
    excuse: bool = True
    """Where an answer fails before its first word, or the recogniser before that, it is said aloud too (live
    protocol)."""
    follow_up_s: float = 0.0
    """After a reply, this long no wake word is needed; 0: always needed."""


@dataclass(frozen=True, slots=True)
class VadSettings:
    """`[voice.vad]`."""

    engine: str = "silero"
    threshold: float = 0.5
    """Speech starts at this probability and ends 0.15 below it (Silero's own hysteresis)."""


@dataclass(frozen=True, slots=True)
class WakeSettings:
    """`[voice.wake]`."""

    engine: str = "openwakeword"
    threshold: float = 0.5
    refractory_ms: int = 1500
    models: tuple[str, ...] = ()
    """Paths of wake-word models beside those of the model folders, named after their word."""


@dataclass(frozen=True, slots=True)
class HttpToolSettings:
    """One of `[[voice.tools.http]]`: a tool that is an HTTP request to a service of the operator's."""

    name: str
    description: str
    url: str
    method: Literal["GET", "POST"] = "POST"
    """GET: the arguments are the query. POST: they are the JSON body."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """JSON schema of the arguments."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        keep_url(self.url)
        keep_headers(self.headers)


@dataclass(frozen=True, slots=True)
class ToolSettings:
    """`[voice.tools]`: what voice sessions may use besides the tools that their clients bring."""

    offer: tuple[str, ...] = ()
    """Names of voice/tools/."""
    timeout_s: float = 20.0
    """A call without a result for this long has failed; the model is told."""
    max_rounds: int = 4
    """Rounds of calls in one reply; then the model has to answer in words."""
    filler_after_ms: int = 900
    """A result that takes longer is bridged with a few words; 0: never."""
    filler: Mapping[str, str] = field(default_factory=dict)
    """The words by language ("en"); what is left out is built in."""
    trusted_hosts: tuple[str, ...] = ()
    """Hosts in a private network that HTTP tools may ask."""
    http: tuple[HttpToolSettings, ...] = ()


@dataclass(frozen=True, slots=True)
class RealtimeSettings:
    """`[voice.realtime]`."""

    session_minutes: float = 60.0
    """A connection to `/v1/realtime` is closed after this long, whatever is going on."""


@dataclass(frozen=True, slots=True)
class RecordSettings:
    """`[voice.record]`: sessions written to `recordings` in PARLEY_HOME, for bug reports and replays."""

    events: bool = False
    """Every session, with its words masked and without audio. With `record: true` of its own a session is recorded
    anyway, with words and audio."""
    max_mb: int = 256
    """Of one session, audio included; then the recording ends."""
    total_mb: int = 2048
    """Of all recordings; the oldest are deleted."""
    keep_days: int = 14


@dataclass(frozen=True, slots=True)
class VoiceSettings:
    stt: SpeechServiceSettings = SpeechServiceSettings()
    tts: SpeechServiceSettings = SpeechServiceSettings()
    llm: VoiceLlmSettings = VoiceLlmSettings()
    turn: TurnSettings = TurnSettings()
    vad: VadSettings = VadSettings()
    wake: WakeSettings = WakeSettings()
    tools: ToolSettings = ToolSettings()
    realtime: RealtimeSettings = RealtimeSettings()
    record: RecordSettings = RecordSettings()
    max_sessions: int = 64
    idle_close_s: float = 3600.0
    """A connection that says and hears nothing for this long is closed."""
    resume_grace_s: float = 30.0
    """A session whose connection dropped stands still for so long, and may be resumed."""
