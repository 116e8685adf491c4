"""What callers are told when a slot cannot take their model. Pure."""

from __future__ import annotations

from llm.errors import LoadReplaced, ModelTooLarge, Overloaded, WorkerDied
from llm.slots.events import Fail, Refuse
from llm.workers.launch import Plan
from models.errors import ParleyError

__all__ = ["failure", "mib", "not_started", "queue_full", "too_large"]


def mib(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{max(0, count) / 2**20:.0f} MiB"


def too_large(plan: Plan, missing_bytes: int, available_bytes: int, missing_gpu_bytes: int = 0) -> ModelTooLarge:
    """With the sum, so that one sees which part of it to lower."""
    name, fit = plan.model.name, plan.fit
    parts = ""
    if fit is not None:
        parts = f" (weights {mib(fit.weights)}, KV cache {mib(fit.kv + fit.state)}, compute {mib(fit.compute)}"
        parts += f", process {mib(fit.process)})"
    if missing_gpu_bytes:
        need = f"{name} needs {mib(plan.need.gpu_bytes)} on the GPUs and {mib(plan.need.bytes)} beside"
        short = f"{mib(missing_gpu_bytes)} on the GPUs would be missing"
        return ModelTooLarge(
            f"{need}{parts}; {short} with every other model unloaded that may be",
            hint="lower n_gpu_layers, so that a part of it stays on the CPU, or ctx_size or parallel; with several "
            "GPUs split_mode and tensor_split say how it is divided",
        )
    return ModelTooLarge(
        f"{name} needs {mib(plan.need.bytes)}{parts}; {mib(available_bytes)} are free, and {mib(missing_bytes)} "
        "would be missing with every other model unloaded that may be",
        hint="lower ctx_size or parallel, choose kv_cache_type q8_0 or a smaller model; `parley fit` shows the sum",
    )


def failure(
    effect: Fail, plan: Plan, known: ParleyError | None, available_bytes: int, tried_on: bool = False
) -> ParleyError:
    """`known` is why the model's worker could not be started; `tried_on`: it is being tried on. A new
    exception each time: one that is raised in many tasks would collect all their traces.
    """
    if effect.why == "does_not_fit":
        return too_large(plan, effect.missing_bytes, available_bytes, effect.missing_gpu_bytes)
    if effect.why == "no_slot":
        return Overloaded("every slot is pinned", hint="unpin or unload one", retry_after_s=60)
    if effect.why == "too_many_orders":
        return Overloaded("too many loads wait already", hint="GET /admin/api/slots shows what they wait for")
    if effect.why in ("replaced", "unloaded"):
        why = "another load was ordered for its slot" if effect.why == "replaced" else "it was unloaded"
        return LoadReplaced(f"{plan.model.name} was not loaded: {why}", hint="load it again if you still need it")
    return not_started(known or WorkerDied(f"{plan.model.name} could not be loaded"), tried_on)


def not_started(error: ParleyError, tried_on: bool = False) -> ParleyError:
    """A worker that ended again and again while it was loading. `tried_on`: its model is pinned."""
    then = (
        "several starts failed; its model is pinned, so it is tried on every few seconds"
        if tried_on
        else "several starts failed and it was given up; when its model is asked for again it is tried anew, "
        "after a pause of at most a minute"
    )
    if "SIGKILL" in error.message:
        then += ". SIGKILL mostly comes from a system short of memory: `parley fit` shows what the model takes"
    before = "" if error.hint in ("", type(error).default_hint) else f"{error.hint}; "
    return type(error)(error.message, hint=before + then, param=error.param)


def queue_full(effect: Refuse) -> Overloaded:
    hint = f"{effect.position - 1} wait for this model; try again in about {effect.retry_after_s} s"
    return Overloaded("the queue is full", hint=hint, retry_after_s=effect.retry_after_s)
