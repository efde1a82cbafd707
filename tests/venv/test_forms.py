"""Which transitions are learned as the next value itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from revive.data.readers import from_arrays
from revive.graph.description import parse_description
from revive.trust.grading import causal_cards
from revive.venv.forms import without_memory

GRAPH = parse_description(
    {
        "metadata": {
            "columns": [
                {name: {"dim": name, "type": "continuous"}} for name in ("stock", "sold", "wear", "order")
            ],
            "graph": {
                "order": ["stock"],
                "next_stock": ["stock", "order"],
                "next_sold": ["stock"],
                "next_wear": ["order"],
            },
        }
    },
    "generated",
    Path(),
)


def shop(days: int = 1500) -> dict[str, np.ndarray]:
    """A shop that orders up to a level: what it sells is drawn anew every day, its shelves wear slowly."""
    random = np.random.default_rng(0)
    names = ("stock", "sold", "wear", "order", "next_stock", "next_sold", "next_wear")
    rows = np.zeros((days, len(names)))
    stock, sold, wear, by_hand = 30.0, 7.0, 0.0, 0.0
    for day in range(days):
        by_hand = 2 * random.normal() if random.random() < 0.15 else by_hand
        order = 7 + 0.4 * (30 - stock) + by_hand
        now = (stock, sold, wear, order)
        sold = min(float(random.poisson(7)), stock)
        stock, wear = stock + order - sold, 0.99 * wear + 0.01 * order
        rows[day] = (*now, stock, sold, wear)
    return {"index": np.array([days]), **{name: rows[:, [number]] for number, name in enumerate(names)}}


def test_what_does_not_start_from_its_present_value_is_learned_itself() -> None:
    logs = from_arrays(shop(), GRAPH, "generated")
    assert without_memory(logs, GRAPH) == ("next_sold",)  # wear lasts, though the graph does not say so


def test_a_value_that_is_drawn_anew_is_no_hidden_cause() -> None:
    cards = causal_cards(from_arrays(shop(), GRAPH, "generated"), GRAPH)
    assert not any(card.alarm for card in cards.cards), [card.remarks for card in cards.cards]
