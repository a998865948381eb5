"""Fast forward computations, equal to braindecode's but for rounding."""

from eeg_sgdr.networks.build import Network
from eeg_sgdr.networks.fast.compiled import (
    BFloat16ShallowForward,
    CompiledEEGNetForward,
    CompiledShallowForward,
)
from eeg_sgdr.networks.fast.deep4 import Deep4Forward
from eeg_sgdr.networks.fast.eegnet import EEGNetForward
from eeg_sgdr.networks.fast.shallow import ShallowForward
from eeg_sgdr.networks.forward import BraindecodeForward, Forward


def choose(network: Network, precision: str = "float32", threads: int = 1) -> Forward:
    """The fastest exact forward of a network; braindecode's own for other networks.

    In mixed precision it is a kernel with bfloat16 products, else braindecode's own, under autocast. Compiled
    kernels compute in one thread; with more, torch does.
    """
    if precision == "mixed":
        if threads == 1 and BFloat16ShallowForward.supports(network):
            return BFloat16ShallowForward(network)
    else:
        compiled = (CompiledShallowForward, CompiledEEGNetForward) if threads == 1 else ()
        for forward in (*compiled, ShallowForward, EEGNetForward, Deep4Forward):
            if forward.supports(network):
                return forward(network)
    return BraindecodeForward(network)
