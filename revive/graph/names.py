"""The meaning of node names. Nothing outside this package knows that a transition starts with `next_`."""

from __future__ import annotations

from typing import Final

_NEXT: Final = "next_"
_HISTORY: Final = "ts_"
_CHANGE: Final = "delta_"
_MASK: Final = "_isnan_index_"

STEP: Final = "step_node_"
"""The leaf that counts the steps of a trajectory."""

TRAJECTORY: Final = "traj"
"""The leaf that holds the number of the trajectory, where a node asks for it with `traj_id`."""

DONE: Final = "done"
"""The node that ends trajectories."""

RESERVED: Final = frozenset({"index"})
"""Names that mean something else in a data file, so that no node can have them."""


def transition_name(state: str) -> str:
    """The node that holds the value of `state` at the next time step."""
    return _NEXT + state


def state_name(node: str) -> str | None:
    """The state that `node` becomes at the next time step, or None where `node` is named as no transition."""
    return _behind(_NEXT, node)


def history_name(source: str, length: int | None = None) -> str:
    """The node that holds the last values of `source`; with a `length`, the one made for that length."""
    return f"{_HISTORY if length is None else f'ts{length}_'}{source}"


def history_source(node: str) -> str | None:
    """The node whose last values `node` holds, or None where `node` is named as no history."""
    return _behind(_HISTORY, node)


def change_name(state: str) -> str:
    """The node that holds by how much `state` changes until the next time step."""
    return _CHANGE + state


def change_source(node: str) -> str | None:
    """The node whose change `node` is, or None where `node` is named as no change."""
    return _behind(_CHANGE, node)


def _behind(prefix: str, node: str) -> str | None:
    rest = node.removeprefix(prefix)
    return rest if rest and rest != node else None


def mask_name(node: str) -> str:
    """The array that says which values of `node` are missing: 1 where one is."""
    return node + _MASK


def name_fault(name: str) -> str | None:
    """Why `name` cannot name a node, as a clause, or None where it can."""
    if not name.strip() or name != name.strip():
        return f"'{name}' is empty or has blanks around it"
    if name in RESERVED:
        return f"'{name}' is reserved: it holds the ends of the trajectories in a data file"
    if name.endswith(_MASK):
        return (
            f"'{name}' is reserved: it holds the mask of the missing values of '{name.removesuffix(_MASK)}'"
        )
    if any(mark in name for mark in "./\\"):
        return f"'{name}' contains one of . / \\"
    return None
