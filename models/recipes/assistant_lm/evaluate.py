"""Word error rates of the recogniser on recordings with known transcripts.

Transcripts are normalised as people would speak them (lower case, numbers in words); spellings of one spoken
form count as equal ("nevermind" and "never mind"). WER is errors over words, summed over all clips.
"""

from __future__ import annotations

import re
import time
import wave
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

from models.recipes.corpus.number_words import words as number_words
from models.registry import discover

SPELLINGS = {"nevermind": "never mind", "firefox": "fire fox", "alright": "all right", "colour": "color"}
SETS = ("speech/commands_human", "speech/commands_tts", "speech/read")


@dataclass(frozen=True, slots=True)
class Clip:
    name: str
    words: tuple[str, ...]
    pcm: npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Score:
    clips: int
    words: int
    errors: int
    right_clips: int
    real_time_factor: float
    misheard: tuple[str, ...]

    @property
    def wer(self) -> float:
        return self.errors / max(1, self.words)


def spoken(text: str) -> tuple[str, ...]:
    """Words as they are said."""
    text = re.sub(r"\d+", lambda found: f" {number_words(int(found.group()))} ", text.lower())
    text = re.sub(r"[^a-z' ]", " ", re.sub(r"\bmr\.", "mister", text))
    return tuple(" ".join(SPELLINGS.get(word, word) for word in text.split()).split())


def clips(testdata: Path, folder: str) -> list[Clip]:
    """English clips of a folder with an exact transcript; "(...)" stands for an unknown one."""
    found = []
    for line in (testdata / "manifest.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        name, transcript, *_, note = (*line.split("\t"), "")[:8]
        foreign = re.search(r"language (?!en)", line)
        if name.startswith(folder + "/") and transcript and not transcript.startswith("(") and not foreign:
            with wave.open(str(testdata / name)) as wav:
                pcm = np.frombuffer(wav.readframes(wav.getnframes()), np.int16)
            found.append(Clip(Path(name).stem, spoken(transcript), pcm))
    return found


def distance(reference: tuple[str, ...], heard: tuple[str, ...]) -> int:
    """Fewest insertions, deletions and substitutions of words."""
    row = list(range(len(heard) + 1))
    for i, wanted in enumerate(reference, 1):
        diagonal, row[0] = row[0], i
        for j, word in enumerate(heard, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (wanted != word))
    return row[-1]


def score(engine: Any, found: list[Clip]) -> Score:
    errors = right = samples = 0
    misheard = []
    started = time.process_time()
    for clip in found:
        stream = engine.open("en")
        stream.feed(clip.pcm)
        heard = spoken(stream.transcribe().text)
        stream.close()
        wrong = distance(clip.words, heard)
        errors, right, samples = errors + wrong, right + (wrong == 0), samples + clip.pcm.size
        if wrong:
            misheard.append(f"{clip.name}: {' '.join(clip.words)} -> {' '.join(heard)}")
    spent = time.process_time() - started
    return Score(
        clips=len(found),
        words=sum(len(clip.words) for clip in found),
        errors=errors,
        right_clips=right,
        real_time_factor=spent / max(1e-9, samples / 16_000),
        misheard=tuple(misheard),
    )


def engine_with(lm: Path, dictionary: Path) -> Any:
    """The product's own recogniser with these files. Found by discovery: this layer imports nothing above it."""
    options = {"lm": str(lm), "dictionary": str(dictionary), "partial_decoders": "0"}
    spec = discover("voice.stt")["pocketsphinx"]
    return spec.load(SimpleNamespace(model=None, threads=1, options=options))
