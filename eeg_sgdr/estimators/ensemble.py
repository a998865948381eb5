"""Snapshot ensemble of a network trained by a schedule, as a scikit-learn classifier."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from functools import partial
from typing import Any, Literal, Self

import numpy as np
import torch
from pydantic import TypeAdapter, ValidationError
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from eeg_sgdr.estimators import inputs
from eeg_sgdr.estimators.inputs import BadInputError
from eeg_sgdr.networks.build import Network, build_network, copy_network
from eeg_sgdr.schedules import Schedule, WarmRestarts, at_rate, n_averaged
from eeg_sgdr.settings import Numerics, Training
from eeg_sgdr.settings.optimizers import AnyOptimizer, OptimizerSettings
from eeg_sgdr.training.engines import AS_TRAINING, Data, Member, OneFit
from eeg_sgdr.training.loop import Fit, FitFailed, train_network
from eeg_sgdr.training.snapshots import Snapshot, average_weights, averaged

#: The schedule where none is named.
DEFAULT_SCHEDULE = WarmRestarts(0.05, budget=31)


class SnapshotEnsembleClassifier(ClassifierMixin, BaseEstimator):
    """A network trained by a schedule; the snapshots at the schedule's ends predict together.

    It trains as the command does: the same data, settings and seed give the same weights. Nothing is
    filtered, scaled or shuffled into a validation set before.

    Parameters
    ----------
    network : str or torch.nn.Module
        A classification network of braindecode, by its name or as its constructor made it. A module is
        copied, and trained from the weights that it has.
    schedule : Schedule, optional
        One of `eeg_sgdr.schedules`; by default ``WarmRestarts(0.05, budget=31)``. Its parameters can be
        searched, as in ``GridSearchCV(classifier, {"schedule__initial_rate": [0.025, 0.05]})``.
    rates : sequence of float, optional
        Initial rates: one training for each, whose snapshots are averaged together. None: the schedule's.
    n_snapshots : int, optional
        How many of each training's last snapshots are averaged; by default half of the completed cycles,
        as in the paper, and at least one.
    seed : int
        Seed of initial weights, order of crops, and dropout.
    batch_size : int
        Crops in an update.
    average : "probabilities" or "weights"
        What is averaged over the snapshots of a training: their probabilities, or their weights, with
        batch-norm statistics recomputed over the training crops, which leaves one network to predict with
        [1]_. Over trainings it is always probabilities.
    crop_samples : int, optional
        Length of the crops (dense training); None trains on whole windows.
    arguments : dict, optional
        Further arguments of the network's constructor, where it is named.
    momentum, momentum_form, weight_decay
        See `eeg_sgdr.settings.Training`.
    optimizer : dict, optional
        Another optimizer, as in a configuration: ``{"kind": "adamw", "weight_decay": 0.01}``; see
        `eeg_sgdr.settings.AdamWSettings`.
    sfreq : float, optional
        Sampling rate of arrays in Hz, for networks that must know it; Epochs and datasets say theirs.
    device : str
        ``cpu``, ``cuda`` or ``cuda:N``; it trains there. Predictions are made on the CPU.
    threads : int
        Threads of the training on the CPU; the weights depend on it in their last bits.

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
        The classes, in order of the columns of probabilities.
    estimators_ : list of Snapshot
        All snapshots, in order of their epochs, and of the rates at each.
    snapshot_epochs_ : ndarray of int, shape (n_estimators,)
        The epochs after which they were taken.
    averaged_ : list of Snapshot
        Where ``average`` is "weights", the networks with averaged weights, ordered as the snapshots are;
        otherwise empty.
    n_features_in_, n_samples_in_ : int
        Channels, and samples of a window.
    scale_ : float
        Standard deviation of the training windows over time, median over trials and channels. Windows
        a hundred times larger or smaller are refused: they are in another unit.
    sensors_ : list of str or None
        Names of the channels, where it was fitted to Epochs; others are predicted by these names.

    References
    ----------
    .. [1] Izmailov, P., et al. (2018). Averaging weights leads to wider optima and better generalization.
           UAI. arXiv:1803.05407.

    Examples
    --------
    >>> import numpy as np
    >>> from eeg_sgdr import SnapshotEnsembleClassifier
    >>> from eeg_sgdr.schedules import WarmRestarts
    >>> X, y = np.random.default_rng(0).normal(size=(20, 3, 200)), np.arange(20) % 2
    >>> classifier = SnapshotEnsembleClassifier(schedule=WarmRestarts(0.05, budget=3), batch_size=10)
    >>> classifier.fit(X, y).snapshot_epochs_
    array([1, 3])
    >>> classifier.predict_proba(X).shape
    (20, 2)
    """

    def __init__(
        self,
        network: str | torch.nn.Module = "ShallowFBCSPNet",
        schedule: Schedule | None = None,
        *,
        rates: Sequence[float] | None = None,
        n_snapshots: int | None = None,
        average: Literal["probabilities", "weights"] = "probabilities",
        seed: int = 0,
        batch_size: int = 60,
        crop_samples: int | None = None,
        arguments: dict[str, Any] | None = None,
        momentum: float = 0.9,
        momentum_form: Literal["torch", "paper"] = "torch",
        weight_decay: float = 0.0005,
        optimizer: Mapping[str, Any] | None = None,
        sfreq: float | None = None,
        device: str = "cpu",
        threads: int = 1,
    ) -> None:
        self.network = network
        self.schedule = schedule
        self.rates = rates
        self.n_snapshots = n_snapshots
        self.average = average
        self.seed = seed
        self.batch_size = batch_size
        self.crop_samples = crop_samples
        self.arguments = arguments
        self.momentum = momentum
        self.momentum_form = momentum_form
        self.weight_decay = weight_decay
        self.optimizer = optimizer
        self.sfreq = sfreq
        self.device = device
        self.threads = threads

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        return tags

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters and, with ``deep``, those of the schedule, as ``schedule__initial_rate``."""
        parameters = super().get_params(deep)
        return {**_schedule_parameters(self._schedule), **parameters} if deep else parameters

    def set_params(self, **params: Any) -> Self:
        """Set parameters; those of the schedule make another schedule of the same kind.

        Raises
        ------
        ValueError
            If there is no such parameter, or no such schedule.
        """
        prefix = "schedule__"
        changes = {name: params.pop(name) for name in [*params] if name.startswith(prefix)}
        super().set_params(**params)
        if changes:
            changes = {name.removeprefix(prefix): value for name, value in changes.items()}
            self.schedule = _changed_schedule(self._schedule, changes)
        return self

    @property
    def _schedule(self) -> Schedule:
        return DEFAULT_SCHEDULE if self.schedule is None else self.schedule

    def fit(self, X: Any, y: Any = None, **others: Any) -> Self:
        """Train.

        Parameters
        ----------
        X : array of shape (n_trials, n_channels, n_samples), mne.BaseEpochs, or braindecode dataset
            Windows. Of Epochs the EEG sensors that are not marked as bad are taken, in microvolts; all
            else is taken as it is.
        y : array of shape (n_trials,), optional
            Labels; by default those that Epochs (the ids of their events) and datasets (their targets)
            bear.
        **others
            Refused: every crop counts as much as any other.

        Returns
        -------
        self : SnapshotEnsembleClassifier

        Raises
        ------
        UserError
            If a parameter, or the windows, will not do.
        """
        if others:
            raise BadInputError(
                f"fit: takes no {', '.join(others)} (every crop counts as much as any other); leave it out."
            )
        schedules = _schedules(self._schedule, self.rates, self.n_snapshots)
        if self.average not in ("probabilities", "weights"):
            raise BadInputError(f"average: {self.average!r} is neither 'probabilities' nor 'weights'.")
        training, optimizer = self._training(), _make_optimizer(self.optimizer)
        windows = inputs.read(X)
        labels = windows.y if y is None else y
        self._check(windows, labels)
        x, y = self._validated(windows.x, y=labels)
        check_classification_targets(y)
        self.classes_, indices = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise BadInputError(
                f"y: one class alone ({self.classes_[0]}); there must be two classes or more."
            )
        self.sensors_, self.n_samples_in_, self.scale_ = windows.sensors, x.shape[2], inputs.scale(x)
        sfreq = self.sfreq or windows.sfreq
        shape = {
            "n_channels": x.shape[1],
            "n_samples": x.shape[2],
            "n_classes": len(self.classes_),
            "crop_samples": self.crop_samples,
        }
        build = _network_builder(self.network, self.arguments, shape, sfreq, self.seed)
        # There is no test set, but a fit scores at least one window.
        data = Data(x, indices.astype(np.int64), x[:1], len(self.classes_), sfreq)
        fits = [_fit(build(), data, training, each, self.seed, optimizer) for each in schedules]
        self.estimators_ = [
            Snapshot(build, fit.scores[end].state, self.classes_, end, each.initial_rate)
            for end in schedules[0].ends
            for each, fit in zip(schedules, fits, strict=True)
        ]
        self.snapshot_epochs_ = np.array([snapshot.epoch for snapshot in self.estimators_])
        self.averaged_ = self._average(data, training) if self.average == "weights" else []
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Class probabilities, averaged over the last snapshots of each training, or their averages.

        Parameters
        ----------
        X : as for `fit`
            Windows.

        Returns
        -------
        probabilities : ndarray, shape (n_trials, n_classes)
        """
        x = self._windows(X)
        return averaged(self._predicting(len(self._ends)), x)

    def predict(self, X: Any) -> np.ndarray:
        """The most probable classes; shape (n_trials,)."""
        best = self.predict_proba(X).argmax(axis=1)  # first, since it checks that there are classes_
        return self.classes_[best]

    def staged_predict_proba(self, X: Any) -> Iterator[np.ndarray]:
        """The ensemble's probabilities as they were at each end of the schedule.

        Parameters
        ----------
        X : as for `fit`
            Windows.

        Yields
        ------
        probabilities : ndarray, shape (n_trials, n_classes)
            One for each of the schedule's ends.
        """
        x = self._windows(X)
        # Each network predicts once, however many ensembles it is in.
        single = {id(one): one.predict_proba(x) for one in self.averaged_ or self.estimators_}
        for i in range(len(self._ends)):
            yield np.mean([single[id(one)] for one in self._predicting(i + 1)], axis=0, dtype=float)

    @property
    def _ends(self) -> list[int]:
        return np.unique(self.snapshot_epochs_).tolist()

    def _members(self, n_ends: int) -> list[int]:
        """Epochs of the snapshots that are averaged after ``n_ends`` ends of the schedule."""
        wanted = n_averaged(n_ends) if self.n_snapshots is None else self.n_snapshots
        return self._ends[:n_ends][-wanted:]

    def _predicting(self, n_ends: int) -> list[Snapshot]:
        """Networks whose probabilities are averaged after ``n_ends`` ends of the schedule."""
        if self.averaged_:
            return [one for one in self.averaged_ if one.epoch == self._ends[n_ends - 1]]
        members = self._members(n_ends)
        return [one for one in self.estimators_ if one.epoch in members]

    def _average(self, data: Data, training: Training) -> list[Snapshot]:
        """A network at each end and rate, with the averaged weights of the snapshots until then."""
        network, n_rates = self.estimators_[0].build(), len(self.estimators_) // len(self._ends)
        with _threads_kept():
            engine = OneFit(Member(data, self._schedule, self.seed), network, training)
            found = []
            for i in range(len(self._ends)):
                members = self._members(i + 1)
                for rate in range(n_rates):
                    states = [one.state for one in self.estimators_[rate::n_rates] if one.epoch in members]
                    last = self.estimators_[i * n_rates + rate]
                    found.append(
                        replace(last, state=average_weights(engine, states)[0]) if len(states) > 1 else last
                    )
        return found

    def _windows(self, X: Any) -> np.ndarray:
        """Windows to predict, as the networks read them."""
        check_is_fitted(self)
        windows = inputs.read(X, self.sensors_)
        self._check(windows, None, self.n_features_in_, self.n_samples_in_)
        x = self._validated(windows.x, reset=False)
        if self.sensors_:
            remedy = "it was fitted to Epochs, in microvolts: give Epochs, or 1e6 * epochs.get_data()"
        elif windows.sensors:
            remedy = "Epochs are read in microvolts: give an array in the unit of the training windows"
        else:
            remedy = "give windows in the unit of the training windows"
        inputs.check_scale(inputs.scale(x), self.scale_, "X", remedy)
        return x

    @staticmethod
    def _check(windows: inputs.Inputs, labels: Any, *shape: int) -> None:
        """Check windows before scikit-learn does, whose sentences have samples for trials, and features."""
        x, y = np.asarray(windows.x), np.asarray(labels)
        inputs.check_shape(x, *shape)
        if y.ndim == 1 and len(y) != len(x):
            raise BadInputError(f"y: {len(y)} labels of {len(x)} trials; give one for each.")
        if x.dtype.kind == "f":
            inputs.check_finite(x, windows.sensors)

    def _validated(self, x: Any, **options: Any) -> Any:
        return validate_data(self, x, dtype=np.float32, order="C", allow_nd=True, **options)

    def _training(self) -> Training:
        values: dict[str, Any] = {
            "seeds": (self.seed,),
            "batch_size": self.batch_size,
            "momentum": self.momentum,
            "momentum_form": self.momentum_form,
            "weight_decay": self.weight_decay,
        }
        if self.rates is not None:
            values["initial_rates"] = tuple(self.rates)
        return _make_training(values, {"device": self.device, "threads": self.threads})


def _fit(
    network: Network,
    data: Data,
    training: Training,
    schedule: Schedule,
    seed: int,
    optimizer: OptimizerSettings,
) -> Fit:
    """Train one fit."""
    with _threads_kept():
        try:
            return train_network(network, data, training, schedule, seed, optimizer=optimizer)
        except FitFailed as failure:
            raise BadInputError(
                f"fit: the loss is not finite in epoch {failure.epoch}, at a rate of {failure.rate:g}; give "
                "lower rates, or scale the windows."
            ) from failure


@contextmanager
def _threads_kept() -> Iterator[None]:
    """Restore torch's number of threads at the end."""
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _schedules(schedule: Schedule, rates: Sequence[float] | None, n_snapshots: int | None) -> list[Schedule]:
    """The schedule of each initial rate; BadInputError for an invalid rate or too many snapshots."""
    n_ends = len(schedule.ends)
    if n_snapshots is not None and not 1 <= n_snapshots <= n_ends:
        raise BadInputError(
            f"n_snapshots: {n_snapshots} must be from 1 to the number of the schedule's ends ({n_ends})."
        )
    if rates is None:
        return [schedule]
    try:
        return [at_rate(schedule, rate) for rate in rates]
    except (TypeError, ValueError) as error:
        raise BadInputError(f"rates: do not serve {schedule} ({error}); give others.") from error


