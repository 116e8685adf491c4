"""One reply: tokens in, clauses to speak, audio paced out, and what of it was heard. Pure.

It holds everything back until `release()`: a reply may be made for a turn that is not yet confirmed.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from voice.mouth.chunker import Chunker, Clause
from voice.mouth.heard_words import expected_s, raw_ends, spans, words_over
from voice.mouth.playout import Playout
from voice.port import Pcm, Word
from voice.session.outgoing import AudioOut

__all__ = ["Reply"]

PREFETCH_S = 4.0
"""No further clause is synthesised while this much audio waits to be sent: it may never be heard."""
SLICE_S = 0.1
"""Audio leaves in pieces of this length, the end of a clause excepted."""
WORD_S = 0.4
"""A long word."""
EDGE_S = 0.03
"""A word counts as heard when playout came this near to its end."""


@dataclass(slots=True)
class _Spoken:
    """A clause and its audio so far. `start_s` is its place in the reply's audio."""

    clause: Clause
    start_s: float = 0.0
    duration_s: float = 0.0
    begun: bool = False
    complete: bool = False
    failed: bool = False
    words: tuple[Word, ...] = ()
    spans: list[tuple[int, int]] | None = None
    """Where the words of the clause, as it is spoken, lie in its text."""
    ends: list[int] | None = None
    """For every word that is said of it: characters of its raw text that are over then."""
    unsent: deque[Pcm] = field(default_factory=deque)
    sent_any: bool = False


