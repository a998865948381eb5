"""The compiled kernels under address and undefined-behaviour sanitizers, driven from C; needs gcc.

    python benchmarks/sanitizers.py [--shapes 200]

Random shapes on arrays of exactly their size, and pieces of the workspace apart from each other, so that a
step beyond any of them ends the program. Crops and labels that do not exist must be refused.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import hatch_build

#: Features of a processor, as Linux names them, without which a library does not run.
NEEDED = {"avx2": "avx2", "avx512": "avx512f", "avx512bf16": "avx512_bf16"}
SANITIZERS = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--shapes", type=int, default=200)
    n_shapes = options.parse_args().shapes
    features = Path("/proc/cpuinfo").read_text()
    flags = [flag for flag in hatch_build.FLAGS if flag not in ("-shared", "-fPIC", "-O3")]
    with tempfile.TemporaryDirectory() as folder:
        for source in sorted(Path(__file__).parent.glob("sanitizers_*.c")):
            for processor, dtype in hatch_build.variants(source.stem.removeprefix("sanitizers_")):
                if NEEDED[processor] not in features:
                    continue
                lanes, _, for_cc = hatch_build.PROCESSORS[processor]
                real, integer = hatch_build.TYPES[dtype]
                program = Path(folder) / f"{source.stem}_{processor}_{dtype}"
                defined = {
                    "REAL": real, "INTEGER": integer, "LANES": lanes,
                    "BUILT_FROM": '""', "PIECES_APART": 1,
                }  # fmt: skip
                definitions = [f"-D{name}={value}" for name, value in defined.items()]
                files = ["-I", str(hatch_build.FOLDER), str(source), "-o", str(program), "-lm"]
                subprocess.run(["gcc", *flags, *SANITIZERS, *for_cc, *definitions, *files], check=True)
                environment = {"ASAN_OPTIONS": "detect_leaks=0"}  # of pieces that are kept apart
                print(f"{source.stem.removeprefix('sanitizers_')}, {processor}, {dtype}", flush=True)
                subprocess.run([program, str(n_shapes)], env=environment, check=True)


if __name__ == "__main__":
    main()
