"""`parley load-model`: a model into a slot of the running server."""

from __future__ import annotations

import argparse
from typing import Any

from web.cli.command import MODELS, Command, add_settings_flags, settings_of

__all__ = ["SPEC"]

_POLL_S = 0.3


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model", help="the name of an installed model, or the path of a file or folder on the server's machine"
    )
    parser.add_argument("--slot", type=int, metavar="N", help="slot to load it into (default: any free one)")
    parser.add_argument(
        "--type", default="", metavar="TYPE", help="text, vision, omni, embedding, audio or tts (default: detected)"
    )
    parser.add_argument("--pin", action="store_true", help="never unload it to make room for another model")
    parser.add_argument("--ctx", type=int, metavar="N", help="context length, in tokens")
    parser.add_argument("--threads", type=int, metavar="N")
    parser.add_argument("--gpu-layers", type=int, metavar="N", help="layers to put on the GPU; -1: all")
    parser.add_argument("--kv-type", metavar="TYPE", help="type of the KV cache: f16, q8_0, q4_0, ...")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="any setting of [llm.engine]; may be repeated"
    )
    parser.add_argument("--no-wait", action="store_true", help="return at once instead of waiting until it is loaded")
    add_settings_flags(parser)


def _body(arguments: argparse.Namespace) -> dict[str, Any]:
    import json
    from pathlib import Path

    from models.errors import BadInput

    path = Path(arguments.model).expanduser()
    model = str(path.resolve()) if path.exists() and len(path.parts) > 1 else arguments.model
    body: dict[str, Any] = {"model_path": model, "model_type": arguments.type, "pinned": arguments.pin}
    given = {
        "slot": arguments.slot,
        "ctx_size": arguments.ctx,
        "threads": arguments.threads,
        "n_gpu_layers": arguments.gpu_layers,
        "kv_cache_type": arguments.kv_type,
    }
    body |= {name: value for name, value in given.items() if value is not None}
    for option in arguments.set:
        key, equals, text = option.partition("=")
        if not equals:
            raise BadInput(f"--set takes KEY=VALUE, not {option!r}")
        try:
            body[key] = json.loads(text)
        except ValueError:
            body[key] = text
    return body


def _run(arguments: argparse.Namespace) -> int:
    import anyio
    from rich.text import Text

    from models.errors import ParleyError
    from web.terminal.api_client import ApiClient, ServerRefused, find_server
    from web.terminal.console import PlainConsole
    from web.terminal.slot_table import slot_table

    target = find_server(settings_of(arguments))
    body = _body(arguments)
    console = PlainConsole()

    async def load() -> dict[str, Any]:
        async with ApiClient(target) as client:
            row = await client.post("/admin/api/slots/load", body)
            name, order = row["model"], row["order"]
            with console.status(Text(f"loading {name}")) as status:
                while not arguments.no_wait and row["status"] != "ready":
                    await anyio.sleep(_POLL_S)
                    answer = await client.get("/admin/api/slots")
                    rows = answer["slots"]
                    for lost in answer["lost_orders"]:
                        if lost["order"] == order:
                            raise ServerRefused(lost["message"], hint=lost["hint"])
                    there = [r for r in rows if r["model"] == name and r["slot"] == row.get("slot", r["slot"])]
                    there = there or [r for r in rows if r["model"] == name]
                    if not there and row["status"] not in ("waiting", "draining", "stopping"):
                        raise _failed(name, row)
                    row = there[0] if there else row
                    if row["status"] == "down":
                        raise _failed(name, row)
                    done = row.get("progress")
                    status.update(Text(f"loading {name}" + (f" {done:.0%}" if done is not None else "")))
        return row

    def _failed(name: str, row: dict[str, Any]) -> ParleyError:
        tail = [line for line in row.get("log_tail", []) if line.strip()]
        return ServerRefused(f"{name} could not be loaded", hint=" | ".join(tail[-4:]) or "see the server's log")

    row = anyio.run(load)
    if "port" in row:
        console.print(slot_table([row]))
    else:
        print(f"{row['model']} waits for a slot")
    return 0


SPEC = Command(
    "load-model",
    "load a model into the running server",
    "Load a language model, embedding model, recogniser or voice into a slot, and wait until it is ready.",
    _configure,
    _run,
    MODELS,
)
