"""What a client asked for when it opened its session. Checked and built at the edge (protocols/live_config.py)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

__all__ = [
    "AudioConfig",
    "LlmConfig",
    "SessionConfig",
    "TurnConfig",
    "TurnDetection",
    "VoiceConfig",
    "WakeConfig",
    "WakeMode",
]

WakeMode = Literal["pre", "post", "mid"]


@dataclass(frozen=True, slots=True)
class AudioConfig:
    """Formats are names of voice/codecs/; for output, of those with an encoder."""

    input_format: str = "webm"
    output_format: str = "opus"
    sample_rate: int = 24000
    """Output rate, Hz."""
    allow_interrupt: bool = True
    input_rate: int = 16000
    """Rate of binary frames and of raw input formats, Hz, 8000 to 48000."""
    binary_audio: bool = False
    """Send pcm replies as binary frames."""


@dataclass(frozen=True, slots=True)
class WakeConfig:
    enabled: bool = False
    words: tuple[str, ...] = ()
    mode: WakeMode = "pre"


@dataclass(frozen=True, slots=True)
class VoiceConfig:
    voice_id: str = "default"
    speed: float = 1.0
    language: str = "auto"


@dataclass(frozen=True, slots=True)
class LlmConfig:
    model: str = ""
    system_prompt: str = ""
    tools: tuple[Mapping[str, Any], ...] = ()
    history_length: int = 20
    """Messages of history given to the model, the system prompt not counted."""
    temperature: float | None = None
    """None: what the model's makers advise."""
    max_tokens: int = 1024
    tool_choice: str | Mapping[str, Any] | None = None
    """OpenAI's: auto, none, required, or a function's object. None: the model's default."""
    client_tools: Literal["await", "hand_over"] = "await"
    """await: a reply goes on when the client has sent the results. hand_over: it ends with the calls, and the client
    adds the results and asks for the next reply (OpenAI Realtime)."""


@dataclass(frozen=True, slots=True)
class TurnDetection:
    """OpenAI's object. `type` none: the client says when a turn ends (push-to-talk, manual)."""

    type: Literal["server_vad", "semantic_vad", "none"] = "server_vad"
    threshold: float | None = None
    prefix_padding_ms: int | None = None
    silence_duration_ms: int | None = None
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    create_response: bool = True
    """A turn that is over is answered; otherwise it enters the conversation and the client asks for the answer."""
    interrupt_response: bool = True


@dataclass(frozen=True, slots=True)
class TurnConfig:
    """Ours. None means the server's setting."""

    barge_in: bool = True
    follow_up_s: float | None = None
    """After a reply, this long no wake word is needed."""
    echo: Literal["auto", "headphones", "speaker", "cancelled"] = "auto"
    """speaker: no echo cancellation, so that voice over a reply counts only with words that are not the reply's.
    cancelled: the client takes the echo out itself."""
    device: str = ""
    """A name of the client's device, always the same: how it hears us is remembered from session to session."""


@dataclass(frozen=True, slots=True)
class SessionConfig:
    audio: AudioConfig = AudioConfig()
    wake: WakeConfig = WakeConfig()
    voice: VoiceConfig = VoiceConfig()
    llm: LlmConfig = LlmConfig()
    turn_detection: TurnDetection = TurnDetection()
    turn: TurnConfig = TurnConfig()
    ttl_minutes: int = 15
    record: bool = False
    resume_grace_s: float | None = None
    """A dropped connection may be resumed so long. None: the server's setting."""
    spoken: bool = True
    """Replies are spoken; otherwise text only."""
    transcribe_only: bool = False
    """What the user says is written down, and never answered."""

    @property
    def answers(self) -> bool:
        """A turn that is over is answered, without being asked to be."""
        return self.turn_detection.create_response and not self.transcribe_only
