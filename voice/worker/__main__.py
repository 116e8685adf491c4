"""`python -m voice.worker --kind stt|tts --engine NAME [--model PATH] --port P`: one speech engine over HTTP.

Listens on 127.0.0.1 only. Ends on SIGTERM, when its supervisor dies, and with status 3 when the engine cannot be
loaded (the reason is the last line it prints).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import structlog
import uvicorn

from llm.cores import cores
from llm.workers import lifeline
from models.registry import discover
from voice.port import EngineConfig
from voice.worker.app import create_app
from voice.worker.engine import Recogniser, Speaker

LOAD_FAILED = 3


def main(argv: Sequence[str] | None = None) -> int:
    args = _arguments(argv)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    lifeline.hold()
    part = _part(args)
    failed: list[Exception] = []

    def on_load_failed(error: Exception) -> None:
        failed.append(error)
        server.should_exit = True

    server = uvicorn.Server(
        uvicorn.Config(
            create_app(part, on_load_failed),
            host="127.0.0.1",
            port=args.port,
            ws="websockets-sansio",
            ws_max_size=2**20,
            access_log=False,
            log_level="warning",
            timeout_graceful_shutdown=1,
        )
    )
    server.run()
    sys.stderr.flush()
    if failed:
        sys.stderr.write(f"{part.name} could not be loaded: {failed[0] or type(failed[0]).__name__}\n")
        sys.stderr.flush()
    # The model thread may stand in a long native call; nothing it could still do is wanted.
    os._exit(LOAD_FAILED if failed else 0 if server.started else 1)


def _part(args: argparse.Namespace) -> Recogniser | Speaker:
    specs = discover(f"voice.{args.kind}")
    if args.engine not in specs:
        sys.stderr.write(f"no {args.kind} engine {args.engine!r}; there is {', '.join(specs)}\n")
        raise SystemExit(2)
    spec = specs[args.engine]
    options = dict(option.split("=", 1) for option in args.option)
    config = EngineConfig(args.model, tuple(args.beside), args.threads, options)
    model = None if args.model is None else args.model.name
    kind = Speaker if args.kind == "tts" else Recogniser
    return kind(spec.name, model, lambda: spec.load(config))


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m voice.worker", description="Serve one speech engine on loopback."
    )
    parser.add_argument("--kind", choices=("stt", "tts"), required=True)
    parser.add_argument("--engine", required=True, help="a name of voice/stt or voice/tts")
    parser.add_argument("--model", type=Path, help="the model's file or folder, for engines that need one")
    parser.add_argument(
        "--beside", type=Path, action="append", default=[], metavar="FOLDER",
        help="where further models lie that the engine may load when they are asked for; repeatable",
    )  # fmt: skip
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--threads", type=int, default=max(1, cores() // 2))
    parser.add_argument(
        "--option", action="append", default=[], metavar="KEY=VALUE", help="of the engine; repeatable"
    )
    args = parser.parse_args(argv)
    if bad := [option for option in args.option if "=" not in option]:
        parser.error(f"--option takes KEY=VALUE, not {bad[0]}")
    return args


if __name__ == "__main__":
    sys.exit(main())
