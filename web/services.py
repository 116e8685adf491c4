"""What endpoints work with: one object, made at the start and handed to the application."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp
from starlette.requests import HTTPConnection

from models.clock import Clock
from models.metrics import Metrics
from web.client_secrets import ClientSecrets
from web.keys import KeyRing
from web.response_store import ResponseStore
from web.settings import Settings
from web.signin import SignInCodes

if TYPE_CHECKING:
    from llm.generate import Router
    from llm.measuring.statistics import Measuring
    from llm.routing.routing_choice import RoutingChoice
    from llm.slots.pool import SlotPool
    from models.download_jobs import DownloadJobs
    from models.store import Store
    from voice.ears.ears import Ears
    from voice.parts import Parts
    from voice.session.hub import Hub
    from voice.slot_speech import SpeechSlots

__all__ = ["Services", "services_of"]


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that endpoints may use."""

    settings: Settings
    clock: Clock
    http: aiohttp.ClientSession
    store: Store
    keys: KeyRing
    codes: SignInCodes
    client_secrets: ClientSecrets
    responses: ResponseStore
    pool: SlotPool
    router: Router
    routing: RoutingChoice
    ears: Ears
    parts: Parts
    speech: SpeechSlots
    hub: Hub
    metrics: Metrics
    measuring: Measuring
    downloads: DownloadJobs


def services_of(connection: HTTPConnection) -> Services:
    """The services behind a request."""
    services = connection.app.state.services
    assert isinstance(services, Services)
    return services
