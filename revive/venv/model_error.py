"""By how much a venv errs beyond what its own noise foretells: what rollouts that are sampled do not show."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from revive.data.windows import Rows
from revive.venv.validation import RolloutError, judged_transitions, replay, unseen_windows
from revive.venv.virtual_env import VirtualEnv

STEP = 10  # at which it is asked for
DRAWS = 4  # of the noise, of every window


def model_error(venv: VirtualEnv, rows: Rows, errors: RolloutError) -> dict[str, Tensor]:
    """Transition -> (d,): standard deviation of the error of rollouts at a step that is no noise, in model space.

    That of the error, mean of both halves, less that of the venv's own rollouts about their mean; both are taken for
    normal. No more than one spread of the data. Transitions with columns that are not scaled linearly are left out.
    """
    noise, found = own_noise(venv, rows), {}
    for name, table in errors.venv.items():
        codec = venv.codec[name]
        if any(c.type != "continuous" or c.scale not in (None, "robust", "minmax") for c in codec.columns):
            continue
        at = np.nanmean(table[:, min(STEP, table.shape[1]) - 1], 0) * np.sqrt(np.pi / 2.0)  # of a normal
        spread = np.nan_to_num(at)[list(codec.terms)] / codec.scale.cpu().numpy()
        error = torch.as_tensor(spread, dtype=torch.float32, device=venv.device)
        found[name] = (error.square() - noise[name].square()).clamp_min(0.0).sqrt().clamp_max(1.0)
    return found


@torch.no_grad()
def own_noise(venv: VirtualEnv, rows: Rows) -> dict[str, Tensor]:
    """Transition -> (d,): standard deviation of a member's sampled rollouts about its mean one at a step, model space.

    Actions and exogenous values are those of the logs, as they are when the venv is judged.
    """
    windows = unseen_windows(venv, rows, min(STEP, int(rows.lengths.max())))
    mean, sampled = replay(venv, windows), replay(venv, windows.repeated(DRAWS), noise_seed=0)
    inside, found = windows.valid[-1].float().unsqueeze(-1), {}  # (M, B, 1)
    for name in judged_transitions(venv, rows):
        draws = sampled[name][-1].unflatten(1, (DRAWS, -1))  # (M, DRAWS, B, d)
        square = (draws - mean[name][-1].unsqueeze(1)).square().mean(1) * inside
        found[name] = (square.sum((0, 1)) / inside.sum((0, 1)).clamp_min(1.0)).sqrt()
    return found
