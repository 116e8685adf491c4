"""The slots, for admins: what is loaded, loading, unloading, pinning; and which models are on this machine."""

from __future__ import annotations

from typing import Annotated, Any

import anyio.to_thread
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from llm.slots.events import SlotView
from llm.slots.pool import SlotPool
from models.errors import BadInput, ModelUnreadable
from web.errors import Forbidden, SlotChanged
from web.guards.authenticate import principal_of
from web.http.body import parse, read_object
from web.services import Services, services_of

__all__ = ["ROUTES"]

_LOG_LINES = 8
_FAMILIES = ({"text", "vision", "omni"}, {"embedding", "vision-embedding"}, {"rerank"}, {"audio"}, {"tts"})
"""Model types that a file cannot be told apart by: which it is depends on what it is loaded with."""


class _Load(BaseModel):
    """What else is in the body are settings of `[llm.engine]`: ctx_size, threads, gpu_layers, kv_cache_type, ..."""

    model_config = ConfigDict(strict=True, extra="allow", protected_namespaces=())

    model_path: Annotated[str, Field(min_length=1, max_length=4096)]
    model_type: Annotated[str, Field(max_length=40)] = ""
    slot: int | None = None
    pinned: bool = False


class _OfSlot(BaseModel):
    """`model`: which one is meant. Whoever looked at the slots a moment ago may take another one for it."""

    model_config = ConfigDict(strict=True, extra="forbid", protected_namespaces=())

    model: Annotated[str, Field(max_length=4096)] = ""


class _Unload(_OfSlot):
    force: bool = False


class _Pin(_OfSlot):
    pinned: bool = True


async def _slots(request: Request) -> Response:
    """GET /admin/api/slots: {"slots": [...], "waiting", "lost_orders", "memory", "gpus"}; every slot, also the empty
    ones. `lost_orders`: loads that were accepted and came to nothing, the last 16.
    """
    services = _for_admin(request)
    pool = services.pool
    await pool.measure()
    memory = pool.memory
    return JSONResponse(
        {
            "slots": [_row(pool, view) for view in pool.views()],
            "waiting": pool.waiting,
            "lost_orders": [
                {"order": lost.order, "model": lost.model, "code": lost.error.code}
                | {"message": lost.error.message, "hint": lost.error.hint}
                for lost in pool.failures.lost_orders
            ],
            "memory": {"total_bytes": memory.host.total, "available_bytes": memory.host.available},
            "gpus": [{"name": gpu.name, "total_bytes": gpu.total, "free_bytes": gpu.free} for gpu in memory.gpus],
        }
    )


async def _load(request: Request) -> Response:
    """POST /admin/api/slots/load {"model_path", "model_type"?, "slot"?, "pinned"?, settings...}.

    `model_path` is a path or a name of the store; without `slot` the one with the model is taken, or a free one.
    Answers at once, with 202 and the row of that slot if it holds what was ordered, else {"slot", "model", "status":
    "waiting"}; `order` is how `lost_orders` would name it. 507 when it cannot fit, with the sum.
    """
    services = _for_admin(request)
    body = parse(_Load, _renamed(await read_object(request)))
    pool = services.pool
    try:
        plan = await pool.plan(body.model_path, body.model_extra or {})
    except ModelUnreadable as error:
        raise BadInput(error.message, param="model_path", hint=error.hint) from None
    if body.model_type and not any({body.model_type, plan.type} <= family for family in _FAMILIES):
        raise BadInput(
            f"{plan.model.name} is a model of type {plan.type}, not {body.model_type[:40]!r}", param="model_type"
        )
    order = pool.load(plan, slot=body.slot, pinned=body.pinned)
    number = pool.slot_of(plan, body.slot)
    if number is not None and (slot := pool.occupant(number)) is not None and slot.plan == plan:
        return JSONResponse({**_row(pool, _view(pool, number)), "order": order}, 202)
    waits = {"slot": number, "model": plan.model.name, "status": "waiting", "context": plan.context, "order": order}
    return JSONResponse(waits, 202)


async def _unload(request: Request) -> Response:
    """POST /admin/api/slots/{slot}/unload {"force"?, "model"?}: when its requests have ended; with force, at once.
    409 when the slot holds another model than that.
    """
    services = _for_admin(request)
    body = parse(_Unload, await read_object(request))
    number = request.path_params["slot"]
    _check_model(services.pool, number, body.model)
    services.pool.unload(number, at_once=body.force)
    return JSONResponse(_row(services.pool, _view(services.pool, number)))


