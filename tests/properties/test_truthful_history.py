"""No unheard word in any history: random voices, clients and interruptions against what a loudspeaker really played.

The oracle is a loudspeaker: it plays the samples it is sent, in order, at the speed of time, some delay after they
were sent, and knows where every word lies. The machine knows only its own clock, the voice's word times and the
client's reports.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.voice.conversation import RATE_HZ, Conversation, Delays
from voice.port import Word
from voice.session.config import AudioConfig, SessionConfig
from voice.session.in_flight import InFlight
from voice.session.incoming import Truncate
from voice.session.outgoing import AudioOut, Interrupted, ItemTruncated, ReplyStarted, StateOut, TurnComplete
from voice.settings import TurnSettings
from voice.turn import events as heard
from voice.turn.actions import Tell

STORY = (
    "Well, once upon a time there was a small, grey fox. It lived by the sea, in a house of its own, and it was "
    "happy there. Every morning it went down to the beach; every evening it came back with a shell. One day, "
    "however, the sea was gone! Where had it gone? Nobody knew, and the fox went to look for it."
)
REPORT_EVERY_S = 0.2
EXACT_S = 0.035
"""The last milliseconds of a word count as its end; a sample more for rounding."""
NOTICED_S = 0.2
"""What a stalled link delivers is known a little later."""
TURNS = 4
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
"""A failing conversation is told as it is: making it smaller would take minutes."""


@dataclass
class Loudspeaker:
    """Plays what it is sent `delay_s` later, and stands still while it is paused."""

    delay_s: float
    pieces: list[tuple[float, float]] = field(default_factory=list)  # (begins, seconds), on its own time
    stood_s: float = 0.0
    since: float | None = None

    def take(self, sent_at: float, seconds: float) -> None:
        ready = self._own(sent_at + self.delay_s)
        if self.pieces:
            ready = max(ready, self.pieces[-1][0] + self.pieces[-1][1])
        self.pieces.append((ready, seconds))

    def pause(self, at: float) -> None:
        self.since = at if self.since is None else self.since

    def resume(self, at: float) -> None:
        if self.since is not None:
            self.stood_s, self.since = self.stood_s + at - self.since, None

    def position(self, now: float) -> float:
        own = self._own(now)
        return sum(min(max(0.0, own - begins), seconds) for begins, seconds in self.pieces)

    def _own(self, now: float) -> float:
        """Its own time stands still with it."""
        return min(now, now if self.since is None else self.since) - self.stood_s


@dataclass
class Link:
    """Delivers at once, but while it is stalled; and the server's system knows what it has delivered."""

    stalls: Sequence[tuple[float, float]] = ()
    in_flight: InFlight = field(default_factory=lambda: InFlight(TurnSettings().unsure_ms / 1000))
    pieces: list[tuple[float, int]] = field(default_factory=list)  # (delivered at, bytes up to its end)

    def take(self, event: AudioOut, now: float) -> float:
        """When it will be there."""
        at = max((ends for begins, ends in self.stalls if begins <= now < ends), default=now)
        at = max(at, self.pieces[-1][0] if self.pieces else 0.0)
        self.pieces.append((at, (self.pieces[-1][1] if self.pieces else 0) + 2 * len(event.pcm)))
        self.in_flight.said(event, now)
        self.in_flight.written(event, self.pieces[-1][1])
        return at

    def missing(self, now: float) -> heard.Missing | None:
        self.in_flight.arrived(max((size for at, size in self.pieces if at <= now), default=0))
        return self.in_flight.news(now)


