"""Errors of the voice layer.

ParleyError
|- VoiceError
   |- ProtocolError         a client sent a frame that cannot be understood; the connection goes on
      |- NothingToResume    it wants to go on with what is over; the conversation has begun anew
   |- FrameTooLarge         a frame over the limit; the connection is closed (1009)
   |- SessionGone           unknown or expired token (4004)
   |- ClientTooSlow         a client that does not read what it is told (1008)
   |- SessionBusy           the session is already connected elsewhere (4009)
   |- AudioError            audio that cannot be decoded, or a rate or format we do not do
   |- SpeechEngineError
      |- SttFailed          recogniser dead, slow or refused (retryable)
      |- TtsFailed          synthesiser dead, slow or refused (retryable)
      |- NoModel            the engine needs a model that is not in the store
"""

from __future__ import annotations

from models.errors import ParleyError

__all__ = [
    "AudioError",
    "BadRecording",
    "ClientTooSlow",
    "FrameTooLarge",
    "NoModel",
    "NothingToResume",
    "ProtocolError",
    "SessionBusy",
    "SessionGone",
    "SpeechEngineError",
    "SttFailed",
    "TtsFailed",
    "VoiceError",
]


class VoiceError(ParleyError):
    code = "voice_error"


class ProtocolError(VoiceError):
    code = "invalid_message"


class NothingToResume(ProtocolError):
    code = "nothing_to_resume"
    default_hint = "the conversation starts anew with its history; discard what you hold of the reply"


class FrameTooLarge(VoiceError):
    code = "message_too_large"


class SessionGone(VoiceError):
    code = "session_not_found"
    default_hint = "open a new session with POST /v1/audio/live"


class BadRecording(VoiceError):
    code = "bad_recording"
    default_hint = "a recording is a .jsonl file that Parley wrote"


class ClientTooSlow(VoiceError):
    code = "client_too_slow"
    default_hint = "read what the server sends while you write"


class SessionBusy(VoiceError):
    code = "session_busy"


class AudioError(VoiceError):
    code = "invalid_audio"


class SpeechEngineError(VoiceError):
    code = "speech_engine_error"


class SttFailed(SpeechEngineError):
    code = "stt_failed"
    retryable = True


class TtsFailed(SpeechEngineError):
    code = "tts_failed"
    retryable = True


class NoModel(SpeechEngineError):
    code = "model_not_installed"
    default_hint = "`parley doctor` shows which command installs one"
