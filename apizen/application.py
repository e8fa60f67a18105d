"""Puts the parts together: a registry and settings become an application that a server can serve."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tornado import web

from apizen.breaker import Breaker
from apizen.catalogue import Catalogue
from apizen.faces.pages import Pages
from apizen.faces.rpc import Gateway
from apizen.governance.governance import Governance
from apizen.governance.state import Home, Homes
from apizen.observability.errors import errors_page
from apizen.observability.observation import Observation
from apizen.observability.status import status_pages
from apizen.pipeline import Pipeline
from apizen.runner import Runner
from apizen.servers.descriptors import descriptor_limit, room_for_connections
from apizen.servers.supervisor import worker_index
from apizen.servers.tornado.connections import Connections
from apizen.servers.tornado.front import Front
from apizen.servers.tornado.multipart import parse_multipart
from apizen.servers.tornado.pages import UnknownPath, log_function
from apizen.service import Service
from apizen.settings import Settings
from apizen.version import Registry, default_registry

__all__ = ["Application", "make_app"]


@dataclass(frozen=True, slots=True)
class Application:
    """What start-up makes: the catalogue of methods, the gateway that answers from it, and its edge."""

    settings: Settings
    catalogue: Catalogue
    gateway: Gateway
    pipeline: Pipeline
    front: Front
    #: Takes what only one server may have: called before anything else by the process that serves, or by the parent of
    #: those that do, which have it too. Not for a call in a process of its own. Raises `StartError`.
    occupy: Callable[[], None]
    services: tuple[Service, ...] = ()
    connections: Connections = field(default_factory=Connections)
    #: None where one process serves: nobody would see its end.
    breaker: Breaker | None = None


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
    connections = Connections(room_for_connections(settings.max_connections, settings.threads, descriptor_limit()))
    observation = Observation(
        settings, gateway, runner, connections, governance.address_of, governance.times_full, worker_index
    )
    application = web.Application(
        list(handlers),
        default_handler_class=UnknownPath,
        default_handler_args={"refuse": gateway.refuse},
        log_function=log_function(observation.log),
    )
    status = status_pages(observation.metrics, lambda: pipeline.draining, governance.why_not_ready)
    pages = Pages([errors_page(settings.response_key), *status], gateway.refuse, observation.log)
    front = Front((gateway, pages), application, settings.max_body, observation.observers, governance.admit)
    running = (observation, governance, *services)
    return Application(settings, catalogue, gateway, pipeline, front, governance.occupy, running, connections, breaker)
