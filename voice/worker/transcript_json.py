"""Pure: a transcript as JSON, on the worker's stream and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voice.errors import SttFailed
from voice.port import Transcript, Word

__all__ = ["from_json", "to_json"]


def to_json(transcript: Transcript) -> dict[str, Any]:
    return {
        "text": transcript.text,
        "confidence": transcript.confidence,
        "language": transcript.language,
        "words": [[word.text, round(word.start_s, 3), round(word.end_s, 3)] for word in transcript.words],
    }


def from_json(body: Mapping[str, Any]) -> Transcript:
    """Raises SttFailed when `body` is no transcript."""
    try:
        confidence, language = body.get("confidence"), body.get("language")
        return Transcript(
            text=str(body["text"]),
            confidence=None if confidence is None else float(confidence),
            language=None if language is None else str(language),
            words=tuple(Word(str(text), float(start), float(end)) for text, start, end in body.get("words", ())),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise SttFailed("the recogniser sent a transcript that cannot be read") from error
