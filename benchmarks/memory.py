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


def watch(command: list[str]) -> tuple[float, int, int]:
    """Run a command to its end: seconds, peak PSS in bytes, and how many processes that was in."""
    started = time.perf_counter()
    running = subprocess.Popen(command, stdout=sys.stderr)
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
    if running.wait():
        raise SystemExit(running.returncode)
    return time.perf_counter() - started, peak, n_processes


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("command", nargs="+")
    seconds, peak, n_processes = watch(options.parse_args().command)
    print(f"{seconds:.1f} s, peak {peak / 1e6:.0f} MB (PSS) in {n_processes} processes", file=sys.stderr)


if __name__ == "__main__":
    main()
