"""Arrays that say which values of a node are missing: `X_isnan_index_`, 1 where a value of X is."""

from __future__ import annotations

import numpy as np

from revive.data.readers.container import Loaded
from revive.errors import Problems
from revive.graph.names import mask_name


def hide_missing(loaded: Loaded, owned: bool, source: str, problems: Problems) -> None:
    """Puts NaN into the arrays of `loaded` wherever their masks say that a value is missing.

    owned: whether the arrays may be written to. Adds masks that do not fit to `problems`.
    """
    for node, array in loaded.arrays.items():
        mask = loaded.labels.pop(mask_name(node), None)
        if mask is None:
            continue
        where = mask.reshape(-1, 1) if mask.ndim == 1 else mask
        if where.dtype.kind not in "biuf" or where.shape != array.shape or not np.isin(where, (0, 1)).all():
            what = f"the mask '{mask_name(node)}' of shape {mask.shape} does not hold 0 or 1 for each value of '{node}'"
            problems.add(
                what, file=source, place=node, remedy=f"wanted: {array.shape}, 1 where a value is missing"
            )
        elif where.any():
            loaded.arrays[node] = array if owned else array.copy()
            loaded.arrays[node][where.astype(bool)] = np.nan
