"""The espeak-ng C library, bound by ctypes: text to samples with the places of words and phonemes.

The library and its data come with the `espeakng-loader` wheel (GPL-3.0; see docs/licences.md). Facts are from
espeak-ng's `speak_lib.h`. The library keeps its whole state in C globals: one synthesis at a time in a process,
so everything here runs under one lock, and there is one `Espeak` object per process (`library()`).
"""

from __future__ import annotations

import ctypes
import re
import threading
from ctypes import CFUNCTYPE, POINTER, c_char, c_char_p, c_int, c_short, c_ubyte, c_uint, c_void_p
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from models.errors import BadInput, ModelUnreadable

__all__ = ["Espeak", "EspeakVoice", "Mark", "Spoken", "library"]

NORMAL_WPM = 175
MIN_WPM, MAX_WPM = 80, 450

_SYNCHRONOUS = 2
_DONT_EXIT = 0x8000
_UTF8, _PHONEMES, _ENDPAUSE = 1, 0x100, 0x1000
_RATE, _PITCH = 1, 3
_EVENT_END_OF_LIST, _EVENT_WORD, _EVENT_PHONEME = 0, 1, 7
_NOT_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Mark:
    """A word (`name` is its text) or a phoneme (`name` is IPA) that begins at `sample`.

    `position` and `length` count characters of the text; a phoneme has length 0.
    """

    name: str
    sample: int
    position: int
    length: int


@dataclass(frozen=True, slots=True)
class Spoken:
    """Mono PCM16 at `rate_hz` and what begins where in it."""

    pcm: npt.NDArray[np.int16]
    rate_hz: int
    words: tuple[Mark, ...]
    phonemes: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class EspeakVoice:
    """`id` is the language tag, lower case; `file` is what the library finds the voice by."""

    id: str
    name: str
    file: str


class _EventId(ctypes.Union):
    _fields_ = [("number", c_int), ("name", c_char_p), ("string", c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", c_int),
        ("unique_identifier", c_uint),
        ("text_position", c_int),
        ("length", c_int),
        ("audio_position", c_int),
        ("sample", c_int),
        ("user_data", c_void_p),
        ("id", _EventId),
    ]


class _Voice(ctypes.Structure):
    _fields_ = [
        ("name", c_char_p),
        ("languages", POINTER(c_char)),
        ("identifier", c_char_p),
        ("gender", c_ubyte),
        ("age", c_ubyte),
        ("variant", c_ubyte),
        ("xx1", c_ubyte),
        ("score", c_int),
        ("spare", c_void_p),
    ]


_CALLBACK = CFUNCTYPE(c_int, POINTER(c_short), c_int, POINTER(_Event))


class Espeak:
    """Use `library()`; a second object would initialise the same C globals again."""

    def __init__(self) -> None:
        import espeakng_loader

        self._lock = threading.Lock()
        self._lib = ctypes.CDLL(espeakng_loader.get_library_path())
        self._lib.espeak_ListVoices.restype = POINTER(POINTER(_Voice))
        rate = self._lib.espeak_Initialize(_SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), _DONT_EXIT)
        if rate <= 0:
            raise ModelUnreadable("espeak-ng did not start", hint="reinstall the espeakng-loader package")
        # Breath noise is seeded by the clock; recipes want the same calls to give the same samples.
        self._lib.espeak_ng_SetRandSeed(ctypes.c_long(1))
        self.rate_hz: int = rate
        self._files: dict[str, str] = {voice.id: voice.file for voice in self.voices()}
        self._blocks: list[npt.NDArray[np.int16]] = []
        self._events: list[tuple[int, str, int, int, int]] = []
        self._callback = _CALLBACK(self._on_block)  # kept: the C side holds only the pointer
        self._lib.espeak_SetSynthCallback(self._callback)

    def voices(self) -> tuple[EspeakVoice, ...]:
        """Every voice of the data directory, by id (what `speak` takes)."""
        with self._lock:
            table = self._lib.espeak_ListVoices(None)
            found = []
            for index in range(10_000):
                if not table[index]:
                    break
                voice = table[index].contents
                # `languages` is a priority byte, then the name: speak_lib.h, espeak_VOICE.
                language = ctypes.string_at(ctypes.addressof(voice.languages.contents) + 1).decode()
                found.append(EspeakVoice(language.lower(), voice.name.decode(), voice.identifier.decode()))
        return tuple(found)

    def speak(
        self,
        text: str,
        voice: str,
        wpm: int = NORMAL_WPM,
        *,
        pitch: int = 50,
        phonemes: bool = False,
        mnemonics: bool = False,
    ) -> Spoken:
        """Synthesise all of `text`. Control characters are taken as spaces; SSML is read out as text.

        `voice` is an id of `voices()`, also with a variant ("en-gb+f3"); `pitch` 0..100. About 100 times faster
        than real time. `phonemes` marks them in the result; `mnemonics` takes what stands in [[ ]] for espeak's
        phoneme names. Raises BadInput for an unknown voice.
        """
        text = _NOT_TEXT.sub(" ", text)
        tag, plus, variant = voice.partition("+")
        name = self._files.get(tag.lower(), tag) + plus + variant
        with self._lock:
            if self._lib.espeak_SetVoiceByName(name.encode()) != 0:
                raise BadInput(f"espeak-ng has no voice {voice!r}", hint="en-us, de, fr, ...", param="voice")
            self._lib.espeak_SetParameter(_RATE, min(MAX_WPM, max(MIN_WPM, wpm)), 0)
            self._lib.espeak_SetParameter(_PITCH, pitch, 0)
            self._lib.espeak_ng_SetPhonemeEvents(int(phonemes), 1)
            self._blocks, self._events = [], []
            data = text.encode()
            flags = _UTF8 | _ENDPAUSE | (_PHONEMES if mnemonics else 0)
            status = self._lib.espeak_Synth(data, len(data) + 1, 0, 0, 0, flags, None, None)
            blocks, events = self._blocks, self._events
            self._blocks, self._events = [], []
        if status != 0:
            raise ModelUnreadable(f"espeak-ng refused to speak (status {status})")
        pcm = np.concatenate(blocks) if blocks else np.zeros(0, np.int16)
        words = (
            Mark(text[position - 1 : position - 1 + length], sample, position - 1, length)
            for kind, _, position, length, sample in events
            if kind == _EVENT_WORD
        )
        sounds = (
            Mark(name, sample, position - 1, 0)
            for kind, name, position, _, sample in events
            if kind == _EVENT_PHONEME
        )
        return Spoken(pcm, self.rate_hz, tuple(words), tuple(sounds))

    def _on_block(self, samples: Any, count: int, events: Any) -> int:
        """C calls this in the thread that called espeak_Synth, so the lists need no lock of their own."""
        if samples and count > 0:
            block = np.ctypeslib.as_array(samples, shape=(count,))
            self._blocks.append(block.astype(np.int16, copy=True))  # C reuses the buffer
        index = 0
        while True:
            event = events[index]
            if event.type == _EVENT_END_OF_LIST:
                return 0
            if event.type in (_EVENT_WORD, _EVENT_PHONEME):
                name = ""
                if event.type == _EVENT_PHONEME:
                    # Read as raw bytes: all eight may be used, with no zero at the end.
                    raw = ctypes.string_at(ctypes.addressof(event.id), 8)
                    name = raw.split(b"\0", 1)[0].decode(errors="replace")
                self._events.append((event.type, name, event.text_position, event.length, event.sample))
            index += 1


@cache
def library() -> Espeak:
    """The process's one espeak-ng. Raises ModelUnreadable if it cannot start."""
    return Espeak()
