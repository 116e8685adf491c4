"""Several Piper voices in one engine: which of them speaks, and how many stay loaded."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import BadInput, ModelUnreadable
from tests.speech_models import piper_mini
from voice.errors import NoModel
from voice.port import EngineConfig
from voice.tts.piper import KEPT, LOOK_EVERY_S, PiperTts
from voice.tts.piper_files import VoiceFile, choose

RATES = {
    "en_US-mini-x_low": 16_000,
    "de_DE-mini": 16_010,
    "fr_FR-mini": 16_020,
    "en_GB-mini": 16_030,
    "nl-mini": 16_040,
}
"""The same sounds under other names: the rate that each claims tells which one spoke."""
ENGLISH, GERMAN, FRENCH, BRITISH, DUTCH = RATES


class Hands:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.at_s = 0.0

    def now(self) -> float:
        return self.at_s

    def wall(self) -> Any:
        raise AssertionError("nobody asks for the time of day")


def install(folder: Path, name: str, **changes: Any) -> Path:
    """A voice of that name; its language is the first part of it."""
    folder.mkdir(parents=True, exist_ok=True)
    config = json.loads(piper_mini().with_name(piper_mini().name + ".json").read_text(encoding="utf-8"))
    code = name.split("-", 1)[0]
    config |= {"language": {"code": code}, "audio": {"sample_rate": RATES.get(name, 16_000)}, **changes}
    shutil.copy(piper_mini(), folder / f"{name}.onnx")
    (folder / f"{name}.onnx.json").write_text(json.dumps(config), encoding="utf-8")
    return folder / f"{name}.onnx"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("voices")
    for number, name in enumerate(RATES):
        install(home / f"voice-{number}", name)
    return home


@pytest.fixture(scope="module")
def engine(folder: Path) -> PiperTts:
    return PiperTts(EngineConfig(folder / "voice-0" / f"{ENGLISH}.onnx", (folder,)))


def spoke(engine: PiperTts, voice: str = "default", language: str | None = None) -> str:
    chunks = list(engine.synthesize("hello", voice, 1.0, language))
    assert np.abs(chunks[0].pcm.astype(int)).max() > 1000 and chunks[-1].words
    [rate_hz] = {chunk.rate_hz for chunk in chunks}
    return next(name for name, own_hz in RATES.items() if own_hz == rate_hz)


def test_all_that_are_installed_are_listed_the_default_one_first(engine: PiperTts) -> None:
    infos = engine.voices()
    assert infos[0].id == ENGLISH and {info.id for info in infos} == set(RATES) and len(infos) == len(RATES)
    assert {info.id: info.language for info in infos}[GERMAN] == "de-DE"
    assert {info.id: info.rate_hz for info in infos} == RATES


@pytest.mark.parametrize(
    ("voice", "language", "speaks"),
    [
        ("default", None, ENGLISH),
        ("default", "en", ENGLISH),
        ("default", "de", GERMAN),
        ("default", "de_AT", GERMAN),
        ("default", "DE-DE", GERMAN),
        ("default", "en-GB", BRITISH),
        ("default", "en-AU", ENGLISH),
        ("default", "nl-BE", DUTCH),
        ("default", "ja", ENGLISH),
        (FRENCH, "de", FRENCH),
        (GERMAN.upper(), None, GERMAN),
    ],
)
def test_the_one_that_was_asked_for_or_that_speaks_the_language(
    engine: PiperTts, voice: str, language: str | None, speaks: str
) -> None:
    assert spoke(engine, voice, language) == speaks


def test_the_last_ones_stay_loaded_and_the_default_one_always(engine: PiperTts) -> None:
    for name in (GERMAN, FRENCH, BRITISH, GERMAN):
        spoke(engine, name)
    assert engine.loaded == (ENGLISH, BRITISH, GERMAN) and len(engine.loaded) == KEPT


def test_an_unknown_voice_is_told_with_some_that_there_are(engine: PiperTts) -> None:
    with pytest.raises(BadInput) as error:
        spoke(engine, "alan")
    assert ENGLISH in error.value.hint and GERMAN in error.value.hint


def test_a_voice_that_is_installed_or_removed_meanwhile(tmp_path: Path) -> None:
    clock = Hands()
    engine = PiperTts(EngineConfig(install(tmp_path / "own", ENGLISH), (tmp_path,)), clock)
    assert spoke(engine, language="de") == ENGLISH
    installed = install(tmp_path / "new", GERMAN)
    assert spoke(engine, language="de") == ENGLISH, "the folders are not looked through at every word"
    clock.at_s += LOOK_EVERY_S
    assert spoke(engine, language="de") == GERMAN
    clock.at_s += LOOK_EVERY_S
    install(tmp_path / "new", FRENCH)
    assert spoke(engine, FRENCH) == FRENCH, "by name, too"
    installed.unlink()
    clock.at_s += LOOK_EVERY_S
    assert {info.id for info in engine.voices()} == {ENGLISH, FRENCH}


def test_one_that_cannot_be_loaded_is_an_error_by_name_and_passed_over_by_language(tmp_path: Path) -> None:
    clock = Hands()
    engine = PiperTts(EngineConfig(install(tmp_path / "own", ENGLISH), (tmp_path,)), clock)
    broken = install(tmp_path / "new", GERMAN)
    broken.write_bytes(b"no onnx at all")
    gone = install(tmp_path / "new", FRENCH)
    (tmp_path / "new" / "junk.onnx").write_bytes(b"x")
    (tmp_path / "new" / "junk.onnx.json").write_text('{"audio": 1}')
    clock.at_s += LOOK_EVERY_S
    assert {info.id for info in engine.voices()} == {ENGLISH, GERMAN, FRENCH}
    gone.unlink()
    with pytest.raises(ModelUnreadable):
        spoke(engine, GERMAN)
    with pytest.raises(NoModel):
        spoke(engine, FRENCH)
    for language in ("de", "fr", "de"):
        assert spoke(engine, language=language) == ENGLISH
    shutil.copy(piper_mini(), broken)
    os.utime(broken, (1, 1))
    clock.at_s += LOOK_EVERY_S
    assert spoke(engine, language="de") == GERMAN, "mended"


def test_speakers_of_another_file_are_voices(tmp_path: Path) -> None:
    speakers = {"num_speakers": 2, "speaker_id_map": {"ann": 0, "bob": 1}}
    install(tmp_path, GERMAN, **speakers)
    engine = PiperTts(EngineConfig(install(tmp_path, ENGLISH), (tmp_path,)))
    assert [info.id for info in engine.voices()] == [ENGLISH, f"{GERMAN}#ann", f"{GERMAN}#bob"]
    german = VoiceFile(GERMAN, tmp_path, "de-DE", 16_000, (("ann", 0), ("bob", 1)))
    for name in (f"{GERMAN}#bob", "bob", f"{GERMAN}#BOB"):
        assert choose([german], name, None) == (german, 1)
    assert choose([german], GERMAN, None) == (german, None)


LANGUAGES = st.sampled_from(("en-US", "en-GB", "de-DE", "de", "pt-BR", "pt-PT", "zh-CN"))


@given(
    st.lists(LANGUAGES, min_size=1, max_size=5), st.one_of(st.none(), LANGUAGES, st.sampled_from(("", "xx", "PT")))
)
def test_nobody_speaks_a_language_that_is_not_asked_for_while_somebody_speaks_it(
    languages: list[str], asked: str | None
) -> None:
    voices = [VoiceFile(f"v{at}", Path(f"v{at}"), language, 16_000) for at, language in enumerate(languages)]
    found, speaker = choose(voices, "default", asked)
    assert speaker is None
    tag = (asked or "").lower()
    exact = [voice for voice in voices if voice.language.lower() == tag]
    near = [voice for voice in voices if voice.language.lower().split("-")[0] == tag.split("-")[0]]
    assert found in (exact or near or voices[:1])
    if voices[0] in (exact or near):
        assert found is voices[0], "the default voice first"
