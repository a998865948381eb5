"""Training throughput of the whole machine: ours against braindecode, trained in the ways that people would.

    python benchmarks/training.py [--network EEGNet] [--shape 64x720] [--precision mixed] [--rivals ...]
        [--repeats 5] [--json]

Ours trains as the program does: one process a core, each with one thread. The rivals are braindecode's
EEGClassifier and a plain loop of torch, as it is, under `torch.compile`, with bfloat16 (`torch.autocast`),
and with both; each both ways, one process with all threads and one process a core with one thread each. All
take turns, repeat by repeat, on the same random windows (the rivals, that are slow, on two batches of them);
a rival that cannot run here is left out. Times are seconds of the machine for one update, the least of the
repeats, so that other programs on the machine disturb them little; ranges are of the ratios of repeats.

Beside it stand two times that the form in torch could not go below, from counts of one update: of its matrix
products at the rate that a product of large matrices reaches here (which is that of fused multiply-adds),
and of these and of writing and reading each array of more than 2 MiB once at the bandwidth of copying, all
cores at once. A compiled kernel may: its transforms are faster than matrix products, and its arrays stay in
the cache.
"""

import argparse
import itertools
import json
import logging
import multiprocessing
import time
import warnings
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from eeg_sgdr.networks.build import Network, build_network
from eeg_sgdr.networks.forward import mean_logits
from eeg_sgdr.schedules import Step
from eeg_sgdr.settings import Training
from eeg_sgdr.training.engines import Data, Member, OneFit
from eeg_sgdr.training.optimizers import make_optimizer
from eeg_sgdr.training.seeds import crop_order, dropout_seed


@dataclass(frozen=True)
class Setup:
    """Sizes of one benchmark."""

    name: str
    n_channels: int
    n_samples: int
    crop_samples: int | None
    sfreq: float
    n_classes: int
    n_trials: int
    batch_size: int
    precision: str = "float32"  # of ours


#: Sensors x samples of windows (dense: of crops), as in common data sets, and the size of batches.
SHAPES = {
    "dense": (44, 1125, 1000, 250, 4, 160, 60),
    "64x720": (64, 720, None, 160, 2, 320, 60),
    "64x720-30": (64, 720, None, 160, 2, 320, 30),
    "22x1125": (22, 1125, None, 250, 4, 288, 64),
    "3x1000": (3, 1000, None, 250, 2, 320, 64),
    "128x1000": (128, 1000, None, 250, 4, 160, 32),
}
LARGE = 1 << 21


class Ours:
    """A fit's updates, as `eeg_sgdr.training.loop` makes them."""

    def __init__(self, setup: Setup, threads: int = 1) -> None:
        windows, labels = (tensor.numpy() for tensor in data(setup))
        numerics = {"threads": threads, "precision": setup.precision}
        training = Training(batch_size=setup.batch_size, momentum_form="paper", numerics=numerics)
        member = Member(Data(windows, labels, windows, setup.n_classes, setup.sfreq), Step(0.001, 1), 0)
        self.engine = OneFit(member, build(setup), training)
        optimizer = self.engine.optimizer
        self.optimizer = make_optimizer(optimizer, self.engine.parameters, [member.schedule], n_updates=1)
        self.epoch = 0

    def run(self, n_epochs: int) -> int:
        """Train; the number of updates."""
        size = self.engine.training.batch_size
        n_updates = self.engine.n_crops // size
        for _ in range(n_epochs):
            order = crop_order(0, self.epoch, self.engine.n_crops)
            for i in range(n_updates):
                self.update(order[i * size : (i + 1) * size], i)
            self.epoch += 1
        return n_epochs * n_updates

    def update(self, crops: np.ndarray, i: int) -> None:
        self.engine.losses(crops[None], [dropout_seed(0, i)]).sum().backward()
        self.optimizer.step(0.001)


class Reference:
    """braindecode's EEGClassifier on crops that are already cut, which is its fastest way."""

    def __init__(self, setup: Setup) -> None:
        network = build(setup)
        from braindecode import EEGClassifier
        from braindecode.training import CroppedLoss

        self.crops, self.labels = (values.numpy() for values in two_batches(setup, network))
        entropy = torch.nn.functional.cross_entropy
        loss = {"criterion": torch.nn.CrossEntropyLoss}
        if network.dense:
            loss = {"criterion": CroppedLoss, "criterion__loss_function": entropy, "cropped": True}
        self.classifier = EEGClassifier(
            network.module,
            optimizer=torch.optim.SGD,
            optimizer__lr=0.001,
            optimizer__momentum=0.9,
            optimizer__weight_decay=5e-4,
            batch_size=setup.batch_size,
            train_split=None,
            verbose=0,
            classes=list(range(setup.n_classes)),
            **loss,
        )
        self.classifier.initialize()

    def run(self, n_epochs: int) -> int:
        """Train; the number of updates."""
        self.classifier.fit_loop(self.crops, self.labels, epochs=n_epochs)
        return n_epochs * 2


