"""Figures of sensors: positions, maps of rhythms and of activation patterns, spectra."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import matplotlib
import mne
import numpy as np
from matplotlib.figure import Figure

from eeg_sgdr.data.sources.channels import montage_1005
from eeg_sgdr.networks.patterns import Pattern
from eeg_sgdr.reports.figures.canvas import COLOURS, GREY, LINES, STYLE, legend, new_figure, panels

#: Rhythms over the motor areas, in hertz; the upper edge belongs to the next one.
BANDS = {"mu": (8.0, 13.0), "beta": (13.0, 30.0)}


def on_head(positions: np.ndarray) -> np.ndarray:
    """Mask of sensors with a position, from positions (n_channels, 3) in metres, NaN where unknown."""
    return np.isfinite(positions).all(axis=1)


def can_be_drawn(positions: np.ndarray) -> bool:
    """Whether there are enough sensors with positions to draw a map (four that differ)."""
    return len(np.unique(positions[on_head(positions)], axis=0)) >= 4


@cache
def _template() -> dict[str, np.ndarray]:
    """Positions of the 10-05 system in head coordinates, in metres."""
    montage = montage_1005()
    info = mne.create_info(montage.ch_names, 1.0, "eeg").set_montage(montage)
    return info.get_montage().get_positions()["ch_pos"]


@cache
def _equator() -> tuple[np.ndarray, np.ndarray, float]:
    """Centre, rotation and radius of a level head, with Fpz, Oz, T7 and T8 on its outline."""
    front, back, left, right = (_template()[name] for name in ("Fpz", "Oz", "T7", "T8"))
    ahead = (front - back) / np.linalg.norm(front - back)
    up = np.cross(right - left, ahead)
    up /= np.linalg.norm(up)
    axes = np.stack([np.cross(ahead, up), ahead, up])
    centre = (front + back + left + right) / 4
    radius = np.mean([np.linalg.norm(place - centre) for place in (front, back, left, right)])
    return centre, axes, float(radius)


def _info(names: Sequence[str], positions: np.ndarray) -> Any:
    """MNE's Info of the sensors that have positions, on a level head."""
    placed = on_head(positions)
    shown = [name for name, has_position in zip(names, placed, strict=True) if has_position]
    centre, axes, _ = _equator()
    places = dict(zip(shown, (positions[placed] - centre) @ axes.T, strict=True))
    montage = mne.channels.make_dig_montage(places, coord_frame="head")
    return mne.create_info(shown, 1.0, "eeg").set_montage(montage, verbose="error")


def _sphere() -> tuple[float, float, float, float]:
    """Centre and radius of the level head, for MNE."""
    return 0.0, 0.0, 0.0, _equator()[2]


def _map(axes: Any, values: np.ndarray, names: Sequence[str], positions: np.ndarray, limit: float) -> Any:
    """Draw one map with a symmetric colour scale."""
    image, _ = mne.viz.plot_topomap(
        values[on_head(positions)],
        _info(names, positions),
        axes=axes,
        show=False,
        cmap="RdBu_r",
        vlim=(-limit, limit),
        contours=4,
        res=96,
        # Not beyond the sensors.
        extrapolate="local",
        sphere=_sphere(),
    )
    return image


@matplotlib.rc_context(STYLE)
def sensors(names: Sequence[str], positions: np.ndarray) -> Figure:
    """Sensors with a position by name, seen from above, nose up."""
    figure = new_figure(6.4, 6.4)
    axes = figure.subplots()
    mne.viz.plot_sensors(
        _info(names, positions),
        kind="topomap",
        show_names=True,
        axes=axes,
        pointsize=14,
        sphere=_sphere(),
        show=False,
        verbose="error",
    )
    for text in axes.texts:
        text.set_fontsize(7.5)
    return figure


def band_power(frequencies: np.ndarray, spectra: np.ndarray) -> dict[str, np.ndarray]:
    """Power of each class relative to the mean over classes, in decibels, by band; (n_classes, n_channels).

    `spectra` are (n_classes, n_channels, n); classes count equally, however many trials they have.
    """
    found = {}
    for band, (low, high) in BANDS.items():
        power = spectra[..., (frequencies >= low) & (frequencies < high)].mean(axis=-1).astype(float)
        # A flat sensor has no power to compare.
        tiny = np.finfo(float).tiny
        found[band] = 10 * np.log10((power + tiny) / (power.mean(axis=0) + tiny))
    return found


