"""`python -m llm.worker --model FILE --port P [--name N] [--ctx-size 4096 ...]`: one language model over HTTP.

Listens on 127.0.0.1 only. Ends on SIGTERM, when its supervisor dies, and with status 3 when the model cannot be
loaded or the engine breaks (the reason is the last line it prints). Every field of EngineSettings is an option.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

import structlog
import uvicorn

from llm.engine import EngineConfig
from llm.engine_choice import choose_engine, format_of
from llm.llamacpp.state_store import ENV as STATES_ENV
from llm.settings import EngineSettings
from llm.worker import about, chat, completions, slots, status, tokens, vectors
from llm.worker.server import ModelServer, create_app
from llm.workers import lifeline
from llm.workers.served import serve
from models.clock import SystemClock
from models.errors import ParleyError, SettingsError

BROKEN = 3


def main(argv: Sequence[str] | None = None) -> int:
    args = _arguments(argv)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    reasons: list[str] = []

    def fail(reason: str) -> None:
        reasons.append(reason)
        server.should_exit = True

    def progress(done: float) -> None:
        model.progress = done

    engine = {field.name: getattr(args, field.name) for field in fields(EngineSettings)}
    try:
        settings = EngineSettings(**engine)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    states = Path(os.environ[STATES_ENV]) if os.environ.get(STATES_ENV) else None
    config = EngineConfig(args.model, args.name or args.model.stem, settings, SystemClock(), progress, states)
    try:
        spec = choose_engine(format_of(args.model), args.model, settings.engine)
    except ParleyError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if spec.command is not None:
        return serve(spec.command(config, args.port))
    lifeline.hold()
    parts = (chat, completions, vectors, tokens, status, about, slots)  # looked through in this order
    routes = [route for part in parts for route in part.ROUTES]
    model = ModelServer(spec, config, fail)
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(model, routes),
            host="127.0.0.1",
            port=args.port,
            ws="none",
            access_log=False,
            log_level="warning",
            timeout_graceful_shutdown=1,
            timeout_keep_alive=75,
        )
    )
    server.run()
    if reasons:
        sys.stderr.write(f"{reasons[0]}\n")
    sys.stderr.flush()
    # The engine's thread may stand in a long native call; nothing it could still do is wanted.
    os._exit(BROKEN if reasons else 0 if server.started else 1)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m llm.worker", description="Serve one language model on loopback.")
    parser.add_argument("--model", type=Path, required=True, help="a GGUF file, or a folder with safetensors")
    parser.add_argument("--name", default="", help="what clients call it; the file's name otherwise")
    parser.add_argument("--port", type=int, required=True)
    hints = get_type_hints(EngineSettings)
    for field in fields(EngineSettings):
        option = f"--{field.name.replace('_', '-')}"
        parser.add_argument(option, type=_reader(hints[field.name]), default=field.default, metavar="VALUE")
    return parser.parse_args(argv)


def _reader(hint: Any) -> Callable[[str], Any]:
    """How a setting of this type is written on the command line."""
    choices = tuple(name for choice in get_args(hint) for name in (get_args(choice) or (choice,)))
    if hint is str:
        return str
    if hint is bool or bool in choices:
        return _truth
    if hint is int or int in choices:
        return int
    if hint is float:
        return float

    def one_of(text: str) -> str:
        if text not in choices:
            raise argparse.ArgumentTypeError(f"one of {', '.join(map(str, choices))}")
        return text

    return one_of


def _truth(text: str) -> bool:
    if text not in ("true", "false"):
        raise argparse.ArgumentTypeError("true or false")
    return text == "true"


if __name__ == "__main__":
    sys.exit(main())
