"""What a service has counted, as Prometheus reads it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from revive.serving.service import Service


class Collector:
    """Asked for its metrics whenever `/metrics` is."""

    def __init__(self, service: Service) -> None:
        self.service, self.counts = service, service.counts

    def collect(self) -> Iterable[Metric]:
        yield from self._totals()
        yield from self._by_column()
        yield from self._plants()

    def _totals(self) -> Iterator[Metric]:
        counts = self.counts
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
        if self.service.is_shadow:
            plain.append(("revive_shadow_records", "Lines written into the shadow log.", counts.compared))
        for name, text, value in plain:
            yield CounterMetricFamily(name, text, value=value)
        refused = {(reason,): float(number) for reason, number in counts.refused.items()}
        yield _by("revive_requests_refused", "Requests that were refused.", ["reason"], refused)

    def _by_column(self) -> Iterator[Metric]:
        counts = self.counts
        sides = {
            (name, side): float(number)
            for side in ("below", "above")
            for name, number in getattr(counts, side).items()
        }
        text = "Steps with a column outside its logged range."
        yield _by("revive_outside_range", text, ["column", "side"], sides)
        if self.service.is_shadow:
            apart = {(name,): float(value) for name, value in counts.distance.items()}
            text = "Sum of |proposal - what the operator did|."
            yield _by("revive_shadow_difference", text, ["column"], apart)
            agreed = {(name,): float(value) for name, value in counts.agreed.items()}
            text = "Steps with a proposal within 1 % of the range of what was done."
            yield _by("revive_shadow_agreed", text, ["column"], agreed)

    def _plants(self) -> Iterator[Metric]:
        known, out = len(self.service.plants.known), len(self.service.plants.out_of_range)
        for name, text, value in (
            ("revive_plants", "Plants that are remembered.", known),
            ("revive_plants_out_of_range", "Plants that the model does not know any more.", out),
            ("revive_in_range", "1 while the model knows where all plants are.", out == 0),
        ):
            yield GaugeMetricFamily(name, text, value=float(value))


def _by(name: str, text: str, labels: list[str], values: Mapping[Any, float]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family
