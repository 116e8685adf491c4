"""A WebSocket as a voice session wants it: carries frames between a client and its session, and decides nothing."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect

from models.errors import ParleyError
from voice.protocols.port import Codec
from voice.session.config import SessionConfig
from voice.session.connection import ClientClosed
from web.errors import close_code
from web.http.unacknowledged import unacknowledged_of
from web.services import Services

__all__ = ["WebSocketChannel", "converse"]

_log = structlog.get_logger("web.http.channel")
_NORMAL = 1000
_RESTART = 1012
"""The server itself goes down, and closes all connections with this code."""
_MAX_REASON_BYTES = 123
"""RFC 6455 5.5: a control frame has 125 bytes, and the close code takes two."""


class WebSocketChannel:
    """One connection, as `voice.session.session.Channel` wants it.

    A frame that the client does not take within `send_timeout_s` ends the connection: the audio of a reply is
    paced, so whoever falls that far behind is gone, or does not read.
    """

    def __init__(self, socket: WebSocket, send_timeout_s: float) -> None:
        self._socket = socket
        self._send_timeout_s = send_timeout_s
        self._unacknowledged = unacknowledged_of(socket.scope)
        self.written = 0
        self._abort: Callable[[], None] | None = socket.scope.get("extensions", {}).get("parley.abort")
        self._closed = False

    async def receive(self) -> str | bytes:
        """The next text or binary frame. Raises anyio.EndOfStream, or ClientClosed, when the connection is over."""
        if self._closed:
            raise anyio.EndOfStream
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            self._closed = True
            code = message.get("code")
            if code in (_NORMAL, _RESTART):
                raise ClientClosed(final=code == _RESTART)
            raise anyio.EndOfStream
        text = message.get("text")
        return text if text is not None else bytes(message["bytes"])

    async def send(self, frame: str | bytes) -> None:
        """Raises anyio.BrokenResourceError when the client is gone, or reads nothing."""
        if self._closed:
            raise anyio.BrokenResourceError
        try:
            with anyio.fail_after(self._send_timeout_s):
                if isinstance(frame, str):
                    await self._socket.send_text(frame)
                else:
                    await self._socket.send_bytes(frame)
            self.written += _on_the_wire(frame)
        except TimeoutError:
            _log.warning("channel.client_too_slow", waited_s=self._send_timeout_s)
            self._drop()
            raise anyio.BrokenResourceError from None
        except (WebSocketDisconnect, RuntimeError):  # the client is gone; a close was sent already
            self._closed = True
            raise anyio.BrokenResourceError from None

    def arrived(self) -> int | None:
        """How much of `written` the client's system has acknowledged; None where nobody can tell."""
        waiting = self._unacknowledged()
        return None if waiting is None else self.written - waiting

    async def close(self, code: int, reason: str) -> None:
        """Close from our side; nothing happens if it is closed already. Never waits long."""
        if self._closed:
            return
        self._closed = True
        reason = reason.encode()[:_MAX_REASON_BYTES].decode(errors="ignore")
        with anyio.move_on_after(self._send_timeout_s) as waited:
            try:
                await self._socket.close(code, reason)
            except (WebSocketDisconnect, RuntimeError):
                return
        if waited.cancelled_caught:
            self._drop()

    def _drop(self) -> None:
        """Cut the connection: a close frame would only wait behind what is not read."""
        self._closed = True
        if self._abort is not None:
            self._abort()


def _on_the_wire(frame: str | bytes) -> int:
    """Bytes of a frame with its head (RFC 6455 5.2). Too few for text that is not ASCII, which harms nothing."""
    size = len(frame)
    return size + (2 if size < 126 else 4 if size < 2**16 else 10)


async def converse(
    services: Services,
    token: str,
    channel: WebSocketChannel,
    codec: Callable[[SessionConfig], Codec] | None = None,
    *,
    resume: bool = False,
) -> None:
    """Serve a session on a connection to its end, in the protocol of `codec` (default: live). Why it ended is told by
    the close code.
    """
    try:
        await services.hub.connect(token, channel, codec, resume=resume)
    except ParleyError as error:
        await channel.close(close_code(error), error.message)
    except Exception:
        _log.exception("session.failed")
        await channel.close(1011, "something broke on our side")
    else:
        await channel.close(_NORMAL, "")
