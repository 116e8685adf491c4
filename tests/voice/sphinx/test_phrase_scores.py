"""Scores of phrases, and the table that weighs them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.voice.sphinx.test_short_phrases import said
from voice.errors import SttFailed
from voice.settings import STOP_PHRASES
from voice.sphinx.acoustics import Acoustics
from voice.sphinx.features import ENERGY_OFFSET, features
from voice.sphinx.phrase_scores import PhraseScores, Scores
from voice.sphinx.short_phrases import KINDS, PhraseTable, ShortPhrases, pronunciations, short_span
from voice.sphinx.speech_span import speech_span
from voice.stt.pocketsphinx import BUNDLED
from voice.turn.back_channels import MURMURS
from voice.turn.bargein import INTERRUPTERS, QUESTIONS, spotted_phrases

PHRASES = ("stop", "wait a second", "yeah", "okay", "no", "never mind")


@pytest.fixture(scope="module")
def model() -> Path:
    pocketsphinx = pytest.importorskip("pocketsphinx")
    return Path(pocketsphinx.get_model_path()) / "en-us" / "en-us"


@pytest.fixture(scope="module")
def short(model: Path) -> ShortPhrases:
    return ShortPhrases(model, BUNDLED / "assistant.dic", BUNDLED / "short-phrases.json")


@pytest.fixture(scope="module")
def scores(model: Path) -> PhraseScores:
    return PhraseScores(Acoustics(model), PHRASES, pronunciations(BUNDLED / "assistant.dic"))


@pytest.fixture(scope="module")
def decoder(model: Path) -> Any:
    import pocketsphinx

    config = pocketsphinx.Config(
        hmm=str(model), dict=str(BUNDLED / "assistant.dic"), lm=None, loglevel="FATAL", lw=1.0, bestpath=False,
        beam=1e-64, pbeam=1e-64, wbeam=1e-64, wip=1.0, pip=1.0, silprob=1.0, fillprob=1e-8,
    )  # fmt: skip
    return pocketsphinx.Decoder(config)


def decoded(decoder: Any, cepstra: np.ndarray) -> dict[str, float]:
    """What pocketsphinx itself makes of each phrase, in nats: its scores are in steps of 1024."""
    found = {}
    for phrase in PHRASES:
        words = phrase.split()
        arcs = [(at, at + 1, 1.0, word) for at, word in enumerate(words)]
        decoder.add_fsg(phrase, decoder.create_fsg(phrase, 0, len(words), arcs))
        decoder.activate_search(phrase)
        decoder.start_utt()
        decoder.process_cep(np.ascontiguousarray(cepstra, np.float32).tobytes(), no_search=False, full_utt=True)
        decoder.end_utt()
        best = decoder.hyp()
        if best is not None and best.score > 0:
            found[phrase] = float(np.log(best.score)) * 1024
    return found


def test_phrases_stand_to_one_another_as_pocketsphinx_has_them(decoder: Any, scores: PhraseScores) -> None:
    """On the whole: pocketsphinx fills what does not fit with noises, and espeak-ng never speaks the same twice."""
    right, alike = 0, []
    for text in PHRASES:
        audio = said(text, "en-us")
        span = speech_span(audio)
        assert span is not None
        cepstra = features(audio, *span, (1.0,))[0]
        theirs = decoded(decoder, cepstra)
        cepstra[:, 0] -= ENERGY_OFFSET
        ours = dict(zip(PHRASES, scores.score(cepstra).phrases, strict=True))
        right += max(ours, key=lambda phrase: ours[phrase]) == text
        pairs = np.array([(ours[phrase], theirs[phrase]) for phrase in theirs if ours[phrase] > -1e8])
        alike.append(float(np.corrcoef(pairs.T)[0, 1]))
    assert right >= 5
    assert np.mean(alike) > 0.7, alike


def test_a_sound_that_is_too_short_for_a_phrase_is_not_it(scores: PhraseScores) -> None:
    found = scores.score(np.zeros((10, 13), np.float32))
    assert found.phrases[PHRASES.index("wait a second")] < -1e8 < found.loop
    assert found.phrases[PHRASES.index("no")] > -1e8


def test_silence_and_a_long_sound_are_no_short_sounds() -> None:
    assert short_span(np.zeros(16_000, np.int16)) is None
    assert short_span(np.tile(said("okay", "en-us"), 4)) is None


class TestTable:
    @pytest.mark.parametrize(
        ("kind", "texts"),
        [
            ("stop", ("stop it", "wait", "no", "stop")),
            ("murmur", ("yeah", "okay", "right", "yes")),
            ("question", ("why is that", "what time is it", "what do you mean", "what")),
        ],
    )
    def test_most_phrases_are_told_by_their_kind(
        self, short: ShortPhrases, kind: str, texts: tuple[str, ...]
    ) -> None:
        listed = dict(zip(KINDS, ((*STOP_PHRASES, *INTERRUPTERS), MURMURS, QUESTIONS), strict=False))
        voices = ("en-us", "en-us+m3", "en-gb+f2")
        found = [short.spot(said(text, voice), spotted_phrases(STOP_PHRASES)) for text in texts for voice in voices]
        assert sum(each in listed[kind] for each in found) >= 9, found
        interrupting = ("stop", "question") if kind != "murmur" else ("murmur",)
        others = [each for each in found if each and not any(each in listed[name] for name in interrupting)]
        assert len(others) <= 1, found

    def test_where_the_loop_fits_best_it_is_none(self) -> None:
        table = PhraseTable.read(BUNDLED / "short-phrases.json")
        worst = np.full(len(table.phrases), -1e9, np.float32)
        assert table.weigh(Scores(worst, 0.0, 60)).kind == "else"

    def test_more_phrases_that_stop_change_nothing_where_they_do_not_fit(self) -> None:
        table = PhraseTable.read(BUNDLED / "short-phrases.json")
        more = table.with_stops(("pack it in", "basta"))
        dice = np.random.default_rng(0)
        for _ in range(20):
            scored = dice.uniform(-200, 20, len(table.phrases)).astype(np.float32)
            wider = np.concatenate((scored, np.full(2, -1e9, np.float32)))
            a, b = table.weigh(Scores(scored, 0.0, 60)), more.weigh(Scores(wider, 0.0, 60))
            assert (a.kind, a.phrase) == (b.kind, b.phrase) and a.probability == pytest.approx(
                b.probability, abs=1e-3
            )


def test_a_stop_word_of_ones_own_is_found_and_one_that_was_taken_out_is_not(short: ShortPhrases) -> None:
    assert short.spot(said("turn it off", "en-us"), ("turn it off",)) == "turn it off"
    assert short.spot(said("wait", "en-us"), ("yeah", "okay")) == ""


def test_files_that_are_no_model_are_named(model: Path, tmp_path: Path) -> None:
    with pytest.raises(SttFailed):
        ShortPhrases(tmp_path, BUNDLED / "assistant.dic", BUNDLED / "short-phrases.json")
    (tmp_path / "table.json").write_text("{}", encoding="utf-8")
    with pytest.raises(SttFailed):
        ShortPhrases(model, BUNDLED / "assistant.dic", tmp_path / "table.json")
