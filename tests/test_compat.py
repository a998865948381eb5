"""braindecode imports in a fresh process, whatever torchaudio's compiled library does."""

import subprocess
import sys

BROKEN = """
import torch
def broken(path):
    raise OSError("libc10_cuda.so: cannot open shared object file")
torch.ops.load_library = broken
"""


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


def test_braindecode_imports_quietly_after_the_guard_and_without_moabb():
    done = run("""
import importlib.util, sys
from eeg_sgdr.compat import import_braindecode
import_braindecode()
import torchaudio
assert "moabb" not in sys.modules
assert importlib.util.find_spec("moabb"), "it can be imported later"
""")
    assert done.stderr == ""


def test_a_library_that_does_not_load_is_as_if_absent():
    """Also where it would load: the library's folder is made to hold one that cannot."""
    run(f"""
{BROKEN}
from eeg_sgdr.compat import import_braindecode
import_braindecode()
from braindecode.models import ShallowFBCSPNet
from pathlib import Path
import torchaudio
assert list((Path(torchaudio.__file__).parent / "lib").glob("*.so")), "the files are seen again"
""")


def test_a_module_of_torch_alone_needs_no_braindecode_before():
    """A forward is chosen for it among those of braindecode's modules."""
    run(f"""
{BROKEN}
from eeg_sgdr.networks import build
from eeg_sgdr.networks.fast import choose
module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(20, 2))
choose(build.copy_network(module, n_channels=2, n_samples=10, n_classes=2, crop_samples=None))
""")
