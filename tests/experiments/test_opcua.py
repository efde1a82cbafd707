"""Shadow mode over OPC UA, against a server in this process, where asyncua is installed."""

from __future__ import annotations

import asyncio
import csv
import importlib.util
import socket
import sys
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

pytest.importorskip("asyncua")

from asyncua import ua
from asyncua.sync import Server

from revive.deploy import save_policy
from revive.errors import UserError
from revive.serving import Service
from tests.runtime.plants import policy_of

EXAMPLE = Path(__file__).parents[2] / "experiments" / "opcua" / "shadow.py"
LEVEL, FLOW, VALVE, DEPTH = (f"ns=2;s=tank.{name}" for name in ("level", "flow", "valve", "depth"))
TAGS = {"inputs": {"level": LEVEL, "flow": FLOW}, "operator": {"valve": VALVE}}


@dataclass(frozen=True)
class Plant:
    """The address of a server, and its tags by node id."""

    url: str
    tags: dict[str, Any]


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("opcua_shadow", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # for its dataclass
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def service(tmp_path: Path) -> Service:
    save_policy(policy_of("history"), tmp_path / "policy", {})
    return Service.of_bundle(tmp_path / "policy", shadow=tmp_path / "shadow.csv")


def tags_of(example: ModuleType, service: Service, folder: Path, said: Any = TAGS) -> Any:
    (folder / "tags.yaml").write_text(yaml.safe_dump(said))
    return example.Tags.read(folder / "tags.yaml", service)


@pytest.fixture(scope="module")
def plant() -> Iterator[Plant]:
    """A server with three tags of a tank, and a level in millimetres."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = Server()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}")
    server.register_namespace("plant")
    tank = server.nodes.objects.add_object("ns=2;s=tank", "2:tank")
    tags = {
        tag: tank.add_variable(tag, f"2:{tag.rpartition('.')[2]}", value)
        for tag, value in ((LEVEL, 5.0), (FLOW, 4.0), (VALVE, 3.0), (DEPTH, 5000.0))
    }
    tags[DEPTH].add_property(0, "EngineeringUnits", ua.EUInformation(DisplayName=ua.LocalizedText("mm")))
    with server:
        yield Plant(f"opc.tcp://127.0.0.1:{port}", tags)


def finished(doing: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(doing, 60))


def test_tags_are_read_and_proposals_logged(
    plant: Plant, example: ModuleType, service: Service, tmp_path: Path
) -> None:
    tags = tags_of(example, service, tmp_path)
    finished(example.watch(plant.url, service, tags, every=0.01, stale=600.0, steps=4))
    rows = list(csv.DictReader((tmp_path / "shadow.csv").open()))
    assert [row["step"] for row in rows] == ["0", "1", "2", "3"]
    assert float(rows[0]["seen.level"]) == 5.0
    assert float(rows[0]["operator.valve"]) == 3.0
    assert rows[0]["proposed.valve"]
    left = {tag: node.read_value() for tag, node in plant.tags.items()}
    assert left == {LEVEL: 5.0, FLOW: 4.0, VALVE: 3.0, DEPTH: 5000.0}  # nothing was written


def test_a_bad_reading_is_left_out(
    plant: Plant, example: ModuleType, service: Service, tmp_path: Path
) -> None:
    tags = tags_of(example, service, tmp_path)

    async def act() -> None:
        async with example.Client(plant.url) as client:
            watcher = example.Watcher(client, service, tags, stale=600.0)
            await watcher.begin()
            assert (await watcher.step())["step"] == 0
            assert (await watcher.step())["step"] == 1
            bad = ua.DataValue(ua.Variant(5.0), ua.StatusCode(ua.StatusCodes.BadSensorFailure))
            plant.tags[LEVEL].write_value(bad)
            assert await watcher.step() is None
            plant.tags[LEVEL].write_value(ua.DataValue(ua.Variant(5.0)))
            assert (await watcher.step())["step"] == 0  # a history with a hole in it is begun anew

    finished(act())
    assert len((tmp_path / "shadow.csv").read_text().splitlines()) == 4


def test_units_of_the_plant(plant: Plant, example: ModuleType, service: Service, tmp_path: Path) -> None:
    tags = tags_of(example, service, tmp_path, {**TAGS, "inputs": {"level": DEPTH, "flow": FLOW}})
    object.__setattr__(service.contract.known["level"].column, "units", "m")
    with pytest.raises(UserError, match="'level' is stated in 'mm', the policy was learned in 'm'"):
        finished(example.watch(plant.url, service, tags, every=0.01, stale=600.0, steps=1))


def test_a_tag_that_the_server_does_not_have(
    plant: Plant, example: ModuleType, service: Service, tmp_path: Path
) -> None:
    tags = tags_of(example, service, tmp_path, {**TAGS, "operator": {"valve": "ns=2;s=tank.vlave"}})
    with pytest.raises(UserError, match=r"operator\.valve: the server has no tag 'ns=2;s=tank.vlave'"):
        finished(example.watch(plant.url, service, tags, every=0.01, stale=600.0, steps=1))


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ([], "something else than inputs and operator"),
        ({"inputs": {"level": LEVEL}, "operator": {"valve": VALVE}}, "'flow' is missing"),
        (
            {"inputs": {**TAGS["inputs"], "flwo": FLOW}, "operator": {"valve": VALVE}},
            "'flwo' is no column here",
        ),
    ],
)
def test_tags_that_are_wrong(
    example: ModuleType, service: Service, tmp_path: Path, said: Any, hint: str
) -> None:
    with pytest.raises(UserError, match=hint):
        tags_of(example, service, tmp_path, said)
