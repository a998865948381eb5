"""Convolution over time as matrix products: short Fourier transforms of overlapping tiles.

A convolution y[f, t] = sum over c, l of w[f, c, l] x[c, t + l] of F filters with K taps over C inputs
costs 2 F C K operations for every t. Cut the outputs into tiles of m. Those of a tile depend on
N = m + K - 1 samples only, and are a circular convolution of length N, in which only the other K - 1
outputs are wrapped around:

    y[f, j] = 1/N sum over k of e^(2 pi i k j / N) Y[f, k],
    Y[f, k] = sum over c of W[f, c, k] X[c, k],
    W[f, c, k] = sum over l of w[f, c, l] e^(2 pi i k l / N),
    X[c, k] = sum over n of x[c, n] e^(-2 pi i k n / N).

For real signals k = 0 ... N // 2 suffices (the others are their conjugates, so these count twice, but
for 0 and N / 2). X does not depend on the filters and is computed once. What is left for every tile
are 8 F C operations for each of N / 2 frequencies, and 2 N m F for the way back: for 44 inputs,
40 filters of 25 taps and m = 61 five times fewer than directly, all of them matrix products, which
run at the speed of the machine and leave y in whichever order of axes is wanted. A fast Fourier
transform instead of the last product would have fewer operations still, but costs more time (4 ms
against 3 ms for 60 crops), for its input has to be rearranged first.

Complex numbers are kept as pairs of real ones, (re, im), so that the product over inputs is one real
matrix product for every frequency,

    (Re Y, Im Y) = ((Re W, -Im W), (Im W, Re W)) (Re X, Im X).
"""

import math

import torch
from torch import Tensor

#: Operations of a matrix product in the time in which one number goes to or comes from the memory, when all
#: cores do so at once: 70 GFLOP/s beside some 14 GB/s.
MOVE = 20