def _schedule_parameters(schedule: Any, prefix: str = "schedule") -> dict[str, Any]:
    """Parameters of a schedule, and of one within it, by scikit-learn's names of nested ones."""
    found: dict[str, Any] = {}
    for field in fields(schedule) if is_dataclass(schedule) else ():
        name, value = f"{prefix}__{field.name}", getattr(schedule, field.name)
        found |= {name: value, **_schedule_parameters(value, name)}
    return found


def _changed_schedule(schedule: Any, changes: Mapping[str, Any]) -> Any:
    """A schedule of the same kind with other parameters; BadInputError for an invalid one."""
    names = [field.name for field in fields(schedule)] if is_dataclass(schedule) else []
    values: dict[str, Any] = {}
    nested: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for path, value in changes.items():
        name, _, rest = path.partition("__")
        if name not in names:
            raise BadInputError(
                f"schedule__{path}: {schedule} has no {name!r}; there are {', '.join(names) or 'none'}."
            )
        if rest:
            nested[name][rest] = value
        else:
            values[name] = value
    for name, inner in nested.items():
        values[name] = _changed_schedule(values.get(name, getattr(schedule, name)), inner)
    try:
        return replace(schedule, **values)
    except (TypeError, ValueError) as error:
        raise BadInputError(f"schedule: {error}; give other parameters.") from error