class Theatre(Conversation):
    """A conversation whose voice takes random times for its words, and whose client has a loudspeaker."""

    def __init__(
        self, seed: int, delay_s: float, reports: bool, timed: bool, jitter_s: float = 0.0, link: Link | None = None
    ) -> None:
        """`jitter_s`: each piece of audio comes up to so much later; that it is to stop, the client hears at once."""
        self.link = link or Link()
        self.random, self.jitter_s = Random(seed), jitter_s
        self.delay_s, self.reports, self.timed = delay_s, reports, timed
        self.speakers: dict[str, Loudspeaker] = {}
        self.words: dict[str, list[Word]] = {}
        self.of_revision: dict[int, list[Word]] = {}
        self.checked = 0
        self.unsure_s = 0.0 if reports else TurnSettings().unsure_ms / 1000
        super().__init__(
            answer=lambda asked: STORY,
            config=SessionConfig(audio=AudioConfig(sample_rate=RATE_HZ)),
            delays=Delays(first_token=0.05, token=0.004, tts=self.random.uniform(0.02, 0.2)),
        )

    def _do(self, action: object) -> None:
        super()._do(action)  # type: ignore[arg-type]
        match action:
            case Tell(event=ReplyStarted(reply=reply)):
                self.speakers[reply] = Loudspeaker(self.delay_s)
                revision = self.machine._answer.revision
                assert revision is not None
                self.words[reply] = self.of_revision.setdefault(revision.number, [])
                if self.reports:
                    for count in range(1, 80):
                        at = self.now + count * REPORT_EVERY_S
                        self.at(at, _Look(reply))
            case Tell(event=AudioOut(reply=reply, pcm=pcm) as event):
                late_s = self.random.uniform(0.0, self.jitter_s)
                self.speakers[reply].take(self.link.take(event, self.now) + late_s, len(pcm) / RATE_HZ)
            case Tell(event=StateOut(state=state)) if self.reports:  # such a client knows how to pause
                for speaker in self.speakers.values():
                    speaker.pause(self.now) if state == "paused" else speaker.resume(self.now)
            case Tell(event=Interrupted(reply=reply, partial_output=partial)) if reply in self.speakers:
                if not self.delay_s or len(self.speakers) > 1:
                    self.check(reply, partial, self.speakers[reply].position(self.now))

    def _step(self, event: object) -> None:
        if isinstance(event, _Look):
            position = self.speakers[event.reply].position(self.now)
            self.at(self.now + self.delay_s, heard.PlayedReport(event.reply, position * 1000))
            return
        missing = self.link.missing(self.now)
        if missing is not None:
            super()._step(missing)
        super()._step(event)  # type: ignore[arg-type]

    def _speak(self, revision: int, clause: int, text: str, at: float) -> None:
        """Words of any length, with silence before, between and after them."""
        words, position = [], self.random.choice([0.0, 0.0, 0.1])
        for word in text.split():
            pace = self.random.uniform(0.03, 0.12) if self.timed else 0.07
            length = (len(word) + 1) * pace
            gap = self.random.choice([0.0, 0.0, 0.2]) if self.timed else 0.0
            words.append(Word(word, position, position + length))
            position += length + gap
        mine = self.of_revision.setdefault(revision, [])
        begin = self._ends.get(revision, 0.0)
        mine.extend(Word(word.text, begin + word.start_s, begin + word.end_s) for word in words)
        pcm = np.ones(round(position * RATE_HZ), np.int16)
        self._ends[revision] = begin + len(pcm) / RATE_HZ
        self.at(
            at, heard.ClauseAudio(revision, clause, pcm, RATE_HZ, tuple(words) if self.timed else (), is_last=True)
        )

    def __post_init__(self) -> None:
        super().__post_init__()
        self._ends: dict[int, float] = {}

    def check(self, reply: str, text: str, position: float) -> None:
        """`text` holds every word that was played to its end, and none whose beginning was not."""
        words, kept = self.words[reply], text.split()
        assert kept == STORY.split()[: len(kept)], "a prefix of what was written"
        slack = 0.0 if self.timed else 0.15  # without times the voice's pauses are not known
        for word in words[: len(kept)]:
            if self.unsure_s and self.timed:
                assert word.end_s <= position + EXACT_S, f"{word} was not heard to its end at {position:.3f}"
            assert word.start_s < position + EXACT_S + slack, f"{word} was not heard at {position:.3f}"
        behind_s = 2 * self.delay_s + (REPORT_EVERY_S if self.reports else 0.0) if self.delay_s else 0.0
        behind_s += self.unsure_s + (NOTICED_S if self.link.stalls else 0.0)
        for word in words[len(kept) :]:
            assert word.end_s > position - EXACT_S - slack - behind_s, f"{word} was heard at {position:.3f}"
        self.checked += 1


@dataclass(frozen=True)
class _Look:
    """The client looks where its loudspeaker is, and reports it."""

    reply: str


INTERRUPTIONS = st.lists(
    st.tuples(st.sampled_from(["button", "typed", "speech", "truncate"]), st.floats(0.05, 14.0)),
    min_size=TURNS,
    max_size=TURNS,
)


