"""Shadow mode over OPC UA: read tags, log what a policy would have done. Nothing is ever written to the plant.

    python experiments/opcua/shadow.py opc.tcp://HOST:4840 runs/NAME/policy tags.yaml shadow.csv --every 5

`tags.yaml` says which tag holds which column:

    inputs: {temperature: "ns=2;s=fridge.temperature"}
    operator: {power: "ns=2;s=fridge.power"}    # what the plant's own controller does

A reading counts where the server calls it good and it is no older than --stale seconds; a step with any other reading
is left out, and the next one begins a new history. Where tags have the property EngineeringUnits, they are held against
the units that the policy was learned in.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from asyncua import Client, ua
from asyncua.common.node import Node

from revive.errors import Problem, UserError, suggestion
from revive.serving import Service

PATIENCE = 60.0  # seconds between two attempts to reach a server that is away, at most


@dataclass(frozen=True)
class Tags:
    """Column -> node id, of what the policy sees and of what the operator does."""

    inputs: Mapping[str, str]
    operator: Mapping[str, str]

    @classmethod
    def read(cls, file: Path, service: Service) -> Tags:
        """Raises UserError where the file does not name every column that is needed, and no other."""
        try:
            said = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise UserError(Problem(f"cannot be read: {error}", file)) from None
        parts = {"inputs": service.contract.seen, "operator": service.contract.decided}
        if (
            not isinstance(said, dict)
            or set(said) != {*parts}
            or not all(isinstance(v, dict) for v in said.values())
        ):
            remedy = "write inputs: {COLUMN: NODE ID, ...} and operator: {COLUMN: NODE ID, ...}"
            raise UserError(Problem("holds something else than inputs and operator", file, remedy=remedy))
        problems = []
        for part, fields in parts.items():
            names = [field.name for field in fields]
            wrong = [*(n for n in names if n not in said[part]), *(n for n in said[part] if n not in names)]
            what = "'{}' is {}"
            problems += [
                Problem(
                    what.format(n, "missing" if n in names else "no column here"),
                    file,
                    part,
                    suggestion(str(n), names),
                )
                for n in wrong
            ]
        if problems:
            raise UserError(*problems)
        return cls(said["inputs"], said["operator"])


class Watcher:
    """Reads the tags of one server and hands them to a service in shadow mode."""

    def __init__(self, client: Client, service: Service, tags: Tags, stale: float) -> None:
        self.client, self.service, self.tags, self.stale = client, service, tags, stale
        self.columns = [("inputs", name) for name in tags.inputs] + [
            ("operator", name) for name in tags.operator
        ]
        self.nodes: list[Node] = []
        self.units: dict[str, str] = {}
        self.restart = True
        self.left_out = 0

    async def begin(self) -> None:
        """Find the tags and their units. Raises UserError for tags that the server does not have."""
        problems = []
        for part, name in self.columns:
            tag = getattr(self.tags, part)[name]
            try:
                node = self.client.get_node(tag)
                await node.read_node_class()
            except (ua.UaError, ValueError) as error:
                problems.append(Problem(f"the server has no tag '{tag}': {error}", place=f"{part}.{name}"))
                continue
            self.nodes.append(node)
            if unit := await _unit(node):
                self.units[name] = unit
        if problems:
            raise UserError(*problems)

    async def step(self) -> dict[str, Any] | None:
        """Read all tags once and log a proposal; None where a reading could not be used."""
        read = await self.client.read_attributes(self.nodes)
        request: dict[str, Any] = {"inputs": {}, "operator": {}, "restart": self.restart}
        for (part, name), value in zip(self.columns, read, strict=True):
            request[part][name] = self._number(value)
        if any(value is None for part in ("inputs", "operator") for value in request[part].values()):
            self.left_out += 1
            self.restart = True
            return None
        known = {field.name for field in self.service.contract.known.values() if field.column.units}
        request["units"] = {name: unit for name, unit in self.units.items() if name in known}
        answer = self.service.act(request)
        self.restart = False
        return answer

    def _number(self, value: ua.DataValue) -> float | None:
        """A reading that is good, fresh and a number; else None."""
        number = value.Value.Value if value.Value is not None else None
        told = value.SourceTimestamp or value.ServerTimestamp
        age = (
            0.0
            if told is None
            else (datetime.now(UTC).replace(tzinfo=None) - told.replace(tzinfo=None)).total_seconds()
        )
        good = value.StatusCode is None or value.StatusCode.is_good()
        if not good or age > self.stale or not isinstance(number, bool | int | float):
            return None
        return float(number)


async def _unit(node: Node) -> str | None:
    """The display name of a tag's EngineeringUnits, where it has any."""
    try:
        held = await (await node.get_child("0:EngineeringUnits")).read_value()
    except ua.UaError:
        return None
    return getattr(getattr(held, "DisplayName", None), "Text", None)


async def watch(url: str, service: Service, tags: Tags, every: float, stale: float, steps: int | None) -> int:
    """Log a proposal every so many seconds, for ever or so many steps; reconnects where the server was away.

    Returns how many steps were logged. Raises UserError for tags and units that do not fit.
    """
    done, pause = 0, every
    while steps is None or done < steps:
        try:
            async with Client(url) as client:
                watcher, pause = Watcher(client, service, tags, stale), every
                await watcher.begin()
                while steps is None or done < steps:
                    answer = await watcher.step()
                    done += 1
                    sys.stdout.write(f"{_said(answer, watcher)}\n")
                    await asyncio.sleep(every)
        except (OSError, TimeoutError, ua.UaError) as error:
            pause = min(2 * pause, PATIENCE)
            sys.stderr.write(f"{url} is away ({type(error).__name__}); asked again in {pause:g} s\n")
            await asyncio.sleep(pause)
    return done


def _said(answer: dict[str, Any] | None, watcher: Watcher) -> str:
    if answer is None:
        return f"left out: a reading is bad, stale or no number ({watcher.left_out} so far)"
    proposed = ", ".join(f"{name} {value:.4g}" for name, value in answer["proposal"].items())
    return f"would do {proposed}" + (
        "" if answer.get("in_range", True) else "; the model is out of its range"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until it is interrupted; 2 for whatever can be mended."""
    parser = argparse.ArgumentParser(description="Shadow mode over OPC UA; nothing is written to the plant.")
    for name in ("url", "bundle", "tags", "log"):
        parser.add_argument(name)
    parser.add_argument("--every", type=float, default=1.0, help="seconds between two steps")
    parser.add_argument("--stale", type=float, default=10.0, help="seconds after which a reading is too old")
    parser.add_argument("--steps", type=int, help="stop after so many")
    given = parser.parse_args(arguments)
    try:
        service = Service.of_bundle(given.bundle, shadow=Path(given.log))
        tags = Tags.read(Path(given.tags), service)
        asyncio.run(watch(given.url, service, tags, given.every, given.stale, given.steps))
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
