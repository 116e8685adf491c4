"""Which part runs each stage of a voice turn, whether it is ready, and what would be better."""

from __future__ import annotations

from dataclasses import dataclass

from web.services import Services

__all__ = ["Stage", "better", "stages_of"]


@dataclass(frozen=True, slots=True)
class Stage:
    """`why`: why this part; where it is not ready, why not. `improve`: the command for a better one."""

    name: str
    part: str
    ready: bool
    why: str = ""
    improve: str = ""


def stages_of(services: Services) -> tuple[Stage, ...]:
    """In the order in which a turn passes them. A turn works when all are ready."""
    vad, wake = services.settings.voice.vad.engine, services.settings.voice.wake.engine
    words = ", ".join(services.ears.known_words()) or "none"
    speech = {
        row.stage: Stage(
            row.stage.upper(),
            row.part,
            row.ready(),
            row.why if row.ready() else row.problem(),
            row.improve,
        )
        for row in services.parts.table
    }
    return (
        Stage("VAD", vad, True, "comes with Parley"),
        Stage("wake word", wake, True, f"hears {words}; other words are found in the transcript"),
        speech["stt"],
        _language_model(services),
        speech["tts"],
    )


def better(kind: str) -> str:
    """The command that installs a better part of that kind: stt, llm, tts."""
    return f"parley download-model --for {kind}"


def _language_model(services: Services) -> Stage:
    settings, pool = services.settings, services.pool
    configured = settings.voice.llm.model or services.router.default_model
    default = pool.default
    ready = services.router.ready(settings.voice.llm.model)
    why, improve = "configured", ""
    if configured:
        name = configured
        if default is not None and configured == default.model.name:
            ready = ready and pool.ready()
    elif default is not None:
        name = default.model.name
        ready = ready and pool.ready()
        why = "comes with Parley" if default.model.bundled else "best that is installed"
        improve = better("llm") if default.model.bundled else ""
        if pool.unfit:
            why = f"{', '.join(pool.unfit)} cannot be loaded; the log says why"
    else:
        if pool.problem is not None:  # then only others can answer
            ready = any(model.backend != pool.local.name for model in services.router.models())
        name = ", ".join(backend.name for backend in settings.llm.backends) or "none"
    return Stage("LLM", name, ready, why if ready else _problem(services, configured), improve)


def _problem(services: Services, configured: str) -> str:
    """The last word of whoever should have answered."""
    pool = services.pool
    owner, _, model = configured.partition("/")
    for view in services.router.views():
        if view.name == owner and view.config.type != "slot":
            return f"{owner} has no model {model!r}" if view.problem is None else view.problem.message
    if pool.problem is not None:
        return str(pool.problem)
    for slot in pool.slots:
        if slot.worker.state.value != "ready":
            tail = slot.worker.last_words()
            return tail[0][:160] if tail else f"its worker is {slot.worker.state.value}"
    return "no backend that has it answers"