def perform(
    seed: int,
    interruptions: list[tuple[str, float]],
    delay_s: float,
    reports: bool,
    timed: bool,
    jitter_s: float = 0.0,
    link: Link | None = None,
) -> Theatre:
    """`TURNS` replies, each interrupted some time after it began; then the next prompt is looked at."""
    talk = Theatre(seed, delay_s, reports, timed, jitter_s, link)
    at = 1.0
    for how, after_s in interruptions:
        talk.at(at, heard.Typed("tell me a story"))
        at += 0.3 + after_s
        match how:
            case "typed":
                talk.at(at, heard.Typed("and another"))
            case "speech":
                talk.speak((at, at + 0.8, "stop that please"))
            case _:
                talk.at(at, heard.InterruptAsked())
        talk.run(at + 3.0, microphone_until_s=None if how == "speech" else 0.0)
        talk.heard_s = talk.now  # nobody listens to the silence in between
        talk.at(talk.now, heard.InterruptAsked())
        talk.run(talk.now + 0.01)
        if how == "truncate":
            reply = talk.told(ReplyStarted)[-1]
            position = talk.speakers[reply.reply].position(talk.now) * talk.random.random()
            talk.at(talk.now, Truncate(reply.reply, position * 1000))
            talk.run(talk.now + 0.01)
            kept = talk.machine.history.get(reply.item)
            if kept is not None:
                talk.check(reply.reply, kept.message.content, position)
        at = talk.now + 0.5
    return talk


@pytest.mark.parametrize(
    ("delay_s", "reports", "timed"),
    [(0.0, False, True), (0.0, False, False), (0.0, True, True)],
    ids=["word-times", "by-length", "reporting"],
)
@settings(max_examples=75, deadline=None, phases=PHASES, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 10**6), interruptions=INTERRUPTIONS)
def test_no_unheard_word_in_a_thousand_interruptions(
    delay_s: float, reports: bool, timed: bool, seed: int, interruptions: list[tuple[str, float]]
) -> None:
    talk = perform(seed, interruptions, delay_s, reports, timed)
    remembered = [item for item in talk.machine.history.items if item.message.role == "assistant"]
    told = {turn.item: turn.heard_transcript for turn in talk.told(TurnComplete)}
    cut = {event.item: event.text for event in talk.told(ItemTruncated)}
    for item in remembered:
        assert item.message.content == cut.get(item.id, told[item.id]), "the history holds what was told to be heard"


@settings(max_examples=30, deadline=None, phases=PHASES, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 10**6), interruptions=INTERRUPTIONS, delay_s=st.floats(0.02, 0.4))
def test_a_client_far_away_that_reports_is_believed(
    seed: int, interruptions: list[tuple[str, float]], delay_s: float
) -> None:
    """Its delay is learned in the first reply; until then nothing can be known of it."""
    talk = perform(seed, [("button", 1.5), *interruptions], delay_s, True, True)
    assert len(talk.speakers) > TURNS


@pytest.mark.parametrize("timed", [True, False], ids=["word-times", "by-length"])
@settings(max_examples=25, deadline=None, phases=PHASES, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 10**6), interruptions=INTERRUPTIONS, jitter_s=st.floats(0.02, 0.3))
def test_a_client_that_lags_and_reports_nothing_is_credited_with_no_word_more(
    timed: bool, seed: int, interruptions: list[tuple[str, float]], jitter_s: float
) -> None:
    """The worst that can be: its audio comes late, and that it is to stop, it hears at once."""
    talk = perform(seed, interruptions, 0.0, False, timed, jitter_s)
    assert talk.checked


STALLS = st.lists(st.tuples(st.floats(0.0, 40.0), st.floats(0.05, 6.0)), max_size=8)


@pytest.mark.parametrize("timed", [True, False], ids=["word-times", "by-length"])
@settings(max_examples=50, deadline=None, phases=PHASES, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 10**6), interruptions=INTERRUPTIONS, stalls=STALLS)
def test_what_a_stalled_link_holds_is_not_heard(
    timed: bool, seed: int, interruptions: list[tuple[str, float]], stalls: list[tuple[float, float]]
) -> None:
    """Of a client that reports nothing: neither while it stalls, nor in all that comes after it."""
    link = Link([(begins, begins + lasts) for begins, lasts in stalls])
    talk = perform(seed, interruptions, 0.0, False, timed, link=link)
    assert talk.checked
