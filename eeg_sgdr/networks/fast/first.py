"""The convolution over time and sensors that ShallowFBCSPNet and Deep4Net begin with."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from eeg_sgdr.networks.build import Network
from eeg_sgdr.networks.fast.tiles import Tiles
from eeg_sgdr.networks.forward import CHUNK


class FirstConvolution:
    """braindecode's ``conv_time_spat`` for crops of windows whose spectra are prepared.

    Prepared are the spectra of the crops' tiles (see `Tiles`), shape (n_frequencies, n_crops, n_tiles,
    2 * n_channels): for crops of 44 sensors and 1000 samples under filters of 25 taps 1.5 times the
    memory of the crops.

    Parameters
    ----------
    network : Network
        Whose module has a ``conv_time_spat``.

    Attributes
    ----------
    tiles : Tiles
    n_filters : int
    n_trial_outputs : int
        Outputs in time over the stretch of a trial on which there are crops.
    """

    def __init__(self, network: Network) -> None:
        module: Any = network.module
        self._time, self._spat = module.conv_time_spat.conv_time, module.conv_time_spat.conv_spat
        self._starts, self._crop_samples = network.starts, network.crop_samples
        self.n_filters, n_channels = self._spat.out_channels, self._spat.kernel_size[1]
        n_taps = self._time.kernel_size[0]
        n_outputs = network.crop_samples - n_taps + 1
        self.tiles = Tiles(n_outputs, n_taps, n_channels, self.n_filters, analysed_once=True)
        self.n_trial_outputs = network.starts[-1] + n_outputs

    def filters(self) -> tuple[Tensor, Tensor]:
        """Both convolutions as one: weights (n_filters, n_channels, n_taps) and biases (n_filters,)."""
        time, spat = self._time.weight[:, 0, :, 0], self._spat.weight[:, :, 0]
        return torch.einsum("tl,stc->scl", time, spat), spat.sum(2) @ self._time.bias

    def prepare(self, windows: Tensor) -> Tensor:
        """Spectra of all crops of some windows (n_trials, n_channels, n_samples), as described above."""
        n_crops = len(windows) * len(self._starts)
        tiles = self.tiles
        spectra = windows.new_empty(tiles.n_frequencies, n_crops, tiles.n_tiles, 2 * windows.shape[1])
        n_done = 0
        for some in windows.split(CHUNK):
            crops = torch.stack([some[..., start : start + self._crop_samples] for start in self._starts], 1)
            of_some = tiles.analyse(crops.flatten(0, 1).transpose(0, 1)).unflatten(2, (-1, tiles.n_tiles))
            n_some = of_some.shape[2]
            spectra[:, n_done : n_done + n_some] = of_some.permute(0, 2, 3, 1)
            n_done += n_some
        return spectra

    def spectra(self, prepared: Tensor, crops: Tensor) -> Tensor:
        """Spectra of some crops, shape (n_frequencies, 2 * n_channels, n * n_tiles)."""
        return prepared.index_select(1, crops.to(prepared.device)).flatten(1, 2).mT

    def over_trials(self, prepared: Tensor) -> Iterator[Tensor]:
        """Convolutions of whole trials, less the bias, some trials at a time.

        They are put together from tiles of the trials' crops, of which just enough are taken.

        Yields
        ------
        outputs : Tensor, shape (n_filters, n, n_trial_outputs)
        """
        tiles, starts = self.tiles, self._starts
        weight, _ = self.filters()
        ends = [min((i + 1) * tiles.size, tiles.n_outputs) for i in range(tiles.n_tiles)]
        stretches = [(start + i * tiles.size, start + end) for start in starts for i, end in enumerate(ends)]
        cover = _cover(stretches)
        chosen = torch.tensor([tile for tile, _, _ in cover], device=prepared.device)
        per_trial = prepared.unflatten(1, (-1, len(starts))).flatten(2, 3)
        for some in per_trial.split(CHUNK, 1):
            spectra = some.index_select(2, chosen).flatten(1, 2).mT
            y = tiles.synthesise(tiles.products(weight, spectra), len(cover))
            y = y.unflatten(2, (len(cover), tiles.size))
            yield torch.cat([y[:, :, i, first:last] for i, (_, first, last) in enumerate(cover)], 2)


def over_trial(readout: Tensor, starts: tuple[int, ...]) -> Tensor:
    """What reads the mean over a trial's crops from the features of the trial.

    Parameters
    ----------
    readout : Tensor, shape (..., n_times)
        What is multiplied with the features of a crop.
    starts : tuple of int
        First sample of each crop.

    Returns
    -------
    readout : Tensor, shape (..., starts[-1] + n_times)
    """
    n_times = readout.shape[-1]
    result = readout.new_zeros(*readout.shape[:-1], starts[-1] + n_times)
    for start in starts:
        result[..., start : start + n_times] += readout / len(starts)
    return result


def _cover(stretches: list[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """Few of some stretches (first, end) that leave no gap, each with the part of it that is taken."""
    cover, reached = [], 0
    while reached < max(end for _, end in stretches):
        best = max(
            (i for i, (first, _) in enumerate(stretches) if first <= reached), key=lambda i: stretches[i][1]
        )
        first, end = stretches[best]
        cover.append((best, reached - first, end - first))
        reached = end
    return cover
