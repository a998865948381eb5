"""Scoring test trials: one dense pass over each trial against braindecode's overlapping crops.

    python benchmarks/evaluation.py [--network ShallowFBCSPNet] [--repeats 5] [--json]

Both score the same trials with the same weights in one process on one thread, in turn; what they return is
compared first. The floor is the time of the dense pass's counted matrix products at the machine's measured
rate on one thread.
"""

import argparse
import json
import statistics
import time

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode
from training import SETUPS, Reference, build, data

from eeg_sgdr.networks.fast import choose


def matmul_rate() -> float:
    """Operations a second of a large float32 matrix product."""
    a = torch.randn(1500, 1500)
    a @ a
    started = time.perf_counter()
    for _ in range(5):
        a @ a
    return 5 * 2 * 1500**3 / (time.perf_counter() - started)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--network", choices=SETUPS, default="ShallowFBCSPNet")
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    torch.set_num_threads(1)
    setup = SETUPS[given.network]
    reference = Reference(setup)
    network = build(setup)
    network.module.load_state_dict(reference.classifier.module_.state_dict())
    form = choose(network)
    prepared = form.prepare(data(setup)[0])
    n_crops = len(network.starts)

    def theirs() -> np.ndarray:
        reference.classifier.module_.eval()
        output = reference.classifier.forward(reference.crops)
        output = output.mean(2) if output.ndim == 3 else output
        return output.view(-1, n_crops, setup.n_classes).mean(1).numpy()

    def ours() -> np.ndarray:
        return form.trial_logits(prepared).numpy()

    np.testing.assert_allclose(ours(), theirs(), rtol=1e-3, atol=1e-4)
    with FlopCounterMode(display=False) as counter:
        ours()
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    for _ in range(given.repeats):
        for name, function in (("ours", ours), ("theirs", theirs)):
            started = time.perf_counter()
            function()
            times[name].append(time.perf_counter() - started)
    ratios = [b / a for a, b in zip(times["ours"], times["theirs"], strict=True)]
    row = {
        "network": given.network,
        "ratio": statistics.median(ratios),
        "ratio_low": min(ratios),
        "ratio_high": max(ratios),
        "ours_s": statistics.median(times["ours"]),
        "reference_s": statistics.median(times["theirs"]),
        "floor_s": counter.get_total_flops() / matmul_rate(),
    }
    print(f"{setup.n_trials} trials: ours {row['ours_s']:.2f} s, braindecode {row['reference_s']:.2f} s, "
          f"{row['ratio']:.1f} times ({row['ratio_low']:.1f} to {row['ratio_high']:.1f}); "
          f"floor {row['floor_s']:.2f} s")  # fmt: skip
    if given.json:
        print(json.dumps(row))


if __name__ == "__main__":
    main()
