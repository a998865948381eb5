"""Forms that compute the same functions as braindecode's networks, in less time."""

from eeg_sgdr.networks.build import Network
from eeg_sgdr.networks.fast.deep4 import Deep4Forward
from eeg_sgdr.networks.fast.eegnet import EEGNetForward
from eeg_sgdr.networks.fast.shallow import ShallowForward
from eeg_sgdr.networks.forward import BraindecodeForward, Forward


def choose(network: Network, precision: str = "float32") -> Forward:
    """The fastest form that computes exactly what a network computes.

    Parameters
    ----------
    network : Network
    precision : {"float32", "float64", "mixed"}
        ``training.numerics.precision``. Mixed precision has no fast forms.

    Returns
    -------
    form : Form
        `PlainForm`, which is braindecode's own forward, where there is no other.
    """
    if precision != "mixed":
        for form in (ShallowForward, EEGNetForward, Deep4Forward):
            if form.fits(network):
                return form(network)
    return BraindecodeForward(network)
