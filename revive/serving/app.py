"""The HTTP face of a service: /act, /reset, /schema, /health and /metrics, with Starlette and prometheus-client."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Histogram, generate_latest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from revive.errors import Problem, UserError, suggestion
from revive.serving.metrics import Collector
from revive.serving.service import Service

LARGEST: Final = 16 << 20  # bytes of a request
_SECONDS: Final = (1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.5)


def app(service: Service, hosts: Iterable[str] = ("127.0.0.1", "localhost", "testserver")) -> Starlette:
    """The application of one service. hosts: names that a request may call this machine by; "*" for any."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collector(service))  # type: ignore[arg-type]
    seconds = Histogram(
        "revive_act_seconds", "Time to answer one request of /act.", registry=registry, buckets=_SECONDS
    )

    async def act(request: Request) -> Response:
        began = time.perf_counter()
        answer = await _answered(request, service, service.act)
        seconds.observe(time.perf_counter() - began)
        return answer

    async def reset(request: Request) -> Response:
        return await _answered(request, service, service.reset)

    async def schema(request: Request) -> Response:
        return JSONResponse(service.schema())

    async def health(request: Request) -> Response:
        return JSONResponse(service.health())

    async def metrics(request: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    routes = [
        Route("/act", act, methods=["POST"]),
        Route("/reset", reset, methods=["POST"]),
        Route("/schema", schema),
        Route("/health", health),
        Route("/metrics", metrics),
    ]
    paths = [route.path for route in routes]

    async def no_route(request: Request, error: Exception) -> Response:
        path = request.url.path[:100]
        return _refused([Problem(f"there is no {path}", remedy=suggestion(path, paths))], 404)

    async def no_method(request: Request, error: Exception) -> Response:
        what = f"{request.method} is not for {request.url.path[:100]}"
        return _refused([Problem(what, remedy="POST to /act and /reset, GET the others")], 405)

    allowed = Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))
    return Starlette(routes=routes, middleware=[allowed], exception_handlers={404: no_route, 405: no_method})


async def _answered(request: Request, service: Service, answer: Callable[[Any], dict[str, Any]]) -> Response:
    try:
        return JSONResponse(answer(await _body(request)))
    except _TooLarge:
        service.counts.refused["too large"] += 1
        return _refused(
            [
                Problem(
                    f"the request is larger than {LARGEST >> 20} MiB", remedy="name fewer plants at a time"
                )
            ],
            413,
        )
    except _NoJson as error:
        service.counts.refused["no json"] += 1
        return _refused(
            [Problem(f"the request is no JSON: {error}", remedy="see the example in /schema")], 400
        )
    except UserError as error:
        service.counts.refused["values"] += 1
        return _refused(error.problems, 422)


class _TooLarge(Exception):
    """A body that is not read to its end."""


class _NoJson(ValueError):
    """A body that cannot be read."""


async def _body(request: Request) -> Any:
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > LARGEST:
            raise _TooLarge
    try:
        return json.loads(bytes(content), object_pairs_hook=_unique, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise _NoJson(str(error)[:200]) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands in it twice")
    return found


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


def _refused(problems: Iterable[Problem], status: int) -> Response:
    told = [
        {key: value for key, value in (("what", p.what), ("place", p.place), ("remedy", p.remedy)) if value}
        | ({"file": str(p.file)} if p.file else {})
        for p in problems
    ]
    return JSONResponse({"problems": told}, status_code=status)