class Reply:
    """`id` is the client's name for it, `rate_hz` the rate of its audio. Not `spoken`: what is told is heard."""

    def __init__(
        self,
        id: str,
        rate_hz: int,
        lead_s: float,
        *,
        lag_s: float = 0.0,
        unsure_s: float = 0.0,
        spoken: bool = True,
        speed: float = 1.0,
        language: str = "auto",
    ) -> None:
        self.id = id
        self.rate_hz = rate_hz
        self.spoken = spoken
        self._speed = speed
        self.text = ""
        self.tokens = 0
        self.playout = Playout(lead_s, lag_s, unsure_s=unsure_s)
        self.mind_done = False
        self.released = False
        self._chunker = Chunker(language)
        self._spoken: list[_Spoken] = []
        self._requested = 0
        self._sending = 0
        self._told = 0
        self._last_told = False
        self._unsent = 0
        """Samples that are there and were not sent."""

    # ---- in -------------------------------------------------------------------------------------------------

    def add_tokens(self, text: str, tokens: int) -> None:
        self.text += text
        self.tokens += tokens
        if self.spoken:
            self._add_clauses(self._chunker.push(text))

    def finish_text(self) -> None:
        """The model has written everything."""
        if not self.mind_done:
            self.mind_done = True
            self._add_clauses(self._chunker.flush())

    def end_sentence(self) -> None:
        """What was written so far is spoken without waiting for the rest."""
        if self.spoken:
            self._add_clauses(self._chunker.flush())

    def add_audio(self, index: int, pcm: Pcm, words: tuple[Word, ...], is_last: bool) -> None:
        """Audio of clause `index`; unknown or finished clauses are ignored (late results)."""
        if not 0 <= index < len(self._spoken) or self._spoken[index].complete:
            return
        spoken = self._spoken[index]
        if len(pcm):
            spoken.unsent.append(pcm)
            self._unsent += len(pcm)
            spoken.duration_s += len(pcm) / self.rate_hz
        if words:
            spoken.words = words
        spoken.complete = is_last

    def fail_clause(self, index: int) -> None:
        """The clause will not be spoken (any further); the reply goes on with the next."""
        if 0 <= index < len(self._spoken):
            self._spoken[index].complete = self._spoken[index].failed = True

    def release(self) -> None:
        self.released = True

    # ---- out ------------------------------------------------------------------------------------------------

    def next_clause(self) -> tuple[int, str] | None:
        """The next clause to synthesise: one at a time, and not too far ahead of what can be heard."""
        while self._requested < len(self._spoken) and not self._spoken[self._requested].clause.text:
            self._spoken[self._requested].complete = True  # nothing in it can be spoken
            self._requested += 1
        if self._requested >= len(self._spoken):
            return None
        if self._requested and not self._spoken[self._requested - 1].complete:
            return None
        if self._unsent > PREFETCH_S * self.rate_hz:
            return None
        self._requested += 1
        return self._requested - 1, self._spoken[self._requested - 1].clause.text

    @property
    def has_audio(self) -> bool:
        """There is some that was not sent yet."""
        return self._unsent > 0

    @property
    def awaits_voice(self) -> bool:
        """A clause is being synthesised."""
        return not all(spoken.complete for spoken in self._spoken[: self._requested])

    def take_text(self) -> str:
        """Text not yet told to the client; nothing before the release."""
        if not self.released:
            return ""
        fresh, self._told = self.text[self._told :], len(self.text)
        return fresh

    def pump(self, now: float) -> list[AudioOut]:
        """The audio that is due now, as much as the lead allows."""
        pieces: list[AudioOut] = []
        if not self.released:
            return pieces
        while self._sending < len(self._spoken):
            spoken = self._spoken[self._sending]
            if not spoken.begun:
                spoken.begun, spoken.start_s = True, self.playout.sent_s
            if not spoken.unsent:
                if not spoken.complete:
                    return pieces
                self._sending += 1
                continue
            head = spoken.unsent[0]
            allowed = int(self.playout.room(now) * self.rate_hz + 0.5)
            wanted = min(len(head), max(1, int(SLICE_S * self.rate_hz)))
            if allowed < wanted:
                return pieces
            if len(head) > wanted:
                spoken.unsent[0] = head[wanted:]
            else:
                spoken.unsent.popleft()
            clause, starts = spoken.clause, not spoken.sent_any
            pieces.append(AudioOut(self.id, head[:wanted], self.rate_hz, clause.text, starts, text_end=clause.end))
            spoken.sent_any = True
            self._unsent -= wanted
            self.playout.sent(wanted / self.rate_hz, now)
        if self.mind_done and self.playout.sent_s > 0 and not self._last_told:
            self._last_told = True
            pieces.append(AudioOut(self.id, np.zeros(0, np.int16), self.rate_hz, "", False, is_last=True))
        return pieces

    def pumps_at(self, now: float) -> float | None:
        """When `pump` will have something to send, or the reply will have been played; None: only events tell."""
        if not self.released or self.playout.held:
            return None
        if self._unsent:
            short = SLICE_S - self.playout.room(now)
            return now + max(0.001, short)
        return max(now + 0.001, self.playout.empties_at(now)) if self.all_sent else None

    def silence(self) -> None:
        """Drop the audio that was not sent; what was heard of it can still be asked."""
        for spoken in self._spoken:
            spoken.unsent.clear()
        self._unsent = 0

    @property
    def all_sent(self) -> bool:
        """Everything that there will ever be was sent."""
        return self.mind_done and self._sending >= len(self._spoken)

    def is_over(self, now: float) -> bool:
        """Written, spoken, sent and played, or its client plays no more."""
        played = self.playout.position(now) >= self.playout.sent_s - 1e-6
        return self.released and self.all_sent and (played or self.playout.stands(now))

    def heard(self, now: float, *, whole: bool = False) -> str:
        """The text that was played by now for certain, cut at the last whole word. `whole`: nobody stops the client,
        so it plays all that it has, if it still plays."""
        whole = whole and not self.playout.stands(now)
        return self.heard_at(self.playout.position(now) if whole else self.playout.heard(now))

    def heard_at(self, position: float) -> str:
        """The text of the first `position` seconds of audio, cut at the last whole word; of a clause that failed, no
        more than was made of it."""
        cut, heard, begin = self._cut_at(position), [], 0
        for spoken in self._spoken:
            if spoken.failed and spoken.clause.start < cut:
                made = spoken.clause.start + self._heard_of(spoken, spoken.duration_s)
                heard.append(self.text[begin : min(cut, made)].strip())
                begin = min(cut, spoken.clause.end)
        heard.append(self.text[begin:cut].strip())
        return " ".join(filter(None, heard))  # the space between two words may be in what was left out

    def said(self, since_s: float) -> str:
        """The words, as spoken, that were sent of its audio from `since_s` on, the one under way included."""
        parts = []
        for spoken in self._spoken:
            text, first = spoken.clause.text, self._words_over(spoken, since_s - spoken.start_s)
            last = self._words_over(spoken, self.playout.sent_s + WORD_S - spoken.start_s) if spoken.sent_any else 0
            if last > first and spoken.spans:
                parts.append(text[spoken.spans[first][0] : spoken.spans[last - 1][1]])
        return " ".join(parts)

    # ---- inside ---------------------------------------------------------------------------------------------

    def _cut_at(self, position: float) -> int:
        """Characters of the text that were over after `position` seconds of audio."""
        if not self.spoken:
            return self._told
        cut = 0
        for spoken in self._spoken:
            if spoken.clause.text and not spoken.begun:
                break
            if spoken.complete and not spoken.duration_s:
                continue  # silent: heard of only if something after it was
            if position <= spoken.start_s:
                break
            if position + EDGE_S < spoken.start_s + spoken.duration_s or not spoken.complete:
                cut = spoken.clause.start + self._heard_of(spoken, position - spoken.start_s)
                break
            cut = spoken.clause.end
        else:
            cut = len(self.text) if self.mind_done and position > 0 else cut
        return cut

    def _add_clauses(self, clauses: list[Clause]) -> None:
        self._spoken.extend(_Spoken(clause) for clause in clauses)

    def _heard_of(self, spoken: _Spoken, elapsed_s: float) -> int:
        """Characters of the clause's raw text whose words were over after `elapsed_s` of it."""
        if spoken.ends is None:
            clause = spoken.clause
            spoken.ends = raw_ends(self.text[clause.start : clause.end], clause.text, clause.language)
        count = self._words_over(spoken, elapsed_s)
        return spoken.ends[count - 1] if count else 0

    def _words_over(self, spoken: _Spoken, elapsed_s: float) -> int:
        """Words of the clause, as it is spoken, that were over after `elapsed_s` of it."""
        if elapsed_s <= 0:
            return 0
        if spoken.spans is None:
            spoken.spans = spans(spoken.clause.text)
        if spoken.complete and spoken.words:
            over = sum(1 for w in spoken.words if w.start_s < elapsed_s and w.end_s <= elapsed_s + EDGE_S)
            return len(spoken.spans) * over // len(spoken.words)
        length_s = spoken.duration_s
        if not spoken.complete or spoken.failed:
            length_s = max(length_s, expected_s(spoken.clause.text) / self._speed)
        return words_over(spoken.clause.text, elapsed_s / max(length_s, 1e-6))
