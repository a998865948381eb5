"""Settings of the classical baseline."""

from pydantic import model_validator

from eeg_sgdr.settings.types import Hertz, Model


class Baseline(Model):
    """Riemannian tangent space and logistic regression, beside the ConvNets.

    It reads the same trials and sensors through causal filters of the same design, from the cue to the
    window's end, not standardised. Null in its place leaves it out.

    Attributes
    ----------
    band_hz : pair of float
        Corner frequencies of the filters.
    """

    band_hz: tuple[Hertz, Hertz] = (8.0, 30.0)

    @model_validator(mode="after")
    def _ordered(self) -> "Baseline":
        if not self.band_hz[0] < self.band_hz[1]:
            raise ValueError("band_hz must ascend")
        return self
