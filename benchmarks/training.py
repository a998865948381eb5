"""Training throughput of the whole machine: ours against braindecode's EEGClassifier.

    python benchmarks/training.py [--network ShallowFBCSPNet] [--repeats 5] [--json]

Ours trains as the program does: one process a core, each with one thread. braindecode trains both ways, one
process with all threads and one process a core with one thread each, and the faster counts. All take turns,
repeat by repeat, on the same random windows. Times are seconds of the machine for one update.

CPU times are what processes were given, so that other programs on the machine lengthen them less.

The floor is that of the form in torch: what the machine's matrix products and memory would allow, both
measured on all cores at once: counted operations of the matrix products over their rate, plus each array of
more than 2 MiB that an update makes, written once and read once, over the bandwidth of copying. A compiled
kernel may go below it: its transforms are faster than matrix products, and its arrays stay in the cache.
"""

import argparse
import json
import logging
import multiprocessing
import statistics
import time
import warnings
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from eeg_sgdr.networks.build import Network, build_network
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


SETUPS = {
    "ShallowFBCSPNet": Setup("ShallowFBCSPNet", 44, 1125, 1000, 250, 4, 160, 60),
    "Deep4Net": Setup("Deep4Net", 44, 1125, 1000, 250, 4, 160, 60),
    "EEGNet": Setup("EEGNet", 64, 720, None, 160, 2, 320, 60),
    "ShallowFBCSPNet-trialwise": Setup("ShallowFBCSPNet", 64, 720, None, 160, 2, 320, 30),
    "ShallowFBCSPNet-trialwise-60": Setup("ShallowFBCSPNet", 64, 720, None, 160, 2, 320, 60),
    "ShallowFBCSPNet-22-sensors": Setup("ShallowFBCSPNet", 22, 1125, None, 250, 4, 288, 64),
}
LARGE = 1 << 21


class Ours:
    """A fit's updates, as `eeg_sgdr.training.loop` makes them."""

    def __init__(self, setup: Setup, threads: int = 1) -> None:
        windows, labels = (tensor.numpy() for tensor in data(setup))
        numerics = {"threads": threads}
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

        windows, labels = data(setup)
        crops = [windows[:, :, start : start + network.crop_samples] for start in network.starts]
        self.crops = torch.stack(crops, 1).flatten(0, 1).numpy()
        self.labels = labels.repeat_interleave(len(network.starts)).numpy()
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
            iterator_train__drop_last=True,  # as ours: both are timed by full batches
            train_split=None,
            verbose=0,
            classes=list(range(setup.n_classes)),
            **loss,
        )
        self.classifier.initialize()
        self.n_updates = len(self.labels) // setup.batch_size

    def run(self, n_epochs: int) -> int:
        """Train; the number of updates."""
        for _ in range(n_epochs):
            self.classifier.fit_loop(self.crops, self.labels, epochs=1)
        return n_epochs * self.n_updates


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
    trainers = {}
    while (command := connection.recv()) is not None:
        name, argument = command
        if name in ("ours", "reference"):
            if name not in trainers:
                trainers[name] = {"ours": Ours, "reference": Reference}[name](setup)
            started = time.process_time()
            n_updates = trainers[name].run(argument)
            connection.send((n_updates, time.process_time() - started))
        else:
            connection.send({"product_rate": product_rate, "bandwidth": bandwidth}[name]())


def run_all(connections, name: str, argument: int = 0) -> tuple[float, list]:
    """Seconds of one command in several processes at once, and their answers."""
    started = time.perf_counter()
    for connection in connections:
        connection.send((name, argument))
    answers = [connection.recv() for connection in connections]
    return time.perf_counter() - started, answers


def count(setup: Setup) -> tuple[int, int]:
    """Operations of the matrix products of one update of the torch form, and bytes of its large arrays."""
    ours = Ours(setup, threads=2)  # not the compiled kernel, which torch cannot count
    crops = np.arange(setup.batch_size)
    with FlopCounterMode(display=False) as counter:
        ours.update(crops, 0)
    with Traffic() as traffic:
        ours.update(crops, 0)
    return counter.get_total_flops(), sum(storage.nbytes() for storage in traffic.storages.values())


def measure(network: str, n_repeats: int, n_cores: int) -> dict:
    setup = SETUPS[network]
    context = multiprocessing.get_context("spawn")
    processes, connections = [], []
    for n_threads in [1] * n_cores + [n_cores]:
        ours, theirs = context.Pipe()
        process = context.Process(target=work, args=(theirs, setup, n_threads), daemon=True)
        process.start()
        theirs.close()  # so that a process that fails is noticed
        processes.append(process)
        connections.append(ours)
    single, threaded = connections[:-1], connections[-1:]

    ways = {"ours": (single, "ours"), "split": (single, "reference"), "threaded": (threaded, "reference")}
    n_epochs = {}
    for way, (group, name) in ways.items():
        run_all(group, name, 1)
        seconds, _ = run_all(group, name, 1)
        n_epochs[way] = max(1, round(2 / seconds))
    times: dict[str, list[float]] = {way: [] for way in ways}
    cpu: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(n_repeats):
        for way, (group, name) in ways.items():
            seconds, answers = run_all(group, name, n_epochs[way])
            n_updates, cpu_seconds = (sum(numbers) for numbers in zip(*answers, strict=True))
            times[way].append(seconds / n_updates)
            cpu[way].append(cpu_seconds / n_updates)
    rate = sum(run_all(single, "product_rate")[1])
    copied = sum(run_all(single, "bandwidth")[1])
    for connection, process in zip(connections, processes, strict=True):
        connection.send(None)
        process.join()

    operations, n_bytes = count(setup)
    reference = min(("split", "threaded"), key=lambda way: statistics.median(times[way]))
    ratios = sorted(b / a for a, b in zip(times["ours"], times[reference], strict=True))
    ours_s = statistics.median(times["ours"])
    return {
        "network": network,
        "form": Ours(setup).engine.forward.name,
        "ratio": statistics.median(ratios),
        "ratio_low": ratios[0],
        "ratio_high": ratios[-1],
        "ours_s": ours_s,
        "reference_s": statistics.median(times[reference]),
        "reference_way": {"split": "a process a core", "threaded": "all threads"}[reference],
        "ours_cpu_s": statistics.median(cpu["ours"]),
        "reference_cpu_s": min(statistics.median(cpu[way]) for way in ("split", "threaded")),
        "floor_s": operations / rate + 2 * n_bytes / copied,
        "gflop": operations / 1e9,
        "gflop_per_s": operations / ours_s / 1e9,
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
    options.add_argument("--network", choices=SETUPS, default="ShallowFBCSPNet")
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    arguments = options.parse_args()
    import joblib

    result = measure(arguments.network, arguments.repeats, joblib.cpu_count())
    print(
        "{network}: ours ({form}) {ours_s:.4f} s,\n"
        "braindecode {reference_s:.4f} s ({reference_way}) for an update of "
        "{batch_size} on {cores} cores:\n{ratio:.1f} times ({ratio_low:.1f} to {ratio_high:.1f} in {repeats} "
        "repeats); CPU time {ours_cpu_s:.4f} s and {reference_cpu_s:.4f} s. "
        "Floor {floor_s:.4f} s;\n{gflop:.2f} GFLOP of matrix products at {gflop_per_s:.0f} GFLOP/s "
        "of {product_gflop_per_s:.0f} that the machine reaches; {bandwidth_gb_per_s:.0f} GB/s copied.".format(
            **result
        )
    )
    if arguments.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
