"""Words taken out of a recording whose speaker did not agree to be recorded. Pure.

Each letter gives way to another, word by word: the same word becomes the same nonsense of the same length, in the
same case, and digits become digits; spaces and punctuation stay. So clauses, word times and the comparison of what
was heard with what was said work as they did. The key is of the recording and is not kept, so nobody can turn it
back by trying words. Words that rules know by name (wake words, "stop", "mm-hm") stay: without them the machine
would do other things.

Everything is masked that is not known to be a name of ours, so a new field of an event is masked until somebody
says that it holds no words.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import typing
from collections.abc import Iterable
from dataclasses import fields, is_dataclass, replace
from typing import Any

from voice.turn.back_channels import BACK_CHANNELS, begins_murmur
from voice.turn.bargein import QUESTION_WORDS, STOP_WORDS

__all__ = ["Mask"]

_NAMES = frozenset((
    *("id", "item", "item_id", "previous_item_id", "user_item", "event_id", "call_id", "tool_call_id", "previous"),
    *("reply", "key", "target", "code", "reason", "status", "state", "role", "name", "type", "detector", "language"),
    *("voice_id", "model", "word", "words", "audible", "offer", "about", "smart_turn_model", "finish", "failure"),
))  # fmt: skip
"""Fields whose strings name things of ours or of the configuration, and hold nothing that anybody said."""
_WORD = re.compile(r"[^\W\d_]+|\d+")
_CONSONANTS, _VOWELS = "bcdfghjklmnpqrstvwz", "aeiou"


class Mask:
    """`key`: random bytes. `kept`: further words that stay, such as the wake words."""

    def __init__(self, key: bytes, kept: Iterable[str] = ()) -> None:
        self._key = key
        known = (*BACK_CHANNELS, *STOP_WORDS, *QUESTION_WORDS, *kept)
        self._kept = {part.lower() for words in known for part in _WORD.findall(words)}

    def value(self, value: Any, field: str = "") -> Any:
        """A copy in which no text is left. Dataclasses, tuples and mappings are gone through."""
        if isinstance(value, str):
            if field in _NAMES:
                return value
            return self._arguments(value) if field == "arguments" else self.text(value)
        if isinstance(value, tuple | list):
            return tuple(self.value(inner, field) for inner in value)
        if isinstance(value, dict):
            return {name: self.value(inner, str(name)) for name, inner in value.items()}
        if is_dataclass(value) and not isinstance(value, type):
            hints = typing.get_type_hints(type(value))
            changed = {
                entry.name: self.value(getattr(value, entry.name), entry.name)
                for entry in fields(value)
                if typing.get_origin(hints[entry.name]) is not typing.Literal
            }
            return replace(value, **changed)
        return value

    def text(self, text: str) -> str:
        if begins_murmur(text):
            return text
        return _WORD.sub(lambda found: self._word(found[0]), text)

    def _arguments(self, text: str) -> str:
        """Of a tool call. The machine looks whether they are a JSON object, so what is JSON stays JSON."""
        try:
            return json.dumps(self._json(json.loads(text)), ensure_ascii=False)
        except (ValueError, RecursionError):
            return self.text(text)

    def _json(self, value: Any) -> Any:
        match value:
            case dict():
                return {self.text(name): self._json(inner) for name, inner in value.items()}
            case list():
                return [self._json(inner) for inner in value]
            case str():
                return self.text(value)
            case bool() | None:
                return value
            case float() if not math.isfinite(value):
                return value
        masked = self.text(f"{abs(value):f}" if isinstance(value, float) else str(abs(value)))
        return type(value)(masked) * (-1 if value < 0 else 1)

    def _word(self, word: str) -> str:
        if word.lower() in self._kept:
            return word
        digest = hashlib.shake_128(self._key + word.lower().encode()).digest(len(word))
        if word.isdecimal():
            return "".join(str(byte % 10) for byte in digest)
        sounds = (_CONSONANTS, _VOWELS)
        masked = (sounds[at % 2][byte % len(sounds[at % 2])] for at, byte in enumerate(digest))
        return "".join(new.upper() if old.isupper() else new for old, new in zip(word, masked, strict=True))
