"""`parley add-server`: a model of this machine, or another server, that is there at every start."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from web.cli.command import SERVERS, Command, add_settings_flags, settings_of

if TYPE_CHECKING:
    from llm.servers import Server

__all__ = ["SPEC"]

_ENGINES = {name.replace("_", "-"): name for name in ("llama_cpp", "transformers", "vllm", "mlx", "mlx_vlm")}
_CONFLICT = "--load-in-4bit and --load-in-8bit exclude each other"


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", required=True, help="the name to list it under")
    parser.add_argument(
        "--model", required=True, help="the model name that clients ask for (proxy: its name on the other server)"
    )
    parser.add_argument("--mode", choices=("proxy", "self-hosted"), default="proxy")
    own = parser.add_argument_group("self-hosted")
    own.add_argument(
        "--model-path", default="", metavar="PATH", help="a file, a folder, or the name of an installed model"
    )
    own.add_argument("--backend", choices=tuple(_ENGINES), help="the engine (default: the best one installed)")
    own.add_argument("--gpu-layers", type=int, metavar="N", help="layers to put on the GPU; -1: all")
    own.add_argument("--load-in-4bit", action="store_true")
    own.add_argument("--load-in-8bit", action="store_true")
    own.add_argument("--tensor-parallel", type=int, metavar="N", help="number of GPUs to split the model over (vllm)")
    own.add_argument(
        "--gpu-memory-share", type=float, metavar="X", help="share of the GPU's memory to use, 0 to 1 (vllm)"
    )
    own.add_argument("--max-kv-size", type=int, metavar="N", help="size of the KV cache, in tokens (mlx)")
    own.add_argument("--ctx", type=int, metavar="N", help="context length, in tokens")
    there = parser.add_argument_group("proxy")
    there.add_argument("--url", default="", help="base URL of the other server")
    there.add_argument("--type", default="auto", help="ollama, vllm, openai, ... (default: detected)")
    there.add_argument(
        "--api-key-env", default="", metavar="NAME", help="environment variable that holds its API key"
    )
    add_settings_flags(parser)


def _server(arguments: argparse.Namespace) -> Server:
    import os
    from pathlib import Path

    from llm.servers import Server
    from models.errors import BadInput

    if arguments.mode == "proxy":
        if not arguments.url:
            raise BadInput(
                "a proxied server needs --url",
                param="url",
                hint="or use --mode self-hosted for a model on this machine",
            )
        key = os.environ.get(arguments.api_key_env, "") if arguments.api_key_env else ""
        if arguments.api_key_env and not key:
            raise BadInput(f"{arguments.api_key_env} is not set", param="api_key_env")
        return Server(arguments.name, arguments.model, "proxy", arguments.type, arguments.url, key)
    if arguments.load_in_4bit and arguments.load_in_8bit:
        raise BadInput(_CONFLICT)
    given: dict[str, Any] = {
        "engine": _ENGINES.get(arguments.backend),
        "n_gpu_layers": arguments.gpu_layers,
        "load_bits": 4 if arguments.load_in_4bit else 8 if arguments.load_in_8bit else None,
        "tensor_parallel": arguments.tensor_parallel,
        "gpu_memory_share": arguments.gpu_memory_share,
        "max_kv_size": arguments.max_kv_size,
        "ctx_size": arguments.ctx,
    }
    path = Path(arguments.model_path or arguments.model).expanduser()
    there = path.exists() and len(path.parts) > 1
    model = str(path.resolve()) if there else str(arguments.model_path or arguments.model)
    options = {name: value for name, value in given.items() if value is not None}
    return Server(arguments.name, arguments.model, "self-hosted", model_path=model, options=options)


def _run(arguments: argparse.Namespace) -> int:
    from pathlib import Path

    from llm.servers import ServersFile
    from llm.workers.launch import changed_settings
    from models.errors import BadInput, ModelNotFound
    from models.registry import discover
    from models.store import Store

    settings = settings_of(arguments)
    server = _server(arguments)
    if not server.name or "/" in server.name:
        raise BadInput("--name must not contain a slash", param="name")
    if server.mode == "proxy":
        types = discover("llm.backends")
        if server.type not in types:
            raise BadInput(f"there is no type {server.type!r}", param="type", hint=f"there are: {', '.join(types)}")
        if not server.url.startswith(("http://", "https://")):
            raise BadInput("--url must begin with http:// or https://", param="url")
    else:
        store = Store(settings.home, [Path(folder).expanduser() for folder in settings.models.directories])
        try:
            store.find(server.model_path)
        except ModelNotFound as error:
            hint = error.hint or f"`parley download-model {server.model_path}` first"
            raise BadInput(error.message, param="model_path", hint=hint) from None
        changed_settings(settings.llm.engine, server.options)
    ServersFile(settings.home).add(server)
    print(f"{server.name}: added; `parley up` has it from its next start on")
    return 0


SPEC = Command(
    "add-server",
    "add a local model or another server, permanently",
    "Remember a server in servers.json of PARLEY_HOME. A self-hosted model is loaded at every start; a proxied "
    "server becomes a backend. Clients ask for it by --name or --model.",
    _configure,
    _run,
    SERVERS,
)
