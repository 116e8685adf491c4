"""One winner when several devices of one user hear the same wake word. Pure.

The word reaches every device in the room within the sound's few milliseconds, and the server within the network's
few tens. So the first to report opens a contest, for `WINDOW_S` others may join it, then the one that heard the word
best has won. Whoever reports the same word later, but within `SAME_S`, was too late. Best is who heard the word
clearest over its own room: loudness over the floor of the device's own noise, which does not depend on how its
microphone is set, and the model's score, which tells little near its upper end.

A device whose connection had dropped may bring its audio seconds later: then it counts when the word was spoken, and
another device has answered it, if there was one.

A word that is found in the transcript is reported when the recogniser is done, at each device at another time. What
is contested then is the utterance: those that were heard at the same time are one, however late they are reported.

A device that needs no wake word, for its reply has just ended, claims what it heard before it answers: the word may
have been said to another device, and be lost here.

Who has the request beats who has nothing but the word. Where that shows only later, or the winner has gone, the
request is handed over to one that heard it (rooms.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from voice.ears.ring import AudioRing
from voice.port import Pcm

__all__ = ["PHRASE_WINDOW_S", "RATE_HZ", "SAME_S", "WINDOW_S", "Arbiter", "Claim", "claim_of", "clearness_db"]

WINDOW_S = 0.2
PHRASE_WINDOW_S = 0.4
"""A phrase is found by the recogniser, which is done with the one device's audio after the other's."""
KEPT_S = 30.0
SHARED = 0.5
"""Of the shorter of two utterances, heard at the same time: they are one."""
SAME_S = 1.0
RATE_HZ = 16_000
_BESIDE_S = 0.4
"""Between a wake word and the request: a breath, and what the measured times are off by."""
_WORD_S = 0.5
_BEFORE_S = 3
"""Before a wake word, so much tells how quiet the room is."""
_SCORE_DB = 10.0
"""A score higher by 1 outweighs so many dB."""


@dataclass(frozen=True, slots=True)
class Claim:
    """`device` heard `word` with the model's `score` 0..1, `clear_db` over its noise.

    `span`: of a word that was found in the transcript of an utterance, when that was spoken (monotonic seconds).
    `spoken_at`: the same of a word that the ears heard. `asks`: the request has come with it. `word` is "" for an
    utterance that needs none, and `words` then those that this device listens for.
    """

    device: str
    word: str
    score: float
    clear_db: float
    span: tuple[float, float] | None = None
    spoken_at: float | None = None
    asks: bool = False
    words: tuple[str, ...] = ()

    def listens_for(self, spoken: str) -> bool:
        """It might have been said to this device, too, whose utterance needed no word."""
        return not self.word and spoken in map(_spoken, self.words)

    @property
    def strength(self) -> tuple[bool, float]:
        return self.asks, self.clear_db + _SCORE_DB * self.score


@dataclass(slots=True)
class _Contest:
    began: float
    first: Claim
    claims: list[Claim] = field(default_factory=list)
    """Those that came in time."""
    heard: dict[str, Claim] = field(default_factory=dict)
    """Of all devices that heard it."""
    winner: str | None = None
    """The device, once somebody asked for it."""
    empty: set[str] = field(default_factory=set)
    """Devices that won it and had nothing but the word."""
    answered: bool = False

    @property
    def decided_at(self) -> float:
        return self.began + (WINDOW_S if self.first.span is None else PHRASE_WINDOW_S)

    def over(self, now: float) -> bool:
        """Nobody can join or lose it any more."""
        return now >= self.began + KEPT_S

    def is_about(self, claim: Claim, now: float) -> bool:
        """The claim is of the same sound."""
        if claim.device in self.heard:
            return False  # a device hears it once: who goes on after it, and says the word again, says another
        word, ours = _spoken(claim.word), _spoken(self.first.word)
        if word != ours and not (claim.listens_for(ours) or self.first.listens_for(word)):
            return False
        if claim.span is not None and self.first.span is not None:
            (began, ended), (from_s, until_s) = self.first.span, claim.span
            common = min(ended, until_s) - max(began, from_s)
            return common > 0 and common >= SHARED * min(ended - began, until_s - from_s)
        if word != ours:
            return _touches(claim, self.first) or _touches(self.first, claim)
        if claim.span is not self.first.span:
            return _holds(claim, self.first) or _holds(self.first, claim)
        return (now < self.began + SAME_S and not self._was_earlier(claim)) or self._was_heard(claim)

    def _was_earlier(self, claim: Claim) -> bool:
        """It is an earlier one, of a device that was away. What was spoken is never taken to be older than it is."""
        then, before = claim.spoken_at, self.first.spoken_at
        return then is not None and before is not None and then <= before - SAME_S

    def _was_heard(self, claim: Claim) -> bool:
        """When it was spoken, by a device that was away and reports it now."""
        then, before = claim.spoken_at, self.first.spoken_at
        return then is not None and before is not None and abs(then - before) < SAME_S


class Arbiter:
    """The contests of all users. `now` is monotonic seconds."""

    def __init__(self) -> None:
        self._contests: dict[str, list[_Contest]] = {}

    def claim(self, owner: str, claim: Claim, now: float) -> float:
        """Enter it. Returns when `won` may be asked; `now` where it was decided already."""
        self._forget(now)
        contests = self._contests.setdefault(owner, [])
        about = [each for each in contests if each.is_about(claim, now)]
        # what is one utterance here may be two elsewhere, after a pause: who has the first of them goes on with it
        contest = next(iter(about if claim.span is not None else reversed(about)), None)
        if contest is None:
            contest = _Contest(now, claim, winner=None if claim.word else claim.device)
            contests.append(contest)
        if now < contest.decided_at and claim.word:
            contest.claims.append(claim)
        contest.heard[claim.device] = claim
        return now if contest.winner is not None else max(now, contest.decided_at)

    def wins_alone(self, owner: str, device: str, word: str) -> bool:
        """Nobody else has entered the last contest that `device` entered, and it waits for nobody: who reports the
        word from now on was too late, however well it heard it."""
        contest = self._entered(owner, device, word)
        if contest is None:
            return True
        if contest.heard.keys() - contest.empty == {device}:
            contest.winner = device
        return contest.winner == device

    def won(self, owner: str, device: str, word: str, gone: Callable[[str], bool] = lambda device: False) -> bool:
        """Is `device` the one of the last contest that it entered? True also where that is long forgotten: then
        nobody else is there. A device that is `gone` when it is decided answers nobody."""
        contest = self._entered(owner, device, word)
        if contest is None:
            return True
        if contest.winner is None:
            claims = contest.heard.values() if contest.empty else contest.claims
            claims = [claim for claim in claims if claim.device not in contest.empty] or contest.claims
            claims = claims or list(contest.heard.values())
            there = [claim for claim in claims if not gone(claim.device)]
            contest.winner = max(there or claims, key=lambda claim: claim.strength).device
        return contest.winner == device

    # ---- the winner has nothing ------------------------------------------------------------------------------

    def to_answer(self, owner: str, device: str) -> str | None:
        """Which device is to answer what `device` has lost, "" for none; None: it was not lost, or is answered."""
        contest = self._heard_by(owner, device)
        if contest is None or contest.answered or contest.winner == device:
            return None
        return contest.winner or ""

    def heirs(self, owner: str, device: str) -> list[str]:
        """Who else heard what `device` is to answer, the best first."""
        contest = self._won_by(owner, device)
        if contest is None or contest.answered:
            return []
        others = [claim for claim in contest.heard.values() if claim.device not in (device, *contest.empty)]
        return [claim.device for claim in sorted(others, key=lambda claim: claim.strength, reverse=True)]

    def hand_to(self, owner: str, heir: str) -> str:
        """It answers what it had lost. Returns who was to."""
        contest = self._heard_by(owner, heir)
        if contest is None:
            return ""
        before, contest.winner = contest.winner or "", heir
        contest.empty.add(before)
        return before

    def gives_up(self, owner: str, device: str) -> None:
        """It has nothing but the word: whoever brings the request answers."""
        contest = self._won_by(owner, device)
        if contest is not None and not contest.answered:
            contest.empty.add(device)
            contest.winner = None

    def answered(self, owner: str, device: str) -> None:
        contest = self._won_by(owner, device)
        if contest is not None:
            contest.answered = True

    def _heard_by(self, owner: str, device: str) -> _Contest | None:
        return next((each for each in self._reversed(owner) if device in each.heard), None)

    def _won_by(self, owner: str, device: str) -> _Contest | None:
        return next((each for each in self._reversed(owner) if each.winner == device), None)

    def _entered(self, owner: str, device: str, word: str) -> _Contest | None:
        spoken = _spoken(word)
        entered = (each for each in self._reversed(owner) if device in each.heard)
        return next((each for each in entered if _spoken(each.heard[device].word) == spoken), None)

    def _reversed(self, owner: str) -> Iterator[_Contest]:
        return reversed(self._contests.get(owner, []))

    def _forget(self, now: float) -> None:
        for key, contests in list(self._contests.items()):
            contests[:] = [contest for contest in contests if not contest.over(now)]
            if not contests:
                del self._contests[key]


def _touches(utterance: Claim, word: Claim) -> bool:
    """`utterance`, in which no wake word was heard, begins or ends with `word`, or beside it."""
    if utterance.word or utterance.span is None or word.spoken_at is None:
        return False
    return any(-_BESIDE_S < word.spoken_at - edge < _BESIDE_S + _WORD_S for edge in utterance.span)


def _holds(utterance: Claim, word: Claim) -> bool:
    """One device looks for the word in its transcripts, and the other has a model of it."""
    if utterance.span is None or word.spoken_at is None:
        return False
    return utterance.span[0] - SAME_S < word.spoken_at < utterance.span[1] + SAME_S


def _spoken(word: str) -> str:
    """Its letters: "hey jarvis" and "Hey_Jarvis" sound alike."""
    return "".join(filter(str.isalnum, word.casefold()))


def claim_of(
    device: str,
    word: str,
    score: float,
    at_s: tuple[float, float],
    ring: AudioRing,
    span: tuple[float, float] | None = None,
    spoken_at: float | None = None,
    asks: bool = False,
    words: tuple[str, ...] = (),
) -> Claim:
    """What a session says of the word it heard `at_s` of its audio, which `ring` holds. `span`, `spoken_at`, `asks`:
    see Claim."""
    start, end = (round(edge_s * RATE_HZ) for edge_s in at_s)
    before = ring.read(max(0, start - _BEFORE_S * RATE_HZ), start)
    return Claim(device, word, score, clearness_db(ring.read(start, end), before), span, spoken_at, asks, words)


def clearness_db(word: Pcm, before: Pcm) -> float:
    """How far the loudest half of `word` stands over the quietest tenth of what was `before` it; int16 16 kHz."""
    return _level_db(word, 50, 100) - _level_db(before, 0, 10)


def _level_db(pcm: Pcm, low: float, high: float) -> float:
    """The mean power of the 20 ms frames between two percentiles."""
    frames = pcm[: len(pcm) // 320 * 320].astype(np.float64).reshape(-1, 320)
    if not len(frames):
        return 0.0
    powers = np.sort((frames**2).mean(axis=1))
    first = min(int(len(powers) * low / 100), len(powers) - 1)
    last = max(int(np.ceil(len(powers) * high / 100)), first + 1)
    return float(10 * np.log10(powers[first:last].mean() + 1.0))
