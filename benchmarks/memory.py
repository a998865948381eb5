"""Time and peak memory of a command: the sum of PSS (each shared page counted once) over its processes.

python benchmarks/memory.py -- python -m eeg_sgdr.run --subject 1
"""

import argparse
import subprocess
import sys
import time

import psutil


def pss(process: psutil.Process) -> int:
    """Proportional set size of a process in bytes; 0 when it has just ended."""
    try:
        return process.memory_full_info().pss
    except psutil.Error:
        return 0


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("command", nargs="+")
    command = options.parse_args().command
    started = time.perf_counter()
    running = subprocess.Popen(command)
    root = psutil.Process(running.pid)
    peak = n_processes = 0
    while running.poll() is None:
        try:
            family = [root, *root.children(recursive=True)]
        except psutil.Error:
            break
        total = sum(pss(process) for process in family)
        if total > peak:
            peak, n_processes = total, len(family)
        time.sleep(0.2)
    seconds = time.perf_counter() - started
    print(f"{seconds:.1f} s, peak {peak / 1e6:.0f} MB (PSS) in {n_processes} processes", file=sys.stderr)
    return running.wait()


if __name__ == "__main__":
    sys.exit(main())
