"""Which properties found in the logs are written into the graph, without being asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from revive.config.settings import Settings
from revive.data.detectors import exact_proposals
from revive.data.finding import Evidence
from revive.data.parallel import one_blas_thread
from revive.data.proposal import Proposal
from revive.data.trajectories import Trajectories
from revive.deploy.bundle import check_bundle
from revive.graph.decision_graph import DecisionGraph
from revive.graph.found import Amendment, amendment_from_json


@dataclass(frozen=True)
class Applied:
    """What is written into the graph, and the proposals that say why; a venv learned before brings none along."""

    changes: tuple[Amendment, ...] = ()
    proposals: tuple[Proposal, ...] = ()


def to_apply(
    settings: Settings, graph: DecisionGraph, logs: Trajectories, validation: Trajectories | None
) -> Applied:
    """The exact proposals that hold in all of the logs; those of the venv, where one is taken from elsewhere.

    Nothing where `dataset.proposals` says `ask`. Raises UserError where the venv's bundle cannot be read.
    """
    if settings.venv.mode == "none" and settings.venv_path is not None:
        found = check_bundle("venv", settings.venv_path)["graph"].get("found", ())
        return Applied(tuple(map(amendment_from_json, found)))
    if settings.dataset.proposals == "ask":
        return Applied()
    exact = _exact(graph, logs)
    if validation is not None:
        there = {proposal.change for proposal in _exact(graph, validation)}
        exact = [proposal for proposal in exact if proposal.change in there]
    changes = tuple(proposal.change for proposal in exact if proposal.change is not None)
    return Applied(changes, tuple(exact))


def _exact(graph: DecisionGraph, logs: Trajectories) -> list[Proposal]:
    evidence = Evidence(logs, graph)
    if not all(np.isfinite(bounds).all() for bounds in evidence.ranges.values()):
        return []  # the data report says what is wrong
    with one_blas_thread():
        return exact_proposals(evidence)
