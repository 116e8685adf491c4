"""Recognisers and voices as models of slots: every engine can be found from the file it reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.errors import ModelUnreadable
from models.registry import discover
from models.store import Installed
from voice.parts import choose
from voice.settings import SpeechServiceSettings
from voice.slot_speech import engines_as_models, speech_launchers

ENGINES = [("stt", spec) for spec in discover("voice.stt").values()]
ENGINES += [("tts", spec) for spec in discover("voice.tts").values()]
WITH_MODEL = [pair for pair in ENGINES if pair[1].needs_model]


def installed(kind: str, form: str) -> Installed:
    return Installed("mine", kind, form, Path("mine.bin"), False, 1000)  # type: ignore[arg-type]


@pytest.mark.parametrize(("kind", "spec"), WITH_MODEL, ids=[spec.name for _, spec in WITH_MODEL])
def test_an_engine_that_needs_a_model_is_chosen_by_the_models_format(kind: str, spec: object) -> None:
    formats = spec.formats  # type: ignore[attr-defined]
    assert formats and set(formats) <= set(discover("models.formats"))
    model = installed(kind, formats[0])
    chosen = choose(kind, SpeechServiceSettings(), discover(f"voice.{kind}"), [model])  # type: ignore[arg-type,type-var]
    assert chosen.model == model and formats[0] in discover(f"voice.{kind}")[chosen.engine].formats
    argv = speech_launchers()[kind](model).argv  # type: ignore[index]
    assert argv[argv.index("--model") + 1] == "mine.bin" and argv[argv.index("--kind") + 1] == kind


def test_engines_without_a_model_can_be_loaded_by_their_name() -> None:
    names = {model.name for model in engines_as_models()}
    assert names == {spec.name for _, spec in ENGINES if not spec.needs_model}
    for model in engines_as_models():
        argv = speech_launchers()[model.kind](model).argv
        assert argv[argv.index("--engine") + 1] == model.name and "--model" not in argv


def test_a_format_nobody_reads_is_said() -> None:
    with pytest.raises(ModelUnreadable, match="no engine"):
        speech_launchers()["stt"](installed("stt", "gguf"))
