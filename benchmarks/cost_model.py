"""Calculated (not measured) cost of a study of 109 subjects and 5 seeds on several machines.

    python benchmarks/cost_model.py

Costs are those of benchmarks/README.md (ShallowFBCSPNet on one core); assumptions are stated beside them.
docs/cluster.md shows what this prints.
"""

from dataclasses import dataclass

#: Core seconds of an update of 60 crops of 44 sensors and 1000 samples, in the dry run of high_gamma.
UPDATE = 0.027
#: The same on a card. Assumed, no card was measured: braindecode's own forward is about 40 GFLOP in float32
#: and moves about 2.5 GB of activations; 20 TFLOP/s and 0.8 TB/s, a third and
#: a quarter of an H100's data sheet.
UPDATE_ON_CARD = 40e9 / 20e12 + 2.5e9 / 0.8e12
#: Core seconds of a fit beside its updates: 32 fits of 15 updates took 45 - 6 s (table of docs/cluster.md).
START = (45 - 6) / 32 - 15 * UPDATE
#: Seconds of the first process for a subject's tables and report.
REPORT = 3.3
#: Core seconds to preprocess one minute of one sensor at 1 Hz: 10 minutes of 128 sensors at 500 Hz, 1.5 s.
PREPARE = 1.5 / (10 * 128 * 500)
N_SUBJECTS, N_SEEDS = 109, 5


@dataclass(frozen=True)
class Study:
    """Per subject: trials that train, their crops, size of a crop, and minutes of raw recordings."""

    name: str
    n_crops: int
    batch: int
    sensors: int
    samples: int
    epochs: tuple[int, ...]
    recorded: tuple[int, int, int]

    @property
    def fits(self) -> int:
        return len(self.epochs) * 2 * N_SEEDS

    @property
    def updates(self) -> float:
        """Updates of the benchmark's size, for the fits of a subject."""
        size = self.sensors * self.samples * self.batch / (44 * 1000 * 60)
        return size * (self.n_crops // self.batch) * sum(self.epochs) * 2 * N_SEEDS

    @property
    def first_process(self) -> float:
        """Seconds that one subject takes of the process in charge: preparing it on one core, its report."""
        minutes, sensors, rate = self.recorded
        return PREPARE * minutes * sensors * rate + REPORT


STUDIES = (
    Study("physionet_fists_feet", 60, 15, 64, 720, (7, 15, 31, 31), (12, 64, 160)),
    Study("size of high_gamma", 1760, 60, 44, 1000, (30, 60, 120, 240, 480, 511, 511), (110, 128, 500)),
)
MACHINES = (
    ("2 cores", 2, 0),
    ("64 cores", 64, 0),
    ("10 nodes of 64 cores", 640, 0),
    ("one GPU", 0, 1),
    ("8 GPUs", 0, 8),
)


def duration(seconds: float) -> str:
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def main() -> None:
    print("| study | fits | core time of the fits | preparing and reports, one process |")
    print("|---|---|---|---|")
    for study in STUDIES:
        core = N_SUBJECTS * (study.updates * UPDATE + study.fits * START)
        one = N_SUBJECTS * study.first_process
        print(f"| {study.name} | {N_SUBJECTS * study.fits} | {duration(core)} | {duration(one)} |")
    print()
    print(f"| machine | {' | '.join(f'{study.name}: fits | limited by' for study in STUDIES)} |")
    print("|---" * (1 + 2 * len(STUDIES)) + "|")
    for name, cores, cards in MACHINES:
        cells = []
        for study in STUDIES:
            if cards:
                seconds = N_SUBJECTS * (study.updates * UPDATE_ON_CARD + study.fits / 32 * START) / cards
            else:
                seconds = N_SUBJECTS * (study.updates * UPDATE + study.fits * START) / cores
            one = N_SUBJECTS * study.first_process
            cells += [duration(seconds), "fits" if seconds > one else f"first process, {duration(one)}"]
        print(f"| {name} | {' | '.join(cells)} |")
    print()
    for study in STUDIES:
        workers = (study.updates * UPDATE + study.fits * START) / study.first_process
        print(f"{study.name}: one process keeps up to {workers:.0f} cores busy.")


if __name__ == "__main__":
    main()
