"""The second opinion on short sounds: what the speech embedding makes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.voice.sphinx.test_short_phrases import said
from voice.errors import NoModel, SttFailed
from voice.sphinx import sound_kinds
from voice.sphinx.phrase_scores import Scores
from voice.sphinx.short_phrases import KINDS, PhraseTable, ShortPhrases, short_span
from voice.sphinx.sound_kinds import PLACES, SoundKinds, SoundTable, levelled, pooled
from voice.stt.pocketsphinx import BUNDLED
from voice.wake.speech_embedding import CONTEXT, FRAME

TABLE = BUNDLED / "short-sounds.npz"


@pytest.fixture(scope="module")
def kinds() -> SoundKinds:
    pytest.importorskip("pyopen_wakeword")
    found = SoundKinds.load(TABLE)
    assert found is not None
    return found


def test_a_sound_comes_to_whole_frames_and_one_level() -> None:
    loud = np.random.default_rng(0).normal(0, 8000, 16_000).astype(np.int16)
    for size in (FRAME, FRAME + 1, 14_000):
        found = levelled(loud, (100, 100 + size))
        assert (found.size - CONTEXT) % FRAME == 0 and found.size - CONTEXT >= size + FRAME
        assert not found[:CONTEXT].any() and not found[CONTEXT + size :].any()
        quiet = levelled((loud // 16).astype(np.int16), (100, 100 + size))
        assert np.abs(found - quiet).max() < 50
    assert not levelled(np.zeros(8000, np.int16), (0, 8000)).any()


def test_the_network_sees_as_much_of_every_sound() -> None:
    for frames in (1, 2, 5, 26):
        rows = np.arange(frames, dtype=np.float32)[:, None].repeat(96, axis=1)
        found = pooled(rows)
        assert found.shape == (PLACES * 96 + 96 + 1,)
        assert found[-2] == found[(PLACES - 1) * 96] == frames - 1, "the last of them, and the most"


def test_kinds_are_told_on_voices_that_were_not_fitted_to(kinds: SoundKinds) -> None:
    """espeak-ng's, so rates are asserted; by itself it is right on most."""
    right = []
    for kind, texts in {
        "stop": ("stop it", "wait", "hold on"),
        "murmur": ("yeah", "okay", "yes"),
        "question": ("why is that", "what do you mean"),
    }.items():
        for text in texts:
            for voice in ("en-us+Annie", "en-gb+Michael", "en-us+linda"):
                pcm = said(text, voice)
                span = short_span(pcm)
                assert span is not None
                likely = kinds.likely(pcm, span)
                assert likely.shape == (len(KINDS),) and abs(float(likely.sum()) - 1) < 1e-4
                right.append(KINDS[int(likely.argmax())] == kind)
    assert sum(right) >= 0.7 * len(right), right


def test_how_loud_it_is_changes_nothing(kinds: SoundKinds) -> None:
    pcm = said("okay", "en-us")
    span = short_span(pcm)
    assert span is not None
    assert np.abs(kinds.likely(pcm, span) - kinds.likely((pcm // 4).astype(np.int16), span)).max() < 0.1


class TestWeighed:
    def scores(self, table: PhraseTable) -> Scores:
        """Of a sound that could be either: "stop" and "okay" fit as well."""
        over = np.full(len(table.phrases) + len(table.more), -150.0, np.float32)
        over[[table.phrases.index("stop"), table.phrases.index("okay")]] = -20.0
        return Scores(over, 0.0, 60)

    def test_where_the_phrases_leave_it_open_the_second_opinion_decides(self) -> None:
        table = PhraseTable.read(BUNDLED / "short-phrases.json")
        scores = self.scores(table)
        stop = table.weigh(scores, np.array([0.97, 0.01, 0.01, 0.01], np.float32))
        murmur = table.weigh(scores, np.array([0.0, 0.99, 0.0, 0.01], np.float32))
        assert stop.kind != "murmur" and murmur.kind in ("murmur", "else")
        assert stop.kind == "stop" or murmur.kind == "murmur"

    def test_it_knows_nothing_of_a_stop_word_of_ones_own(self) -> None:
        table = PhraseTable.read(BUNDLED / "short-phrases.json").with_stops(("pack it in",))
        scores = self.scores(table)
        scores.phrases[-1] = 0.0
        murmur = np.array([0.0, 0.99, 0.0, 0.01], np.float32)
        assert table.weigh(scores, murmur) == table.weigh(scores)


def test_without_the_wheels_models_the_phrases_alone_are_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    pocketsphinx = pytest.importorskip("pocketsphinx")
    model = Path(pocketsphinx.get_model_path()) / "en-us" / "en-us"

    def nothing() -> Path:
        raise NoModel("openWakeWord is not installed")

    monkeypatch.setattr(sound_kinds, "wheel_folder", nothing)
    assert SoundKinds.load(TABLE) is None
    short = ShortPhrases(model, BUNDLED / "assistant.dic", BUNDLED / "short-phrases.json", TABLE)
    assert short.spot(said("turn it off", "en-us"), ("turn it off",)) == "turn it off"


def test_a_table_that_is_none_is_named(tmp_path: Path) -> None:
    pytest.importorskip("pyopen_wakeword")
    pocketsphinx = pytest.importorskip("pocketsphinx")
    model = Path(pocketsphinx.get_model_path()) / "en-us" / "en-us"
    (tmp_path / "no.npz").write_bytes(b"PK\x03\x04 no table")
    np.savez(tmp_path / "other.npz", hidden=np.zeros((3, 2)))
    for name in ("no.npz", "other.npz", "missing.npz"):
        with pytest.raises((ValueError, KeyError, OSError)):
            SoundTable.read(tmp_path / name)
        with pytest.raises(SttFailed):
            ShortPhrases(model, BUNDLED / "assistant.dic", BUNDLED / "short-phrases.json", tmp_path / name)
