"""First convolution of ShallowFBCSPNet and Deep4Net, over time and sensors."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from eeg_sgdr.networks.build import Network
from eeg_sgdr.networks.fast.tiles import Tiles
from eeg_sgdr.networks.forward import CHUNK


class FirstConvolution:
    """braindecode's ``conv_time_spat`` for crops of windows whose spectra are prepared.

    Prepared are the spectra of the crops' tiles (see `Tiles`), shape (n_frequencies, n_crops, n_tiles, 2 *
    n_channels): for crops of 44 sensors and 1000 samples under filters of 25 taps 1.5 times the memory of
    the crops. ``n_trial_outputs`` is the number of outputs over all crops of a trial.
    """

    def __init__(self, network: Network, tile_length: int | None = None) -> None:
        module: Any = network.module
        self._time, self._spat = module.conv_time_spat.conv_time, module.conv_time_spat.conv_spat
        self._starts, self._crop_samples = network.starts, network.crop_samples
        self.n_filters, n_channels = self._spat.out_channels, self._spat.kernel_size[1]
        n_taps = self._time.kernel_size[0]
        n_outputs = network.crop_samples - n_taps + 1
        self.tiles = Tiles(
            n_outputs, n_taps, n_channels, self.n_filters, analysed_once=True, length=tile_length
        )
        self.n_trial_outputs = network.starts[-1] + n_outputs

    def filters(self) -> tuple[Tensor, Tensor]:
        """Both convolutions as one: weights (n_filters, n_channels, n_taps) and biases (n_filters,)."""
        time, spat = self._time.weight[:, 0, :, 0], self._spat.weight[:, :, 0]
        return torch.einsum("tl,stc->scl", time, spat), spat.sum(2) @ self._time.bias

    def prepare(self, windows: Tensor) -> Tensor:
        """Spectra of all crops of windows (n_trials, n_channels, n_samples)."""
        return self.analyse(windows, windows.dtype)

    def analyse(self, windows: Tensor, dtype: torch.dtype) -> Tensor:
        """Spectra of all crops of windows, rounded to a type."""
        n_crops = len(windows) * len(self._starts)
        tiles = self.tiles
        shape = (tiles.n_frequencies, n_crops, tiles.n_tiles, 2 * windows.shape[1])
        spectra = windows.new_empty(shape, dtype=dtype)
        first = 0
        for chunk in windows.split(CHUNK):
            crops = torch.stack([chunk[..., start : start + self._crop_samples] for start in self._starts], 1)
            values = tiles.analyse(crops.flatten(0, 1).transpose(0, 1)).unflatten(2, (-1, tiles.n_tiles))
            last = first + values.shape[2]
            spectra[:, first:last] = values.permute(0, 2, 3, 1)
            first = last
        return spectra

    def spectra(self, prepared: Tensor, crops: Tensor) -> Tensor:
        """Spectra of numbered crops, shape (n_frequencies, 2 * n_channels, n * n_tiles)."""
        return prepared.index_select(1, crops.to(prepared.device)).flatten(1, 2).mT

    def trial_outputs(self, prepared: Tensor) -> Iterator[Tensor]:
        """Convolutions of whole trials without bias, in chunks (n_filters, n, n_trial_outputs).

        They are joined from a minimal set of the crops' tiles.
        """
        tiles, starts = self.tiles, self._starts
        weight, _ = self.filters()
        ends = [min((i + 1) * tiles.size, tiles.n_outputs) for i in range(tiles.n_tiles)]
        stretches = [(start + i * tiles.size, start + end) for start in starts for i, end in enumerate(ends)]
        cover = _cover(stretches)
        chosen = torch.tensor([tile for tile, _, _ in cover], device=prepared.device)
        per_trial = prepared.unflatten(1, (-1, len(starts))).flatten(2, 3)
        for chunk in per_trial.split(CHUNK, 1):
            spectra = chunk.index_select(2, chosen).flatten(1, 2).mT
            y = tiles.synthesise(tiles.products(weight, spectra), len(cover))
            y = y.unflatten(2, (len(cover), tiles.size))
            yield torch.cat([y[:, :, i, first:last] for i, (_, first, last) in enumerate(cover)], 2)


def trial_readout(readout: Tensor, starts: tuple[int, ...]) -> Tensor:
    """Weights (..., starts[-1] + n_times) of a trial's features for the mean over its crops of a readout.

    ``readout`` (..., n_times) is multiplied with the features of one crop.
    """
    n_times = readout.shape[-1]
    result = readout.new_zeros(*readout.shape[:-1], starts[-1] + n_times)
    for start in starts:
        result[..., start : start + n_times] += readout / len(starts)
    return result


def _cover(stretches: list[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """Few stretches (first, end) that leave no gap: index of each, and the part of it used."""
    cover, reached = [], 0
    while reached < max(end for _, end in stretches):
        best = max(
            (i for i, (first, _) in enumerate(stretches) if first <= reached), key=lambda i: stretches[i][1]
        )
        first, end = stretches[best]
        cover.append((best, reached - first, end - first))
        reached = end
    return cover
