"""Errors of the language-model layer.

ParleyError
|- LlmError
   |- BackendUnreachable    nobody answers there (retryable)
   |- BackendFailed         it answered with an error, or broke in the middle
   |  |- QuotaExceeded      the account there is used up: trying again is of no use
   |- PortTaken             another program listens on a worker's port (retryable)
   |- WorkerDied            a local worker process ended while it was working (retryable)
   |- Overloaded            every place is taken and the queue is full (retryable)
   |  |- RateLimited        another server takes no more of our requests for now (retryable)
   |- LoadReplaced          an accepted load was taken back by a later order
   |- ModelTooLarge         the model does not fit into the memory that may be had
   |- ContextTooLong        the prompt does not fit the model
   |- UnknownModel          no slot or backend serves that name
   |  |- NoSuchEndpoint     another server has nothing at the address that was asked, whatever the model
   |- ToolNotCalled         the model wrote something else than the call that was wanted of it
"""

from __future__ import annotations

from models.errors import ParleyError

__all__ = [
    "BackendFailed",
    "BackendUnreachable",
    "ContextTooLong",
    "LlmError",
    "LoadReplaced",
    "ModelTooLarge",
    "NoSuchEndpoint",
    "Overloaded",
    "PortTaken",
    "QuotaExceeded",
    "RateLimited",
    "ToolNotCalled",
    "UnknownModel",
    "WorkerDied",
]


class LlmError(ParleyError):
    """`of_server`: it says something of the whole server, and not of one of its models only."""

    code = "llm_error"
    of_server = False


class BackendUnreachable(LlmError):
    """`silent`: it lists its models, and says nothing to a request for one of them."""

    code = "backend_unreachable"
    retryable = True

    def __init__(
        self, message: str, *, hint: str | None = None, param: str | None = None, silent: bool = False
    ) -> None:
        super().__init__(message, hint=hint, param=param)
        self.silent = silent
        self.of_server = not silent


class BackendFailed(LlmError):
    code = "backend_failed"

    def __init__(
        self, message: str, *, hint: str | None = None, param: str | None = None, of_server: bool = False
    ) -> None:
        super().__init__(message, hint=hint, param=param)
        self.of_server = of_server


class QuotaExceeded(BackendFailed):
    code = "insufficient_quota"


class WorkerDied(LlmError):
    code = "worker_died"
    retryable = True
    default_hint = "it is being restarted; try again in a few seconds"


class PortTaken(LlmError):
    code = "port_taken"
    retryable = True


class Overloaded(LlmError):
    """`retry_after_s`: when there may be room again. `told`: the server itself said so."""

    code = "overloaded"
    retryable = True

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        param: str | None = None,
        retry_after_s: int = 2,
        told: bool = False,
        of_server: bool = False,
    ) -> None:
        super().__init__(message, hint=hint, param=param)
        self.of_server = of_server
        self.retry_after_s = retry_after_s
        self.told = told


class RateLimited(Overloaded):
    code = "rate_limit_exceeded"


class LoadReplaced(LlmError):
    """An order to load a model that was accepted, and taken back by a later one."""

    code = "load_replaced"


class ModelTooLarge(LlmError):
    code = "model_too_large"


class ContextTooLong(LlmError):
    code = "context_length_exceeded"


class UnknownModel(LlmError):
    code = "model_not_found"


class NoSuchEndpoint(UnknownModel):
    code = "no_such_endpoint"


class ToolNotCalled(LlmError):
    code = "tool_not_called"
