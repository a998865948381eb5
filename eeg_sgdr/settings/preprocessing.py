"""Settings of the split, of preprocessing, and of classical baselines."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SerializeAsAny, model_validator

from eeg_sgdr.settings.types import (
    Count,
    Hertz,
    Labels,
    Later,
    Microvolts,
    Model,
    Number,
    Seconds,
    Seed,
    of_kind,
    unique,
)


class Split(Model):
    """Which recordings of a subject are used for testing; all others are used for training.

    Attributes
    ----------
    by : "run" or "session"
        What is held out.
    test : list of str
        Labels of the runs (or sessions) that are used for testing.
    folds : "each"
        Instead of ``test``: every run (or session) is held out once, from networks of its own.
    """

    by: Literal["run", "session"]
    test: Labels | None = None
    folds: Annotated[Literal["each"] | None, Later(None)] = None

    @model_validator(mode="after")
    def _either(self) -> "Split":
        if (self.test is None) == (self.folds is None):
            raise ValueError(
                f"give either test, the {self.by}s that are used for testing, or folds: each, to hold out "
                f"every {self.by} once"
            )
        return self


class SubjectSplit(Model):
    """Folds of subjects: those of a fold are used for testing, all others for training.

    Attributes
    ----------
    by : "subject"
        What is held out.
    folds : int or list of lists of str
        Number of folds into which the subjects are divided at random; or a list of each fold's test subjects.
    seed : int
        Seed of the random division; ignored when folds are lists.
    """

    by: Literal["subject"]
    folds: Annotated[Count, Field(ge=2)] | Annotated[tuple[Labels, ...], Field(min_length=1)] = 10
    seed: Seed = 0


AnySplit = Annotated[Split | SubjectSplit, Field(discriminator="by")]


class Standardize(Model):
    """Exponential moving standardisation.

    Attributes
    ----------
    factor_new : float
        Weight of a new sample.
    init_samples : int
        Samples at a recording's start that are scaled by their own mean and deviation.
    """

    factor_new: Number = Field(0.001, ge=1e-9, lt=1)
    init_samples: Count = Field(1000, ge=2)


def listed(value: object) -> object:
    """Convert one number to a list of one."""
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else value


_Several = Annotated[tuple[Hertz, ...], Field(min_length=1), AfterValidator(unique)]

Notches = Annotated[_Several, BeforeValidator(listed, json_schema_input_type=Hertz | _Several)]


class Preprocessing(Model):
    """How recordings become windows.

    Attributes
    ----------
    sensors : list of str, optional
        Sensors to use, in order; all EEG sensors when null.
    bads : "interpolate", "drop" or "keep"
        What to do with channels that are marked as bad.
    reference : "average" or list of str, optional
        Subtract the mean of all EEG sensors that are not bad, or of the sensors named, which are then
        left out unless ``sensors`` names them; null keeps the recording's reference.
    reject_uv : float, optional
        Trials in which any sensor reaches this absolute raw amplitude (microvolts) between the cue
        and the window's end are rejected; null rejects none.
    reject_ptp_uv : float, optional
        The same for a sensor whose largest and smallest raw values lie further apart than this, as
        MNE's ``reject`` does.
    resample_hz : float, optional
        New sampling rate, at most ten times the recording's; null keeps the recording's.
    notch_hz : float or list of float, optional
        Frequencies of causal notch filters, against the mains and its harmonics.
    highpass_hz, lowpass_hz : float, optional
        Corner frequencies of causal Butterworth filters of order 3.
    standardize : Standardize, optional
        Exponential moving standardisation; null disables it.
    window_s : pair of float
        Start and end of a window, in seconds from the cue; at least two samples must come after the cue.
    """

    sensors: Labels | None = None
    bads: Literal["interpolate", "drop", "keep"] = "interpolate"
    reference: Annotated[Literal["average"] | Labels | None, Later(None)] = None
    reject_uv: Microvolts | None = 800.0
    reject_ptp_uv: Annotated[Microvolts | None, Later(None)] = None
    resample_hz: Annotated[Hertz, Field(ge=2)] | None = None
    notch_hz: Annotated[Notches | None, Later(None)] = None
    highpass_hz: Hertz | None = 4.0
    lowpass_hz: Hertz | None = None
    standardize: Standardize | None = Standardize()
    window_s: tuple[Seconds, Seconds] = (-0.5, 4.0)

    @model_validator(mode="after")
    def _ordered(self) -> "Preprocessing":
        if not self.window_s[0] < self.window_s[1] or self.window_s[1] <= 0:
            raise ValueError("window_s: the window must end after its begin and after the cue")
        if self.highpass_hz and self.lowpass_hz and self.highpass_hz >= self.lowpass_hz:
            raise ValueError("highpass_hz must be below lowpass_hz")
        return self

    @property
    def reference_sensors(self) -> tuple[str, ...]:
        """Sensors named as reference; none for the average or the recording's own reference."""
        return () if self.reference in (None, "average") else tuple(self.reference or ())


#: Classical baselines by name, which is that of their folder and their arm in tables; and in words.
BASELINES = {
    "baseline": "classical baseline",
    "recentred_causal": "re-centred baseline (causal)",
    "recentred_transductive": "re-centred baseline (transductive)",
}


class Baseline(Model):
    """A classical rival beside the ConvNets.

    All baselines read the same trials and sensors as the ConvNets, through causal filters of the same design,
    from the cue to the window's end, not standardised. Their covariances are shared, so all have one band.

    Attributes
    ----------
    band_hz : pair of float
        Corner frequencies of the filters.
    """

    band_hz: tuple[Hertz, Hertz] = (8.0, 30.0)

    @property
    def name(self) -> str:
        """Its name, of `BASELINES`."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _ordered(self) -> "Baseline":
        if not self.band_hz[0] < self.band_hz[1]:
            raise ValueError("band_hz must ascend")
        return self


class TangentSpace(Baseline):
    """Riemannian tangent space and logistic regression; named ``baseline``.

    Attributes
    ----------
    band_hz : pair of float
        Corner frequencies of the filters.
    """

    kind: Annotated[Literal["tangent_space"], Later("tangent_space")]

    @property
    def name(self) -> str:
        """See `Baseline.name`."""
        return "baseline"


class Recentred(Baseline):
    """The same after re-centring; named ``recentred_causal`` or ``recentred_transductive``.

    The covariances of each subject's session are whitened by their Riemannian mean, which needs no labels.
    Training and test trials of one session have means of their own.

    Attributes
    ----------
    mode : "causal" or "transductive"
        Mean for a test trial: the running one of the session's test trials up to and with itself, which
        each trial moves, as the n-th, by 1 / n on the geodesic to its covariance; or that of all of them,
        later ones too.
    band_hz : pair of float
        Corner frequencies of the filters.
    """

    kind: Literal["recentred"]
    mode: Literal["causal", "transductive"] = "causal"

    @property
    def name(self) -> str:
        """See `Baseline.name`."""
        return f"recentred_{self.mode}"


AnyBaseline = Annotated[SerializeAsAny[Baseline], of_kind(Baseline, "kind")]