async def _restart(request: Request) -> Response:
    """POST /admin/api/slots/{slot}/restart {"model"?}: the same model with the same options in a new worker, when
    its requests have ended. 202, as for a load.
    """
    services = _for_admin(request)
    body = parse(_OfSlot, await read_object(request))
    pool, number = services.pool, request.path_params["slot"]
    _check_model(pool, number, body.model)
    slot = pool.occupant(number)
    if slot is None:
        raise BadInput(f"slot {number} holds no model", param="slot")
    pool.load(slot.plan, slot=number, pinned=_view(pool, number).pinned, anew=True)
    return JSONResponse(_row(pool, _view(pool, number)), 202)


async def _pin(request: Request) -> Response:
    """POST /admin/api/slots/{slot}/pin {"pinned"?, "model"?}: a pinned model is never unloaded for another one."""
    services = _for_admin(request)
    body = parse(_Pin, await read_object(request))
    number = request.path_params["slot"]
    _check_model(services.pool, number, body.model)
    services.pool.pin(number, body.pinned)
    return JSONResponse(_row(services.pool, _view(services.pool, number)))


async def _local(request: Request) -> Response:
    """GET /admin/api/models/local: {"models": [...], "problems": [...]}: what lies in the folders for models."""
    services = _for_admin(request)
    installed = await anyio.to_thread.run_sync(services.store.installed)
    loaded = {slot.model.path: slot.number for slot in services.pool.slots}
    models = [
        {
            "name": model.name,
            "type": model.kind,
            "format": model.format,
            "path": str(model.path),
            "size_bytes": model.size_bytes,
            "bundled": model.bundled,
            "slot": loaded.get(model.path),
        }
        for model in installed
    ]
    problems = [{"path": str(problem.path), "reason": problem.reason} for problem in services.store.problems()]
    return JSONResponse({"models": models, "problems": problems})


def _for_admin(request: Request) -> Services:
    if principal_of(request).tier != "admin":
        raise Forbidden("only an admin may do this")
    return services_of(request)


def _renamed(body: dict[str, Any]) -> dict[str, Any]:
    if "model" in body and "model_path" not in body:
        body["model_path"] = body.pop("model")
    return body


def _check_model(pool: SlotPool, number: int, meant: str) -> None:
    """Raises SlotChanged."""
    held = next((view.model for view in pool.views() if view.number == number), "")
    if meant and held and held != meant:
        raise SlotChanged(f"slot {number} holds {held} by now, not {meant[:80]!r}")


def _view(pool: SlotPool, number: int) -> SlotView:
    return next(view for view in pool.views() if view.number == number)


def _row(pool: SlotPool, view: SlotView) -> dict[str, Any]:
    row: dict[str, Any] = {
        "slot": view.number,
        "port": pool.settings.slot_port_base + view.number - 1,
        "status": "draining" if view.draining else view.phase,
        "model": view.model or None,
    }
    slot = pool.occupant(view.number)
    if slot is None:
        if (failed := pool.failures.by_slot.get(view.number)) is not None:
            name, error = failed
            row["error"] = {"model": name, "code": error.code, "message": error.message, "hint": error.hint}
        return row
    fit = slot.plan.fit
    return {
        **row,
        "type": slot.plan.type,
        "pinned": view.pinned,
        "running": view.running,
        "waiting": view.waiting,
        "idle_s": round(view.idle_s, 1),
        "progress": slot.worker.progress,
        "context": slot.plan.context,
        "memory": {
            "expected_bytes": slot.plan.need.bytes,
            "used_bytes": slot.used.resident,
            "cache_ram_bytes": slot.cache_ram_bytes,
            "gpu_expected_bytes": slot.plan.need.gpu_bytes,
            "gpu_used_bytes": pool.memory.on_cards.known(view.number),
            "weights_bytes": fit.weights if fit else slot.model.size_bytes,
            "kv_bytes": fit.kv + fit.state if fit else None,
        },
        "pid": slot.worker.pid,
        "restarts": slot.worker.restarts,
        "log_tail": list(slot.worker.log_tail(_LOG_LINES)),
    }


ROUTES = [
    Route("/admin/api/slots", _slots, methods=["GET"]),
    Route("/admin/api/slots/load", _load, methods=["POST"]),
    Route("/admin/api/slots/{slot:int}/unload", _unload, methods=["POST"]),
    Route("/admin/api/slots/{slot:int}/restart", _restart, methods=["POST"]),
    Route("/admin/api/slots/{slot:int}/pin", _pin, methods=["POST"]),
    Route("/admin/api/models/local", _local, methods=["GET"]),
]
