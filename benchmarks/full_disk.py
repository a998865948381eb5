"""A small study on a full file system: lost results, and resuming after room is made.

    unshare --map-root-user --mount python benchmarks/full_disk.py [--shares 0.1 0.3 0.5]

In a namespace of its own (Linux; no rights are needed where the system lets users have namespaces), results
go to a tmpfs with room for a share of them. The command has to end with status 2 and one sentence, without
a half-written file; then the file system grows, and the same command has to finish, with what was finished
before untouched, and every file as in a study that was not disturbed, but for the times.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import killing


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--shares", type=float, nargs="+", default=[0.1, 0.3, 0.5])
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        killing.run(killing.command(folder, "undisturbed"))
        expected = killing.files(folder / "undisturbed")
        n_bytes = sum(path.stat().st_size for path in (folder / "undisturbed").rglob("*"))
        print(f"undisturbed: {len(expected)} files, {n_bytes / 1e6:.2f} MB", flush=True)
        return max(filled(folder, share, n_bytes, expected) for share in given.shares)


def filled(folder: Path, share: float, n_bytes: int, expected: dict[str, object]) -> int:
    """Fill a file system and make room; returns 0 if nothing is lost."""
    disk = folder / f"disk-{share:g}"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o"]
    if subprocess.run([*mount, f"size={round(share * n_bytes)}", "tmpfs", str(disk)]).returncode:
        print("A file system cannot be mounted here; see the first lines of this script.", file=sys.stderr)
        return 2
    arguments = killing.command(folder, disk.name)
    process = killing.start(arguments)
    _, errors = process.communicate()
    fits = {path.parent: path.stat().st_mtime_ns for path in disk.rglob("fit.json")}
    n_half = len(list(disk.rglob("*.part")))
    print(f"room for {share:.0%}: status {process.returncode}, {len(fits)} fits and baselines are done,")
    print(
        f"    {n_half} half-written files, {errors.count('Traceback')} tracebacks; {errors.splitlines()[-1]}"
    )
    subprocess.run([*mount, f"remount,size={2 * n_bytes}", "tmpfs", str(disk)], check=True)
    killing.run(arguments)
    n_kept = sum((fit / "fit.json").stat().st_mtime_ns == made for fit, made in fits.items())
    different = killing.differing(expected, killing.files(disk))
    print(f"    after room was made: {n_kept} of them kept, {len(different)} files differ", flush=True)
    print(*different, sep="\n", end="")
    subprocess.run(["umount", str(disk)], check=True)
    well = process.returncode == 2 and not n_half and n_kept == len(fits) and not different
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
