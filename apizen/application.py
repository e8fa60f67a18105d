"""Puts the parts together: a registry and settings become an application that any server can serve."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from apizen.breaker import Breaker
from apizen.catalogue import Catalogue
from apizen.faces.face import Face
from apizen.faces.pages import Pages
from apizen.faces.rpc import Gateway
from apizen.governance.governance import Governance
from apizen.governance.state import Home, Homes
from apizen.multipart import parse_multipart
from apizen.observability.errors import errors_page
from apizen.observability.observation import Observation
from apizen.observability.status import status_pages
from apizen.pipeline import Pipeline
from apizen.request import Request
from apizen.runner import Runner
from apizen.service import Service
from apizen.settings import Settings
from apizen.version import Registry, default_registry

__all__ = ["Application", "make_app"]


@dataclass(frozen=True, slots=True)
class Application:
    """What start-up makes, and a server serves."""

    settings: Settings
    catalogue: Catalogue
    pipeline: Pipeline
    #: Each has its own paths. The first one is the gateway, which also answers what nobody can read.
    faces: tuple[Face, ...]
    observation: Observation
    #: What runs beside the calls, in the order in which it is started.
    services: tuple[Service, ...]
    #: Raises an `ApiException` for a request of somebody who is banned.
    check_ban: Callable[[Request], None]
    #: Takes what only one server may have: called before anything else by the process that serves, or by the parent of
    #: those that do, which have it too. Not for a call in a process of its own. Raises `StartError`.
    occupy: Callable[[], None]
    #: Tornado's rules for further paths.
    handlers: tuple[Any, ...] = ()
    #: None where one process serves: nobody would see its end.
    breaker: Breaker | None = None

    @property
    def gateway(self) -> Face:
        """The face with every method at one URL."""
        return self.faces[0]


def make_app(
    settings: Settings,
    registry: Registry = default_registry,
    handlers: Sequence[Any] = (),
    services: tuple[Service, ...] = (),
) -> Application:
    """Compiles the registry. What is wrong with an entry stands in ``catalogue.problems``.

    ``handlers`` are Tornado's rules for further paths of the server, ``services`` what lives behind them.
    Raises `SettingsError`.
    """
    governance = Governance(settings)
    catalogue = registry.catalogue(settings, governance.guards)
    seen_dying = Homes.of(settings).dead_methods is Home.MACHINE
    breaker = Breaker(catalogue, settings.workers) if seen_dying else None
    runner = Runner(settings.threads, settings.queue, settings.overrun, breaker)
    pipeline = Pipeline(runner, doors=governance.doors, breaker=breaker, debug=settings.debug)
    gateway = Gateway(
        catalogue,
        pipeline,
        multipart=parse_multipart,
        response_key=settings.response_key,
        cors_origin=settings.cors_origin,
        max_answer=settings.max_answer,
        address_of=governance.address_of,
        max_body=settings.max_body,
    )
    observation = Observation(settings, catalogue, pipeline, governance.address_of, governance.times_full)
    status = status_pages(observation.metrics, lambda: pipeline.draining, governance.why_not_ready)
    pages = Pages([errors_page(settings.response_key), *status], gateway.refuse, observation.log)
    return Application(
        settings=settings,
        catalogue=catalogue,
        pipeline=pipeline,
        faces=(gateway, pages),
        observation=observation,
        services=(observation, governance, *services),
        check_ban=governance.check_ban,
        occupy=governance.occupy,
        handlers=tuple(handlers),
        breaker=breaker,
    )
