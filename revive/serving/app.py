"""The HTTP face of a service: /act, /reset, /schema, /health and /metrics, with Starlette and prometheus-client."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from revive.errors import Problem, UserError, suggestion
from revive.serving.service import Service

LARGEST: Final = 16 << 20  # bytes of a request
_SECONDS: Final = (1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.5)


def app(service: Service, hosts: Iterable[str] = ("127.0.0.1", "localhost", "testserver")) -> Starlette:
    """The application of one service. hosts: names that a request may call this machine by; "*" for any."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(service))  # type: ignore[arg-type]
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

    async def strange(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        said = (
            f"there is no {request.url.path[:100]}"
            if status == 404
            else f"{request.method} is not for {request.url.path[:100]}"
        )
        remedy = (
            suggestion(request.url.path[:100], paths)
            if status == 404
            else "POST to /act and /reset, GET the others"
        )
        return _refused([Problem(said, remedy=remedy)], status)

    allowed = Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))
    return Starlette(routes=routes, middleware=[allowed], exception_handlers={404: strange, 405: strange})


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


class _Collector:
    """What a service has counted, as Prometheus reads it."""

    def __init__(self, service: Service) -> None:
        self.service = service

    def collect(self) -> Iterable[Metric]:
        service, counts = self.service, self.service.counts
        plain: list[tuple[str, str, float]] = [
            ("revive_requests_answered", "Requests of /act that were answered.", counts.answered),
            ("revive_steps", "Steps of plants that were answered.", counts.steps),
            ("revive_judged", "Steps whose inputs were held against the logs.", counts.judged),
            (
                "revive_unlike_logs",
                "Steps whose inputs were outside the logged range, or far from every logged row.",
                counts.unlike,
            ),
            (
                "revive_far_from_logs",
                "Steps whose inputs were farther from every logged row than 99 % of the logs.",
                counts.far,
            ),
        ]
        if service.is_shadow:
            plain.append(("revive_shadow_records", "Lines written into the shadow log.", counts.compared))
        for name, text, value in plain:
            yield CounterMetricFamily(name, text, value=value)
        yield _by(
            "revive_requests_refused",
            "Requests that were refused.",
            ["reason"],
            {(k,): v for k, v in counts.refused.items()},
        )
        sides = {
            (name, side): float(number)
            for side in ("below", "above")
            for name, number in getattr(counts, side).items()
        }
        yield _by(
            "revive_outside_range", "Steps with a column outside its logged range.", ["column", "side"], sides
        )
        if service.is_shadow:
            apart = {(name,): float(value) for name, value in counts.distance.items()}
            yield _by(
                "revive_shadow_difference", "Sum of |proposal - what the operator did|.", ["column"], apart
            )
            agreed = {(name,): float(value) for name, value in counts.agreed.items()}
            yield _by(
                "revive_shadow_agreed",
                "Steps with a proposal within 1 % of the range of what was done.",
                ["column"],
                agreed,
            )
        out = len(service.plants.out_of_range)
        yield GaugeMetricFamily(
            "revive_plants", "Plants that are remembered.", value=len(service.plants.known)
        )
        yield GaugeMetricFamily(
            "revive_plants_out_of_range", "Plants that the model does not know any more.", value=out
        )
        yield GaugeMetricFamily(
            "revive_in_range", "1 while the model knows where all plants are.", value=float(out == 0)
        )


def _by(name: str, text: str, labels: list[str], values: Mapping[Any, float]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family