class Tiles:
    """Tiles of the outputs of one convolution, and the matrices of their transforms.

    A stretch of ``n_outputs + n_taps - 1`` samples has n_tiles tiles of ``size`` outputs (m) from
    ``length`` samples (N); the last may reach beyond it, where the signal is taken to be zero. Their number
    is that of the least time, from the operations and from the memory traffic of the spectra;
    ``analysed_once`` leaves out the cost of the inputs' spectra, which are prepared. With a given ``length``
    tiles are as many as it takes.
    """

    def __init__(
        self,
        n_outputs: int,
        n_taps: int,
        n_inputs: int,
        n_filters: int,
        *,
        analysed_once: bool,
        length: int | None = None,
    ) -> None:
        def time(n_tiles: int) -> int:
            size = math.ceil(n_outputs / n_tiles)
            length = size + n_taps - 1
            operations = 8 * n_filters * n_inputs + 4 * size * n_filters
            if not analysed_once:
                operations += 4 * length * n_inputs
            # Pairs (re, im): inputs are gathered and read, outputs written and read.
            moved = 2 * (3 * n_inputs + 2 * n_filters)
            return n_tiles * (length // 2 + 1) * (operations + MOVE * moved)

        self.n_outputs = n_outputs
        self.n_taps = n_taps
        self.n_samples = n_outputs + n_taps - 1
        if length is None:
            self.n_tiles = min(range(1, n_outputs + 1), key=time)
            self.size = math.ceil(n_outputs / self.n_tiles)
        else:
            self.size = length - n_taps + 1
            self.n_tiles = math.ceil(n_outputs / self.size)
        self.length = self.size + n_taps - 1
        self.n_frequencies = self.length // 2 + 1
        self._matrices: dict[tuple[torch.dtype, torch.device], tuple[Tensor, Tensor, Tensor]] = {}

    def analyse(self, signals: Tensor) -> Tensor:
        """Spectra (X above) of signals (n_inputs, n, n_samples): (n_frequencies, 2 * n_inputs, n * n_tiles).

        Real parts of all inputs, then imaginary ones.
        """
        analysis, _, _ = self._transforms(signals)
        beyond = self.n_tiles * self.size - self.n_outputs
        tiles = torch.nn.functional.pad(signals, (0, beyond)).unfold(2, self.length, self.size)
        spectra = analysis @ tiles.reshape(-1, self.length).T
        return spectra.view(self.n_frequencies, 2 * len(signals), -1)

    def analyse_adjoint(self, gradient: Tensor) -> Tensor:
        """Gradient by the signals from that by their spectra."""
        analysis, _, _ = self._transforms(gradient)
        n_inputs = gradient.shape[1] // 2
        tiles = gradient.view(2 * self.n_frequencies, -1).T @ analysis
        tiles = tiles.view(n_inputs, -1, self.n_tiles, self.length)
        if self.n_tiles == 1:
            return tiles[:, :, 0, : self.n_samples]
        signals = tiles.new_zeros(n_inputs, tiles.shape[1], (self.n_tiles - 1) * self.size + self.length)
        for i in range(self.n_tiles):
            signals[..., i * self.size : i * self.size + self.length] += tiles[:, :, i]
        return signals[..., : self.n_samples]

    def products(self, weight: Tensor, spectra: Tensor) -> Tensor:
        """Spectra of the outputs' tiles (Y above), shape (n_frequencies, 2, n_filters, n * n_tiles).

        The sum over inputs, for each frequency; weights are (n_filters, n_inputs, n_taps).
        """
        return torch.bmm(self._filter_matrices(weight), spectra).unflatten(1, (2, -1))

    def products_adjoint(self, gradient: Tensor, spectra: Tensor) -> Tensor:
        """Gradient by the weight from that by `products`."""
        n_filters = gradient.shape[2]
        matrices = torch.bmm(gradient.flatten(1, 2), spectra.mT)
        matrices = matrices.view(self.n_frequencies, 2, n_filters, 2, -1)
        real = matrices[:, 0, :, 0] + matrices[:, 1, :, 1]
        imaginary = matrices[:, 1, :, 0] - matrices[:, 0, :, 1]
        return self.filters_adjoint(torch.stack([real, imaginary], 1))

    def filters(self, weight: Tensor) -> Tensor:
        """Filters' spectra (W above), shape (n_frequencies, 2, n_filters, n_inputs)."""
        _, taps, _ = self._transforms(weight)
        return (taps @ weight.flatten(0, 1).T).view(self.n_frequencies, 2, *weight.shape[:2])

    def filters_adjoint(self, gradient: Tensor) -> Tensor:
        """Gradient by the weight from that by `filters`."""
        _, taps, _ = self._transforms(gradient)
        filters = gradient.reshape(2 * self.n_frequencies, -1)
        return (filters.T @ taps).view(*gradient.shape[2:], self.n_taps)

    def products_adjoint_to_spectra(self, gradient: Tensor, weight: Tensor) -> Tensor:
        """Gradient by the spectra of the inputs from that by `products`."""
        return torch.bmm(self._filter_matrices(weight).mT, gradient.flatten(1, 2))

    def synthesise(self, products: Tensor, n_tiles: int, out: Tensor | None = None) -> Tensor:
        """Outputs (n_filters, n, n_tiles * size) from the spectra of their tiles; ``out`` is contiguous."""
        _, _, outputs = self._transforms(products)
        if out is None:
            n = products.shape[3] // n_tiles
            out = products.new_empty(products.shape[2], n, n_tiles * self.size)
        torch.mm(products.flatten(2).flatten(0, 1).T, outputs, out=out.view(-1, self.size))
        return out

    def synthesise_adjoint(self, gradient: Tensor, out: Tensor) -> None:
        """Gradient by the products from that by the outputs, put into ``out``."""
        _, _, outputs = self._transforms(gradient)
        torch.mm(outputs, gradient.view(-1, self.size).T, out=out.flatten(2).flatten(0, 1))

    def _filter_matrices(self, weight: Tensor) -> Tensor:
        """((Re W, -Im W), (Im W, Re W)), shape (n_frequencies, 2 * n_filters, 2 * n_inputs)."""
        real, imaginary = self.filters(weight).unbind(1)
        return torch.cat([torch.cat([real, -imaginary], 2), torch.cat([imaginary, real], 2)], 1)

    def _transforms(self, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Matrices from samples, from taps, and to outputs, of a tensor's type and device."""
        key = (like.dtype, like.device)
        if key not in self._matrices:
            frequency = torch.arange(self.n_frequencies, dtype=torch.float64)[:, None]
            angle = 2 * math.pi / self.length * frequency * torch.arange(self.length)
            twice = torch.where((2 * frequency) % self.length == 0, 1.0, 2.0)
            cosine, sine = torch.cos(angle), torch.sin(angle)
            samples = torch.stack([cosine, -sine], 1).flatten(0, 1)
            taps = torch.stack([cosine, sine], 1).flatten(0, 1)[:, : self.n_taps]
            outputs = torch.stack([twice * cosine, -twice * sine], 1).flatten(0, 1)[:, : self.size]
            self._matrices[key] = (samples.to(like), taps.to(like), (outputs / self.length).to(like))
        return self._matrices[key]
