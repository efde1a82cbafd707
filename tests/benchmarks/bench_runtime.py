"""How long one action takes, and a step of a thousand plants: numpy, C99, ONNX and torch.

Run it by hand: `PYTHONPATH=. python tests/benchmarks/bench_runtime.py [BUNDLE ...]`. It prints a Markdown table.
Without bundles it takes policies with random weights, two hidden layers of 64: two inputs and one action (`plain`), a
choice of four (`category`), and the last three inputs, the last two actions and the step counter (`history`). Each
figure is the median over 2000 calls, microseconds on one core; the smallest of three rounds. A second table has the
seconds of processor time that importing the runtime takes, the best of five.

numpy: `act` of the numpy runtime at batch 1, arrays in and out. session: one step of a session of one plant, histories
kept. 1000 plants: one step of a session of a thousand. request: one plant through `Service.act`, with its checks,
without HTTP. C: `NAME_act` compiled by gcc -O2, called 20 000 times from C. onnx: onnxruntime at batch 1. torch: `act`
of `revive.load_policy`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from revive import runtime
from revive.runtime.c99 import export_c99
from revive.runtime.vectors import drawn_vector
from revive.serving import Service

CALLS, ROUNDS = 2000, 3


def microseconds(call: Callable[[], Any], calls: int = CALLS) -> float:
    """The median of so many calls, the best of a few rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        taken = []
        for _ in range(calls):
            began = time.perf_counter_ns()
            call()
            taken.append(time.perf_counter_ns() - began)
        best = min(best, float(np.median(taken)) / 1e3)
    return best


def of_c(policy: runtime.Policy, folder: Path) -> float | None:
    """Of one call within C."""
    if shutil.which("gcc") is None:
        return None
    export_c99(policy, folder, "bench")
    full = drawn_vector(policy)[0][0]
    values = ", ".join(repr(value) for value in full.tolist())
    main = (
        '#include <stdio.h>\n#include <time.h>\n#include "bench.h"\n'
        f"int main(void) {{ double x[{len(full)}] = {{{values}}}, u[BENCH_ACTION]; volatile double sum = 0;"
        "clock_t t = clock(); for (int i = 0; i < 20000; i++) { x[0] += 1e-9; bench_act(x, u); sum += u[0]; }"
        'printf("%g", (double)(clock() - t) / CLOCKS_PER_SEC / 20000 * 1e6); return 0; }'
    )
    (folder / "main.c").write_text(main)
    subprocess.run(["gcc", "-O2", "-o", "main", "main.c", "bench.c", "-lm"], cwd=folder, check=True)
    return min(float(subprocess.check_output([folder / "main"])) for _ in range(ROUNDS))


def of_onnx(policy: runtime.Policy, folder: Path) -> float | None:
    """Of one call of onnxruntime."""
    try:
        import onnxruntime

        from revive.runtime.onnx_file import export_onnx, feed
    except ImportError:
        return None
    export_onnx(policy, folder / "bench.onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(folder / "bench.onnx", options)
    needed = {entry.name for entry in session.get_inputs()}
    given = {
        name: value[:1] for name, value in feed(policy, drawn_vector(policy)[0]).items() if name in needed
    }
    return microseconds(lambda: session.run([policy.target], given))


def measured(bundle: Path, folder: Path) -> list[float | None]:
    """The columns of the table."""
    from revive.deploy import load_policy

    policy, heavy = runtime.load_policy(bundle), load_policy(bundle)
    full = drawn_vector(policy)[0][0]
    parts = np.split(full, np.cumsum([policy.graph[name].width for name in policy.inputs])[:-1])
    seen = dict(zip(policy.inputs, parts, strict=True))
    shown = {name: policy.middle(name) for name in policy.seen}
    one, many = policy.session(), policy.session(plants=1000)
    thousand = {name: np.tile(value, (1000, 1)) for name, value in shown.items()}
    service = Service.of_bundle(bundle, accept_failed_gate=True)
    request = service.schema()["example"]
    return [
        microseconds(lambda: policy.act(seen)),
        microseconds(lambda: one.act(shown)),
        microseconds(lambda: many.act(thousand), 100),
        microseconds(lambda: service.act(request)),
        of_c(policy, folder),
        of_onnx(policy, folder),
        microseconds(lambda: heavy.act(seen)),
    ]


def main() -> None:
    print("| policy | numpy | session | 1000 plants | request | C | onnx | torch |\n|" + "---|" * 8)
    with tempfile.TemporaryDirectory() as made:
        bundles = [Path(text) for text in sys.argv[1:]] or drawn(Path(made))
        for bundle in bundles:
            cells = ["-" if value is None else f"{value:.3g}" for value in measured(bundle, Path(made))]
            print(f"| {bundle.name if bundle.parent == Path(made) else bundle} | " + " | ".join(cells) + " |")

    code = "import time; t = time.process_time(); import revive.runtime; print(time.process_time() - t)"
    taken = [float(subprocess.check_output([sys.executable, "-c", code])) for _ in range(5)]
    print(f"\n| import revive.runtime, s |\n|---|\n| {min(taken):.2f} |")


def drawn(folder: Path) -> list[Path]:
    """Bundles with random weights."""
    from revive.deploy import save_policy
    from tests.runtime.plants import policy_of

    kinds: tuple[Any, ...] = ("plain", "category", "history")
    for kind in kinds:
        save_policy(policy_of(kind), folder / kind, {})
    return [folder / kind for kind in kinds]


if __name__ == "__main__":
    main()
