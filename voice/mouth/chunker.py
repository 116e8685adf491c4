"""From a model's tokens to clauses that can be spoken, while the model still writes. Pure.

The first clause is short, because everyone waits for it: it ends at the first natural break, or after about ten words
where none comes. Later clauses are sentences or long parts of one, because speech sounds better in one breath and
there is audio to bridge the time.

Every decision looks at a bounded number of characters ahead and waits until it has them. So the clauses depend on the
text alone and never on how the tokens cut it. A cut falls:

1. after a line that says something (code blocks: after the closing fence; tables: never inside a line);
2. after . ! ? … and their like, unless the full stop belongs to an abbreviation, an ordinal or a list number;
3. after , ; : and dashes, once the clause is long enough;
4. before a conjunction or preposition once the clause is long, after any word once it is very long;
5. never inside a word, a link's text, inline code or between two numbers. What has no white space around it
   (3.14, 10:30, addresses) is one word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from voice.mouth.abbreviations import is_abbreviation, is_before_ordinal, is_month
from voice.mouth.language import guess_language
from voice.mouth.speakable import speakable

__all__ = ["Chunker", "Clause"]

_STRONG = frozenset(".!?…؟।。！？")
_SOFT = frozenset(",;:،؛，、；：—")
# These end a clause wherever they stand; the others only before white space.
_ANYWHERE = frozenset("。！？，、；：—…")
_CLOSERS = frozenset("\"'”’“»«›)]}*_~`」』）】》")
_DASHES = frozenset(("–", "-", "--", "—"))
_NO_BREAK_SPACES = frozenset("\u00a0\u202f\u2007\u2060")
_UNBROKEN = re.compile("[\u3005-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_FENCE = re.compile(r"(`{3,}|~{3,})")
_ENTITY = re.compile(r"&#?\w+;$")
_MAX_HOLD = 200
"""Characters after which an opened bracket or backtick is taken for a mere character."""

# fmt: off
_CUT_BEFORE = frozenset((
    "and", "or", "but", "so", "because", "that", "which", "who", "when", "where", "while", "if", "than", "as", "then",
    "with", "without", "from", "for", "in", "on", "at", "by", "to", "into", "about", "between", "through", "after",
    "before", "until", "und", "oder", "aber", "weil", "dass", "wenn", "als", "mit", "ohne", "von", "für", "im", "auf",
    "bei", "nach", "zu", "aus", "durch", "et", "ou", "mais", "que", "qui", "avec", "pour", "dans", "y", "o", "pero",
    "con", "para", "porque",
))
_HOLD_AFTER = _CUT_BEFORE | frozenset((
    "a", "an", "the", "of", "my", "your", "his", "her", "its", "our", "their", "this", "these", "those", "is", "are",
    "was", "were", "be", "not", "no", "very", "der", "die", "das", "den", "dem", "des", "ein", "eine", "einen",
    "einem", "einer", "ist", "sind", "war", "nicht", "sehr", "le", "la", "les", "un", "une", "des", "du", "de", "el",
    "los", "las", "una", "del",
))
# fmt: on


@dataclass(frozen=True, slots=True)
class Clause:
    """`text` is what to speak, in `language`; "" says nothing. `start`, `end`: its characters in the raw text."""

    text: str
    start: int
    end: int
    language: str = "en"


@dataclass(frozen=True, slots=True)
class _Limits:
    """When a clause is long enough: for a comma (words and characters), for a conjunction, for any word (words)."""

    comma_words: float
    comma_chars: int
    soft_words: float
    hard_words: float


_FIRST = _Limits(comma_words=2, comma_chars=8, soft_words=6, hard_words=10)
_LATER = _Limits(comma_words=6, comma_chars=60, soft_words=24, hard_words=36)
# A language without spaces may be cut inside a word, so this late only.
_UNBROKEN_FACTOR = 1.5


@dataclass(slots=True)
class _Scan:
    """How far the clause has been read. Indexes are into the text that is not yet cut off."""

    at: int = 0
    words: float = 0.0
    has_content: bool = False
    word_at: int | None = None
    last_end: int = 0
    last_word: str = ""
    pending: bool | None = None
    """A break that holds wherever the next word starts: True strong, False soft."""
    hold: str = ""
    hold_at: int = 0
    line_start: bool = True
    is_list_number: bool = False
    is_table: bool = False
    fence: str = ""
    fence_end: int = 0


class _NeedMore(Exception):
    """The next decision depends on characters that have not come yet."""


class Chunker:
    """One reply's. `language` is that in which it is spoken; "auto": that of the first clause that tells."""

    def __init__(self, language: str = "en") -> None:
        self._language = language
        self._text = ""
        self._start = 0
        self._limits = _FIRST
        self._scan = _Scan()

    def push(self, text: str) -> list[Clause]:
        """The clauses that `text` completes. Spans are contiguous from 0 and cover all that was pushed."""
        self._text += text
        return self._clauses(is_final=False)

    def flush(self) -> list[Clause]:
        """The reply is complete: the rest of it."""
        clauses = self._clauses(is_final=True)
        if self._text:
            clauses.append(self._cut(len(self._text)))
        return clauses

    def _clauses(self, *, is_final: bool) -> list[Clause]:
        clauses = []
        try:
            while (end := self._next_cut(is_final)) is not None:
                clauses.append(self._cut(end))
        except _NeedMore:
            pass
        return clauses

    def _cut(self, end: int) -> Clause:
        raw, self._text = self._text[:end], self._text[end:]
        if self._language == "auto":
            self._language = guess_language(raw) or "auto"
        clause = Clause(speakable(raw, self._language), self._start, self._start + end, self._language)
        self._start += end
        if clause.text:
            self._limits = _LATER
        # A table's or list's line may go on behind a forced cut; code never does.
        self._scan = _Scan(line_start=raw.endswith("\n"), is_table=self._scan.is_table and not raw.endswith("\n"))
        return clause

    def _next_cut(self, is_final: bool) -> int | None:
        scan, text = self._scan, self._text
        while scan.at < len(text):
            end = self._in_fence(is_final) if scan.fence else self._character(text[scan.at], is_final)
            if end is not None:
                return end
            if not scan.fence:
                scan.at += 1
        return None

    # ---- one character ---------------------------------------------------------------------------------------

    def _character(self, char: str, is_final: bool) -> int | None:
        """Where to cut before going on behind this character, None for nowhere. Raises _NeedMore."""
        scan, at = self._scan, self._scan.at
        if char == "\n":
            if scan.has_content:
                return at + 1
            scan.line_start, scan.is_table, scan.word_at, scan.pending, scan.hold = True, False, None, None, ""
            return None
        if char.isspace() and char not in _NO_BREAK_SPACES:
            return self._white_space(at, is_final)
        if scan.line_start and self._open_line(char, is_final):
            return None
        if scan.pending is not None and char not in _CLOSERS and char not in _STRONG and char not in _SOFT:
            end = self._pending_cut(at)
            if end is not None:
                return end
            scan.word_at = at
        if scan.word_at is None:
            scan.word_at = at
        self._track_hold(char, at)
        if char.isalnum():
            scan.has_content = True
            if _UNBROKEN.match(char):
                return self._unbroken(at)
        elif char in _ANYWHERE:
            self._mark_pending(char, at, is_final)
        return None

    def _open_line(self, char: str, is_final: bool) -> bool:
        """What a line begins with decides how it is cut. True if it is a code fence."""
        scan, text = self._scan, self._text
        if char in "`~":
            # The run of backticks may yet become three, or more.
            if not is_final and not text[scan.at :].strip(char):
                raise _NeedMore
            match = _FENCE.match(text, scan.at)
            if match:
                scan.fence, scan.fence_end = match.group(1), match.end()
                return True
        scan.line_start = False
        scan.is_table = char == "|"
        scan.is_list_number = char.isdigit()
        return False

    def _in_fence(self, is_final: bool) -> int | None:
        """Code is not cut: on to the closing fence, or to the end."""
        scan, text = self._scan, self._text
        closing = re.compile(r"\n[ \t]*" + re.escape(scan.fence)).search(text, scan.fence_end)
        if closing is None:
            if not is_final:
                raise _NeedMore
            return len(text)
        return closing.end()

    def _white_space(self, at: int, is_final: bool) -> int | None:
        scan = self._scan
        if scan.hold == "text end":
            scan.hold = ""
        if scan.pending is not None:
            end = self._pending_cut(at)
            if end is not None:
                return end
        if scan.word_at is None:
            return None
        end = self._word(self._text[scan.word_at : at], at, is_final)
        scan.last_end, scan.word_at, scan.is_list_number = at, None, False
        return end

    def _track_hold(self, char: str, at: int) -> None:
        """Follow [text](address) and `code`, which are not cut."""
        scan = self._scan
        if scan.hold and at - scan.hold_at > _MAX_HOLD:
            scan.hold = ""
        match scan.hold, char:
            case "", "[":
                scan.hold, scan.hold_at = "text", at
            case "", "`":
                scan.hold, scan.hold_at = "code", at
            case "text", "]":
                scan.hold = "text end"
            case "text end", "(":
                scan.hold = "address"
            case "text end", _:
                scan.hold = ""
            case ("address", ")") | ("code", "`"):
                scan.hold = ""

    # ---- breaks ----------------------------------------------------------------------------------------------

    def _may_cut(self) -> bool:
        scan = self._scan
        held = scan.hold and scan.hold != "text end" and scan.at - scan.hold_at <= _MAX_HOLD
        return scan.has_content and not held and not scan.is_table

    def _long_enough(self, end: int, words: float) -> bool:
        """For a comma."""
        limits = self._limits
        unspaced = len(_UNBROKEN.findall(self._text[:end]))
        # A character of Chinese is worth two or three letters.
        return words >= limits.comma_words and end + unspaced >= limits.comma_chars

    def _pending_cut(self, at: int) -> int | None:
        scan = self._scan
        is_strong, scan.pending = scan.pending, None
        if self._may_cut() and (is_strong or self._long_enough(at, scan.words)):
            return at
        return None

    def _mark_pending(self, char: str, at: int, is_final: bool) -> None:
        """A mark that breaks without white space: not in an address, not between digits (10：30)."""
        scan, text = self._scan, self._text
        word = text[scan.word_at or 0 : at]
        if "://" in word or word.startswith("www."):
            return
        if at and text[at - 1].isdigit():
            if at + 1 >= len(text) and not is_final:
                raise _NeedMore
            if text[at + 1 : at + 2].isdigit():
                return
        if char == "—" and word[-1:].isalnum():
            scan.words += 1  # the word before the dash; the one behind it is counted at its end
        scan.pending = bool(scan.pending) or char in _STRONG

    def _unbroken(self, at: int) -> int | None:
        """A character of a script without spaces: half a word each."""
        scan = self._scan
        if scan.words >= self._limits.hard_words * _UNBROKEN_FACTOR and self._may_cut() and scan.word_at != at:
            return at
        scan.words += 0.5
        return None

    def _word(self, word: str, end: int, is_final: bool) -> int | None:
        """A word is complete, white space follows."""
        scan, limits = self._scan, self._limits
        core = word
        while core and core[-1] in _CLOSERS:
            core = core[:-1]
        has_letters = any(char.isalnum() for char in core)
        may_cut = self._may_cut()
        plain = core.strip("\"'“„«([*_`.,;:!?").casefold()
        if may_cut and has_letters and scan.words >= limits.soft_words and plain in _CUT_BEFORE:
            if scan.last_word not in _HOLD_AFTER and not scan.last_word[-1:].isdigit() and scan.last_end:
                return scan.last_end
        words = scan.words + (1 if has_letters and not _UNBROKEN.search(core) else 0)
        if may_cut:
            last = core[-1:] or " "
            if last == "." and not core.endswith("..") and not self._is_sentence_end(core, end, is_final):
                pass
            elif last in _STRONG:
                return end
            elif (last in _SOFT and not _ENTITY.search(core)) or (
                core in _DASHES and not scan.last_word[-1:].isdigit()
            ):
                if self._long_enough(end, words):
                    return end
            elif has_letters and words >= limits.hard_words:
                if plain not in _HOLD_AFTER and not last.isdigit():
                    return end
        # Only now: a decision that waits is taken again from the start.
        scan.words, scan.last_word = words, plain
        return None

    def _is_sentence_end(self, core: str, end: int, is_final: bool) -> bool:
        """Whether the full stop that ends `core` ends a sentence. Raises _NeedMore."""
        word = core[:-1].lstrip("\"'“„«([*_`")
        if is_abbreviation(word):
            return False
        if word.casefold() in ("no", "nr"):
            return not self._following(end, 1, is_final)[:1].isdigit()
        if not word.isdigit() or len(word) > 2:
            return True
        if self._scan.is_list_number or is_before_ordinal(self._scan.last_word):
            return False
        # "am 3. Oktober", "der 2. große Fehler": an ordinal; "It is 42. The next": an end.
        follows = self._following(end, 3, is_final)
        return not (follows[:1].islower() or follows[:1].isdigit() or is_month(follows))

    def _following(self, end: int, count: int, is_final: bool) -> str:
        """The first `count` letters or digits of what follows, fewer where a word or line ends. Raises _NeedMore."""
        text = self._text
        at = end
        while at < len(text) and text[at].isspace() and text[at] != "\n":
            at += 1
        stop = at
        while stop < len(text) and stop - at < count and text[stop].isalnum():
            stop += 1
        if stop == len(text) and stop - at < count and not is_final:
            raise _NeedMore
        return text[at:stop]
