"""A reply that is being written: its sampler, its text so far, and what nobody has been told yet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llm.batching.assembly import TextAssembler
from llm.engine import EngineEvent, EngineFinish, EngineJob
from llm.stream import TokenLogprob

if TYPE_CHECKING:
    from llm.llamacpp.sampling import SamplerChain

__all__ = ["Reply"]


@dataclass(slots=True)
class Reply:
    job: EngineJob
    chain: SamplerChain
    assembler: TextAssembler
    visible: frozenset[int]
    """Special tokens that are written out."""
    exact: bool
    """Whether the same request must give the same reply again."""
    submitted_at: float
    admitted_at: float = 0.0
    first_at: float = 0.0
    broken: bool = False
    """The model gave no numbers for it."""
    _text: list[str] = field(default_factory=list)
    _logprobs: list[TokenLogprob] = field(default_factory=list)
    _tokens: list[int] = field(default_factory=list)

    @property
    def awaited(self) -> bool:
        """Whether somebody waits for what there is: not while its text is held back, or wanted whole."""
        return not self.job.whole and (any(self._text) or bool(self._logprobs))

    @property
    def gathered(self) -> bool:
        """Whether nothing but a token that ends the turn can end it, and nobody waits for its text: that may be put
        together later, for many tokens at once."""
        sampling = self.job.sampling
        return self.job.whole and not sampling.stop and sampling.logprobs is None

    def add(self, token: int, text: str) -> None:
        """What a step gave: a token, and the text that is certain with it."""
        self._tokens.append(token)
        self._text.append(text)

    def add_all(self, tokens: Iterable[int], text: str) -> None:
        """The same for several steps."""
        self._tokens.extend(tokens)
        self._text.append(text)

    def add_logprob(self, logprob: TokenLogprob) -> None:
        """Of the token that was added last."""
        self._logprobs.append(logprob)

    def event(self, rest: str = "", finish: EngineFinish | None = None) -> EngineEvent:
        """All that nobody was told yet, and `rest`."""
        text, logprobs, tokens = "".join(self._text) + rest, tuple(self._logprobs), tuple(self._tokens)
        self._text, self._logprobs, self._tokens = [], [], []
        return EngineEvent(self.job.id, text, finish, logprobs=logprobs, tokens=tokens)