@matplotlib.rc_context(STYLE)
def rhythms(
    classes: Sequence[str],
    names: Sequence[str],
    positions: np.ndarray,
    frequencies: np.ndarray,
    spectra: np.ndarray,
) -> Figure:
    """Maps of mu and beta power of each class relative to the mean over classes (see `band_power`)."""
    figure = new_figure(2.1 * len(classes) + 1.0, 2.3 * len(BANDS))
    grid = figure.subplots(len(BANDS), len(classes), squeeze=False)
    for axes, name in zip(grid[0], classes, strict=True):
        axes.set_title(name)
    for row, (band, power) in zip(grid, band_power(frequencies, spectra).items(), strict=True):
        limit = max(float(np.abs(power).max()), 0.1)
        for axes, values in zip(row, power, strict=True):
            image = _map(axes, values, names, positions, limit)
        low, high = BANDS[band]
        row[0].set_ylabel(f"{band}\n{low:g} to {high:g} Hz")
        figure.colorbar(image, ax=list(row), label="Power (dB)", shrink=0.8)
    return figure


def central_sensors(names: Sequence[str], positions: np.ndarray) -> list[int]:
    """Indices of C3, Cz and C4, by name, else of the sensors nearest to them where positions are known."""
    found = []
    for wanted in ("C3", "Cz", "C4"):
        if wanted in names:
            found.append(list(names).index(wanted))
        elif can_be_drawn(positions):
            distance = np.linalg.norm(positions - _template()[wanted], axis=1)
            found.append(int(np.nanargmin(distance)))
    return list(dict.fromkeys(found))


@matplotlib.rc_context(STYLE)
def spectrum(
    classes: Sequence[str], names: Sequence[str], frequencies: np.ndarray, spectra: np.ndarray
) -> Figure:
    """Mean spectrum of each class at a few sensors; (n_classes, n_sensors, n), in µV²/Hz."""
    shown = (frequencies >= 2) & (frequencies <= 45)
    figure, axes = panels(len(names), 3.6, 3.2, sharey=True)
    handles: dict[str, Any] = {}
    for i, (panel, name) in enumerate(zip(axes, names, strict=True)):
        for band, (low, high) in BANDS.items():
            panel.axvspan(low, high, color=GREY, alpha=0.10 if band == "mu" else 0.05, linewidth=0)
            panel.text(
                (low + high) / 2, 0.98, band, transform=panel.get_xaxis_transform(), ha="center", va="top"
            )
        for k, label in enumerate(classes):
            decibels = 10 * np.log10(np.maximum(spectra[k, i, shown], 1e-12))
            (handles[label],) = panel.plot(
                frequencies[shown],
                decibels,
                color=COLOURS[k % len(COLOURS)],
                linestyle=LINES[(k + 1) % len(LINES)],
                linewidth=1.6,
            )
        panel.set(title=name, xlabel="Frequency (Hz)")
    low, high = axes[0].get_ylim()
    axes[0].set_ylim(low, high + 0.12 * (high - low))  # room for the names of the bands
    axes[0].set_ylabel("Power density (dB re 1 µV²/Hz)")
    legend(figure, handles)
    return figure


@matplotlib.rc_context(STYLE)
def patterns(found: Sequence[Pattern], names: Sequence[str], positions: np.ndarray) -> Figure:
    """Maps of the activation patterns of a network's units, each on its own scale."""
    figure, axes = panels(len(found), 2.2, 2.5)
    for panel, pattern in zip(axes, found, strict=True):
        limit = float(np.abs(pattern.values[on_head(positions)]).max())
        image = _map(panel, pattern.values / limit, names, positions, 1.0)
        panel.set_title(
            f"unit {pattern.unit + 1}, about {pattern.peak_hz:.0f} Hz\n"
            f"{100 * pattern.importance:.1f} % of weight",
            fontsize=9,
        )
    figure.colorbar(image, ax=axes, label="Pattern (part of its largest value)", shrink=0.7)
    return figure
