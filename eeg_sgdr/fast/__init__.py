"""Forms that compute the same functions as braindecode's networks, in less time."""

from eeg_sgdr.fast.deep4 import Deep4Form
from eeg_sgdr.fast.eegnet import EEGNetForm
from eeg_sgdr.fast.shallow import ShallowForm
from eeg_sgdr.forms import Form, PlainForm
from eeg_sgdr.networks import Network


def choose(network: Network, precision: str = "float32") -> Form:
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
        for form in (ShallowForm, EEGNetForm, Deep4Form):
            if form.fits(network):
                return form(network)
    return PlainForm(network)
