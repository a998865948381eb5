"""Compile the kernels: a build hook of hatchling, and a script for a clone (python hatch_build.py).

EEG_SGDR_KERNELS names the compiler: zig (the package ziglang, which pip brings: no compiler is needed on the
machine), system (cc), or none. Unset, it is zig where ziglang has a wheel, and otherwise none.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # as a script
    BuildHookInterface = object

FOLDER = Path(__file__).parent / "eeg_sgdr" / "networks" / "fast"
ZIGLANG = "ziglang == 0.17.1"
TYPES = {"float32": ("float", "int32_t"), "float64": ("double", "int64_t")}
#: By torch's name of what a processor can do: numbers of a vector, and the processor as zig and cc name it.
#: Vectors of 512 bits are not used by default.
PROCESSORS = {
    "avx2": (8, ["-mcpu=x86_64_v3"], ["-march=x86-64-v3"]),
    "avx512": (16, ["-mcpu=x86_64_v4-prefer_256_bit"], ["-march=x86-64-v4", "-mprefer-vector-width=512"]),
    "avx512bf16": (
        16,
        ["-mcpu=x86_64_v4+avx512bf16-prefer_256_bit"],
        ["-march=x86-64-v4", "-mavx512bf16", "-mprefer-vector-width=512"],
    ),
}
#: Types of the kernels that have matrix products of bfloat16 numbers.
BFLOAT16_TYPES = {"shallow": ["float32"]}
#: No -ffast-math: it changes the rounding of the whole process, and takes NaN for impossible.
FLAGS = ["-std=gnu11", "-O3", "-ffp-contract=fast", "-fno-math-errno", "-Wno-psabi", "-shared", "-fPIC"]


def wanted() -> str:
    """The compiler asked for: zig, system or none. Raises ValueError if it is none of these."""
    here = (sys.platform, platform.machine())
    chosen = os.environ.get("EEG_SGDR_KERNELS") or ("zig" if here == ("linux", "x86_64") else "none")
    if chosen not in ("zig", "system", "none"):
        raise ValueError(f"EEG_SGDR_KERNELS: {chosen} is not zig, system or none")
    return chosen


def variants(kernel: str) -> list[tuple[str, str]]:
    """Processors and types for which a kernel is compiled."""
    every = [(processor, dtype) for processor in ("avx2", "avx512") for dtype in TYPES]
    return every + [("avx512bf16", dtype) for dtype in BFLOAT16_TYPES.get(kernel, [])]


def build(compiler: str, folder: Path) -> list[Path]:
    """Compile every kernel for each processor and type into a folder; the libraries."""
    zig = compiler == "zig"
    command = [sys.executable, "-m", "ziglang", "cc", "-target", "x86_64-linux-gnu.2.17"] if zig else ["cc"]
    version = subprocess.run([*command, "--version"], check=True, capture_output=True, text=True).stdout
    name = ZIGLANG.replace("ziglang ==", "zig") if zig else version.splitlines()[0]
    libraries = []
    for source in sorted(FOLDER.glob("*.c")):
        with_header = (source, FOLDER / "vectors.h")
        digest = hashlib.sha256(b"".join(path.read_bytes() for path in with_header)).hexdigest()[:12]
        for processor, dtype in variants(source.stem):
            lanes, for_zig, for_cc = PROCESSORS[processor]
            real, integer = TYPES[dtype]
            flags = [*FLAGS, *(for_zig if zig else for_cc)]
            # All that decides the last bits of results is in the form's name.
            with_flags = f"{name}, flags {hashlib.sha256(repr(flags).encode()).hexdigest()[:4]}"
            library = folder / f"{source.stem}_{processor}_{dtype}.so"
            partial = library.with_suffix(".partial")
            subprocess.run(
                [
                    *command, *flags, f"-DREAL={real}", f"-DLANES={lanes}", f"-DINTEGER={integer}",
                    f'-DBUILT_FROM="{digest} {with_flags}"', str(source), "-o", str(partial), "-lm",
                ],
                check=True,
            )  # fmt: skip
            partial.replace(library)  # never in the place of a library that is in use
            libraries.append(library)
    return libraries


def build_here(compiler: str) -> list[Path]:
    """Replace the libraries beside the sources, each at once: fits that begin meanwhile find one."""
    libraries: list[Path] = []
    try:
        if compiler != "none":
            libraries = build(compiler, FOLDER)
        return libraries
    finally:
        for library in {*FOLDER.glob("*.so")} - {*libraries}:
            library.unlink()


class KernelBuildHook(BuildHookInterface):
    """Libraries in wheels of their platform, or beside the sources of an editable installation.

    A wheel's are compiled elsewhere: studies that train in the clone keep the libraries that they began with.
    """

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Ziglang where it is used."""
        return [ZIGLANG] if wanted() == "zig" else []

    def initialize(self, version: str, build_data: dict) -> None:
        """Compile; without a compiler the package is one for every platform, without kernels."""
        compiler = wanted()
        if self.target_name != "wheel":
            return
        self.folder = Path(tempfile.mkdtemp())
        try:
            if version == "editable":
                libraries = build_here(compiler)
            else:
                libraries = build(compiler, self.folder) if compiler != "none" else []
        except (OSError, subprocess.CalledProcessError) as error:
            self.app.display_warning(f"no kernels: {error}")
            libraries = []
        if not libraries:
            self.app.display_warning("eeg_sgdr is built without kernels, and trains at torch's speed.")
            return
        if version != "editable":
            inside = FOLDER.relative_to(self.root)
            build_data["force_include"] |= {str(library): str(inside / library.name) for library in libraries}
        build_data["pure_python"] = False
        tag = "manylinux_2_17_x86_64" if compiler == "zig" else f"linux_{platform.machine()}"
        build_data["tag"] = f"py3-none-{tag}"

    def finalize(self, version: str, build_data: dict, artifact_path: str) -> None:
        """Remove a wheel's libraries."""
        if self.target_name == "wheel":
            shutil.rmtree(self.folder)


if __name__ == "__main__":
    build_here(wanted())