class Traffic(TorchDispatchMode):
    """Collects the arrays of more than `LARGE` bytes that operations make."""

    def __init__(self) -> None:
        super().__init__()
        self.storages: dict[int, torch.UntypedStorage] = {}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for value in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(value, Tensor) and value.untyped_storage().nbytes() > LARGE:
                storage = value.untyped_storage()  # kept, so that its address is not used again
                self.storages[storage.data_ptr()] = storage
        return result


class Loop:
    """A plain loop of torch over braindecode's network."""

    def __init__(self, setup: Setup, compiled: bool, bfloat16: bool) -> None:
        network = build(setup)
        self.crops, self.labels = two_batches(setup, network)
        self.module = torch.compile(network.module) if compiled else network.module
        self.bfloat16, self.batch_size = bfloat16, setup.batch_size
        parameters = network.module.parameters()
        self.optimizer = torch.optim.SGD(parameters, lr=0.001, momentum=0.9, weight_decay=5e-4)

    def run(self, n_epochs: int) -> int:
        """Train; the number of updates."""
        for _ in range(n_epochs):
            for batch in torch.randperm(len(self.labels)).split(self.batch_size):
                self.optimizer.zero_grad()
                with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
                    logits = mean_logits(self.module, self.crops[batch])
                torch.nn.functional.cross_entropy(logits.float(), self.labels[batch]).backward()
                self.optimizer.step()
        return n_epochs * 2


RIVALS = {
    "EEGClassifier": Reference,
    "loop": partial(Loop, compiled=False, bfloat16=False),
    "compiled": partial(Loop, compiled=True, bfloat16=False),
    "bfloat16": partial(Loop, compiled=False, bfloat16=True),
    "compiled, bfloat16": partial(Loop, compiled=True, bfloat16=True),
}


def build(setup: Setup) -> Network:
    return build_network(
        setup.name,
        {},
        n_channels=setup.n_channels,
        n_samples=setup.n_samples,
        n_classes=setup.n_classes,
        sfreq=setup.sfreq,
        crop_samples=setup.crop_samples,
        seed=0,
    )


def data(setup: Setup) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    windows = torch.randn(setup.n_trials, setup.n_channels, setup.n_samples, generator=generator)
    return windows, torch.arange(setup.n_trials) % setup.n_classes


def two_batches(setup: Setup, network: Network) -> tuple[Tensor, Tensor]:
    """Crops that are already cut, and their labels."""
    windows, labels = data(setup)
    crops = [windows[:, :, start : start + network.crop_samples] for start in network.starts]
    n = 2 * setup.batch_size
    return torch.stack(crops, 1).flatten(0, 1)[:n], labels.repeat_interleave(len(network.starts))[:n]


def product_rate(seconds: float = 0.5) -> float:
    """Operations per second of a product of two float32 matrices of 1024 x 1024."""
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    out = a @ b
    return repeat(lambda: torch.mm(a, b, out=out), seconds) * 2 * 1024**3


def bandwidth(seconds: float = 0.5) -> float:
    """Bytes per second, read and written, of copying 128 MiB."""
    source = torch.zeros(1 << 25)
    target = torch.zeros_like(source)
    return repeat(lambda: target.copy_(source), seconds) * 2 * source.nbytes


def repeat(function, seconds: float) -> float:
    """Calls per second."""
    function()
    n, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < seconds:
        function()
        n += 1
    return n / elapsed


