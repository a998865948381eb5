"""Memory that ran out ends in one sentence; any other error stays what it is."""

import numpy as np
import pytest
import torch

from eeg_sgdr.errors import UserError, memory_errors


def cuda():
    raise torch.cuda.OutOfMemoryError("CUDA out of memory.\nTried to allocate 2.00 GiB.")


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda: torch.empty(2**58), "RuntimeError: .*DefaultCPUAllocator: "),
        (lambda: np.empty(2**58), "MemoryError: Unable to allocate 2.00 EiB"),
        (lambda: bytearray(2**62), "MemoryError: "),
        (cuda, r"OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."),
    ],
    ids=["torch", "numpy", "Python", "CUDA"],
)
def test_it_is_told_in_one_sentence(ask, words):
    said = rf"^subject 1: memory ran out \({words}.*\); ask for less.$"
    with pytest.raises(UserError, match=said), memory_errors("subject 1", "ask for less"):
        ask()


def test_other_errors_are_raised_as_they_are():
    with pytest.raises(RuntimeError, match="size of tensor"), memory_errors("subject 1", "ask for less"):
        torch.zeros(2) + torch.zeros(3)
