"""What is known of users' devices from their earlier sessions, until the server restarts."""

from __future__ import annotations

from collections import OrderedDict

from voice.ears.echo_prior import EchoPrior

__all__ = ["Devices"]

MOST = 1000


class Devices:
    """Bounded: the device that was not seen for longest is forgotten. A device without a name is not remembered."""

    def __init__(self) -> None:
        self._priors: OrderedDict[tuple[str, str], EchoPrior] = OrderedDict()

    def echo_of(self, owner: str, device: str) -> EchoPrior | None:
        return self._priors.get((owner, device))

    def learn(self, owner: str, device: str, found: EchoPrior | None) -> None:
        """`found` None: what was known has not been confirmed."""
        if not device:
            return
        self._priors.pop((owner, device), None)
        if found is not None:
            self._priors[owner, device] = found
        while len(self._priors) > MOST:
            self._priors.popitem(last=False)