def work(connection, setup: Setup, n_threads: int) -> None:
    """Process commands from a connection until None is received."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(n_threads)
    makers = {"ours": Ours, **RIVALS}
    measured = {"product_rate": product_rate, "bandwidth": bandwidth}
    trainers = {}
    while (command := connection.recv()) is not None:
        name, argument = command
        if name in measured:
            connection.send(measured[name]())
            continue
        try:
            if name not in trainers:
                trainers[name] = makers[name](setup)
            started = time.process_time()
            n_updates = trainers[name].run(argument)
            connection.send((n_updates, time.process_time() - started))
        except Exception as error:  # whatever a compiler, or autocast, raises
            connection.send(error)


def run_all(connections, name: str, argument: int = 0) -> tuple[float, list]:
    """Seconds of one command in several processes at once, and their answers."""
    started = time.perf_counter()
    for connection in connections:
        connection.send((name, argument))
    answers = [connection.recv() for connection in connections]
    return time.perf_counter() - started, answers


def count(setup: Setup) -> tuple[int, int]:
    """Operations of the matrix products of one update of the torch form, and bytes of its large arrays."""
    # Not the compiled kernel, which torch cannot count.
    ours = Ours(replace(setup, precision="float32"), threads=2)
    crops = np.arange(setup.batch_size)
    with FlopCounterMode(display=False) as counter:
        ours.update(crops, 0)
    with Traffic() as traffic:
        ours.update(crops, 0)
    return counter.get_total_flops(), sum(storage.nbytes() for storage in traffic.storages.values())


def measure(setup: Setup, shape: str, names: list[str], n_repeats: int, n_cores: int) -> dict:
    context = multiprocessing.get_context("spawn")
    processes, connections = [], []
    for n_threads in [1] * n_cores + [n_cores]:
        ours, theirs = context.Pipe()
        process = context.Process(target=work, args=(theirs, setup, n_threads), daemon=True)
        process.start()
        theirs.close()  # so that a process that fails is noticed
        processes.append(process)
        connections.append(ours)
    groups = {"a process a core": connections[:-1], "all threads": connections[-1:]}

    n_epochs = {}
    for way in [("ours", "a process a core"), *itertools.product(names, groups)]:
        name, group = way
        _, answers = run_all(groups[group], name, 1)
        if failed := [answer for answer in answers if isinstance(answer, Exception)]:
            if name == "ours":
                raise failed[0]
            print(f"{name}, {group}: does not run here: {str(failed[0])[:200]}")
            continue
        seconds, _ = run_all(groups[group], name, 1)
        n_epochs[way] = max(1, round(1 / seconds))
    times: dict[tuple[str, str], list[float]] = {way: [] for way in n_epochs}
    cpu: dict[tuple[str, str], list[float]] = {way: [] for way in n_epochs}
    for _ in range(n_repeats):
        for name, group in n_epochs:
            seconds, answers = run_all(groups[group], name, n_epochs[name, group])
            n_updates, cpu_seconds = (sum(numbers) for numbers in zip(*answers, strict=True))
            times[name, group].append(seconds / n_updates)
            cpu[name, group].append(cpu_seconds / n_updates)
    rate = sum(run_all(groups["a process a core"], "product_rate")[1])
    copied = sum(run_all(groups["a process a core"], "bandwidth")[1])
    for connection, process in zip(connections, processes, strict=True):
        connection.send(None)
        process.join()

    operations, n_bytes = count(setup)
    ours = times.pop(("ours", "a process a core"))
    ways = {name: min((way for way in times if way[0] == name), key=lambda way: min(times[way]))
            for name in {name for name, _ in times}}  # fmt: skip
    rivals = {
        name: {
            "way": ways[name][1],
            "seconds": min(times[ways[name]]),
            "cpu_s": min(cpu[ways[name]]),
            "ratio": min(times[ways[name]]) / min(ours),
            "ratios": [b / a for a, b in zip(ours, times[ways[name]], strict=True)],
        }
        for name in names
        if name in ways
    }
    return {
        "network": setup.name,
        "shape": shape,
        "precision": setup.precision,
        "form": Ours(setup).engine.forward.name,
        "ours_s": min(ours),
        "ours_cpu_s": min(cpu["ours", "a process a core"]),
        "rivals": rivals,
        "best_float32": min(
            (name for name in rivals if "bfloat16" not in name), key=lambda name: rivals[name]["seconds"]
        ),
        "best": min(rivals, key=lambda name: rivals[name]["seconds"]),
        "torch_products_s": operations / rate,
        "torch_bound_s": operations / rate + 2 * n_bytes / copied,
        "gflop": operations / 1e9,
        "product_gflop_per_s": rate / 1e9,
        "bandwidth_gb_per_s": copied / 1e9,
        "batch_size": setup.batch_size,
        "repeats": n_repeats,
        "cores": n_cores,
        "torch": torch.__version__,
        "cpu": torch.backends.cpu.get_cpu_capability(),
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--network", choices=["ShallowFBCSPNet", "Deep4Net", "EEGNet"], default="EEGNet")
    options.add_argument("--shape", choices=SHAPES, default="64x720")
    options.add_argument("--precision", choices=["float32", "mixed"], default="float32", help="of ours")
    options.add_argument("--rivals", nargs="+", choices=RIVALS, default=[*RIVALS])
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    arguments = options.parse_args()
    import joblib

    setup = Setup(arguments.network, *SHAPES[arguments.shape], arguments.precision)
    result = measure(setup, arguments.shape, arguments.rivals, arguments.repeats, joblib.cpu_count())
    print(
        "{network}, {shape}, batches of {batch_size}, {cores} cores: ours ({form}) {ours_s:.4f} s an update, "
        "CPU time {ours_cpu_s:.4f} s.".format(**result)
    )
    for name, rival in result["rivals"].items():
        print(
            f"{name}: {rival['seconds']:.4f} s ({rival['way']}), CPU time {rival['cpu_s']:.4f} s "
            f"({rival['cpu_s'] / result['ours_cpu_s']:.1f} times); "
            f"{rival['ratio']:.1f} times ({min(rival['ratios']):.1f} to {max(rival['ratios']):.1f} in "
            f"{result['repeats']} repeats)"
        )
    print(
        "Best in float32: {best_float32}; of all: {best}. The torch form's {gflop:.2f} GFLOP of matrix "
        "products take {torch_products_s:.4f} s at {product_gflop_per_s:.0f} GFLOP/s, with its large arrays "
        "at {bandwidth_gb_per_s:.0f} GB/s {torch_bound_s:.4f} s.".format(**result)
    )
    if arguments.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
