"""The batcher with a model of the KV cache: what it orders is done to lists, and checked."""

from __future__ import annotations

from llm.batching.batcher import Batcher
from llm.batching.events import (
    Admit,
    Clear,
    Copy,
    End,
    Job,
    Limits,
    Lost,
    Next,
    Offload,
    Ran,
    Refuse,
    Reload,
    Run,
    Sampled,
    Submit,
    Trim,
)

__all__ = ["Engine", "limits"]


def limits(**changes: object) -> Limits:
    values: dict[str, object] = {
        "places": 2,
        "voice_places": 1,
        "sequences": 5,
        "context": 100,
        "pool": 1000,
        "step_tokens": 32,
        "queue": 4,
    }
    return Limits(**(values | changes))  # type: ignore[arg-type]


class Engine:
    """Does to lists what llama.cpp does to its KV cache. Each list item is (cell, token); copies share cells."""

    def __init__(self, of: Limits, keeps_states: bool = True) -> None:
        self.batcher = Batcher(of)
        self.kv: dict[int, list[tuple[int, int]]] = {number: [] for number in range(of.sequences)}
        self.offloaded: dict[int, list[tuple[int, int]]] = {}
        self.jobs: dict[int, Job] = {}
        self.written: dict[int, list[int]] = {}
        self.ended: dict[int, End | Refuse] = {}
        self.admitted: dict[int, Admit] = {}
        self.running: Run | None = None
        self.keeps_states = keeps_states
        self.disturbed = False  # somebody came or went while the step ran
        self.now = 0.0
        self._cells = 0

    def submit(self, number: int, tokens: list[int], **more: object) -> None:
        self.jobs[number] = Job(number, tokens, **more)  # type: ignore[arg-type]
        self.written[number] = []
        self.tell(Submit(self.jobs[number]))

    def tell(self, event: object) -> None:
        self.disturbed = not isinstance(event, Next | Ran)
        for action in self.batcher.step(event, self.now):  # type: ignore[arg-type]
            match action:
                case Refuse(job_id) | End(job_id):
                    assert job_id not in self.ended, "ended twice"
                    self.ended[job_id] = action
                case Admit(job_id):
                    self.admitted[job_id] = action
                case Clear(sequence):
                    self.kv[sequence] = []
                    self.offloaded.pop(sequence, None)
                case Offload(sequence):
                    assert self.kv[sequence] and sequence not in self.offloaded
                    self.offloaded[sequence], self.kv[sequence] = self.kv[sequence], []
                case Reload(source, target):
                    assert not self.kv[target]
                    self.kv[target] = [(self._new_cell(), token) for _, token in self.offloaded[source]]
                    if source == target:
                        del self.offloaded[source]
                case Trim(sequence, keep):
                    assert keep < len(self.kv[sequence])
                    self.kv[sequence] = self.kv[sequence][:keep]
                    if not self.keeps_states:
                        self.kv[sequence] = []
                        self.tell(Lost(sequence))
                case Copy(source, target, count):
                    assert not self.kv[target] and count <= len(self.kv[source])
                    self.kv[target] = self.kv[source][:count]
                case Run():
                    assert self.running is None
                    self.running = action

    def next(self) -> Run | None:
        """Ask until there is a step or nothing to do; check the step and put its tokens into the cache."""
        while self.running is None:
            before = len(self.admitted), self.batcher.sequences.idle_tokens
            self.tell(Next())
            after = len(self.admitted), self.batcher.sequences.idle_tokens
            if self.running is None and after == before:
                return None
        self._check(self.running)
        return self._put(self.running)

    def next_unchecked(self) -> Run | None:
        """The same for prompts with images, which are larger than a step."""
        while self.running is None:
            self.tell(Next())
        return self._put(self.running)

    def _put(self, run: Run) -> Run:
        for row in run.rows:
            for token in row.tokens:
                self.kv[row.sequence].append((self._new_cell(), token))
        return run

    def _new_cell(self) -> int:
        self._cells += 1
        return self._cells

    def _check(self, run: Run) -> None:
        of = self.batcher.limits
        assert 0 < sum(len(row.tokens) for row in run.rows) <= of.step_tokens
        assert len({row.sequence for row in run.rows}) == len(run.rows), "a sequence twice in a step"
        for row in run.rows:
            assert row.tokens
            job = self.jobs[row.job_id]
            held = [token for _, token in self.kv[row.sequence]]
            assert row.start == len(held), "a hole in the positions"
            sure = row.tokens[: len(row.tokens) - row.guessed]
            assert (held + sure) == (job.tokens + self.written[row.job_id])[: row.start + len(sure)]
            assert row.sample == (row.start + len(sure) == len(job.tokens) + len(self.written[row.job_id]))
            assert not row.guessed or (row.sample and job.draft and len(run.rows) == 1 and len(self.alive()) == 1)
            assert row.guessed <= of.draft and (of.rewind or not row.guessed)
            assert row.start + len(row.tokens) <= of.context

    def ran(
        self,
        done: frozenset[int] = frozenset(),
        failed: bool = False,
        seconds: float = 0.01,
        more: int = 0,
        preempted: bool = False,
    ) -> None:
        """The step is over, and as many of those that may follow it as there may be of `more`."""
        run, self.running = self.running, None
        assert run is not None
        more = 0 if failed or self.disturbed else min(more, run.more)
        self.now += seconds * (1 + more)
        sampled = []
        for row in run.rows:
            if row.sample and not failed:
                read = tuple(self._says(row.job_id) for _ in range(more))
                self.kv[row.sequence] += [(self._new_cell(), token) for token in read]
                guess, right = row.tokens[len(row.tokens) - row.guessed :], 0
                token = self._says(row.job_id)
                while row.job_id not in done and right < len(guess) and guess[right] == token:
                    right += 1
                    token = self._says(row.job_id)
                sampled.append(Sampled(row.job_id, token, row.job_id in done, right, read))
        self.tell(Ran(tuple(sampled), failed, preempted and more > 0))

    def preempted(self) -> None:
        """The step was broken off, and what it had put into the cache is gone."""
        run, self.running = self.running, None
        assert run is not None
        for row in run.rows:
            del self.kv[row.sequence][row.start :]
        self.tell(Ran(preempted=True))

    def _says(self, number: int) -> int:
        """The model's next token. Where tokens are guessed it repeats itself, but not always."""
        written = self.written[number]
        token = 1000 + number
        if self.batcher.limits.draft:
            token += len(written) % 3 if len(written) % 11 else 7
        written.append(token)
        return token

    def alive(self) -> list[int]:
        return [number for number in self.jobs if number not in self.ended]

    def finish(self) -> None:
        for _ in range(5000):
            if self.running is None and self.next() is None:
                return
            self.ran()
        raise AssertionError("it never comes to an end")

    def cells(self) -> int:
        return len({cell for held in self.kv.values() for cell, _ in held})