def _make_training(values: Mapping[str, Any], numerics: Mapping[str, Any]) -> Training:
    """The section ``training`` of a configuration; BadInputError for an invalid value."""
    with _invalid_values():
        return Training(**values, numerics=Numerics(**numerics))


def _make_optimizer(values: Mapping[str, Any] | None) -> OptimizerSettings:
    """The section ``optimizer`` of an arm; BadInputError for an invalid value."""
    if values is None:
        return AS_TRAINING
    with _invalid_values():
        return TypeAdapter(AnyOptimizer).validate_python(dict(values))


@contextmanager
def _invalid_values() -> Iterator[None]:
    """Turn pydantic's error into a BadInputError about the first invalid value."""
    try:
        yield
    except ValidationError as error:
        first = error.errors()[0]
        name = first["loc"][0] if first["loc"] else "optimizer"
        raise BadInputError(
            f"{name}: {first['input']!r} will not do ({first['msg']}); give another."
        ) from error


def _network_builder(
    network: str | torch.nn.Module,
    arguments: Mapping[str, Any] | None,
    shape: Mapping[str, Any],
    sfreq: float | None,
    seed: int,
) -> Callable[[], Network]:
    """Picklable function that builds the network with its initial weights.

    ``shape`` has n_channels, n_samples (of a window), n_classes and crop_samples; a module has no
    ``arguments``.
    """
    if isinstance(network, str):
        return partial(build_network, network, dict(arguments or {}), sfreq=sfreq, seed=seed, **shape)
    if arguments:
        raise BadInputError("arguments: go to the constructor of a network that is named; leave them out.")
    return partial(copy_network, network, **shape)
