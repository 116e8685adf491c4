"""The server's voice settings: `[voice.*]` of parley.toml. Read once by web/settings.py."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "SpeechServiceSettings",
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
    api_key: str = ""
    voice: str = ""
    language: str = "auto"
    timeout_s: float = 30.0


@dataclass(frozen=True, slots=True)
class VoiceLlmSettings:
    """`[voice.llm]`."""

    model: str = ""
    system_prompt: str = "You are Parley, a friendly voice assistant. Answer in one or two short spoken sentences."
    temperature: float | None = None
    """None: what the model's makers advise, or the backend's own default."""
    max_tokens: int = 1024


@dataclass(frozen=True, slots=True)
class TurnSettings:
    """`[voice.turn]`. All times in milliseconds of audio."""

    silence_ms: int = 500
    """The turn is over after this much silence."""
    pause_ms: int = 128
    """Work on the answer starts, unheard, after this much silence."""
    min_speech_ms: int = 96
    """Shorter sounds are no speech."""
    preroll_ms: int = 320
    """Audio kept from before the onset, so that no first word is lost."""
    barge_in_ms: int = 384
    """Voiced time after which speech over a reply is an interruption and no cough."""
    barge_in_verdict_ms: int = 500
    """An interruption is decided at the latest this long after its onset."""
    max_turn_s: float = 60.0
    """A turn is cut here whatever happens (a television, a fan)."""
    speculate: bool = True
    lead_ms: int = 300
    """Audio is sent at most this far ahead of playout."""
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


@dataclass(frozen=True, slots=True)
class VoiceSettings:
    stt: SpeechServiceSettings = SpeechServiceSettings()
    tts: SpeechServiceSettings = SpeechServiceSettings()
    llm: VoiceLlmSettings = VoiceLlmSettings()
    turn: TurnSettings = TurnSettings()
    vad: VadSettings = VadSettings()
    wake: WakeSettings = WakeSettings()
    max_sessions: int = 64
    idle_close_s: float = 3600.0
    """A connection that says and hears nothing for this long is closed."""
