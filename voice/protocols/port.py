"""What a session needs of a client protocol. One codec serves one connection, and does no I/O.

What a message says is decided when it is said (`tell`), in the order in which things happen; how it looks (JSON,
audio in the client's format) is worked out when its turn to leave has come: a `Draft` is called then, once, in order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from models.errors import ParleyError
from voice.session.config import SessionConfig
from voice.session.incoming import ClientEvent
from voice.session.outgoing import ServerEvent

__all__ = ["Codec", "Draft", "Frame"]

Frame = str | bytes
"""A text or a binary frame of the connection."""

Draft = Callable[[], Sequence[Frame]]
"""A message that is decided and not yet written: gives its frames, none where there is nothing to say after all."""


class Codec(Protocol):
    """Between the frames of one connection and the events of its session. Called from one task at a time."""

    most_errors: int | None
    """So many frames in a row that could not be done end the connection; None: each is answered, however many."""

    @property
    def config(self) -> SessionConfig:
        """What is in force. The session sets it after `apply`."""
        ...

    @config.setter
    def config(self, config: SessionConfig) -> None: ...

    def opened(self, token: str) -> Sequence[Draft]:
        """What the client is greeted with."""
        ...

    def receive(self, frame: Frame) -> Sequence[ClientEvent | Draft]:
        """What the client said, and what can be answered at once, in order.

        Raises ParleyError for a frame that makes no sense (the session asks `complain` what to say to it), and
        FrameTooLarge for one after which the connection is closed.
        """
        ...

    def apply(self, fields: Mapping[str, Any]) -> SessionConfig:
        """The configuration that an `Update` of these fields would give. Raises BadInput."""
        ...

    def updated(self, token: str) -> Sequence[Draft]:
        """What the client is told when `config` has changed."""
        ...

    def complain(self, error: ParleyError) -> Sequence[Draft]:
        """What the client is told when its last frame could not be done."""
        ...

    def tell(self, event: ServerEvent) -> Sequence[Draft]:
        """What the client is told of an event; nothing where the protocol has no word for it."""
        ...
