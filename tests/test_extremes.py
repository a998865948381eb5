"""Numbers of a configuration at their extremes end in exit status 0 or 2; more by benchmarks/extremes.py."""

import math
from fractions import Fraction

import extremes
import pytest

from eeg_sgdr import dry_run
from eeg_sgdr import settings as config
from eeg_sgdr.settings.types import Model


@pytest.fixture(scope="module")
def with_recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("extremes")
    extremes.write_recordings(folder)
    return folder


@pytest.mark.parametrize("example", extremes.draw(20, seed=0), ids=str)
def test_runs_or_is_refused_in_a_sentence(example, with_recordings, tmp_path, monkeypatch, offline):
    monkeypatch.chdir(with_recordings)
    monkeypatch.setattr(dry_run, "MEASURE_S", 0)
    assert extremes.problem(example, tmp_path) == ""


def all_models(model=Model):
    for child in model.__subclasses__():
        yield child
        yield from all_models(child)


def test_every_number_is_drawn_and_has_bounds():
    studies = [config.validate(data, name) for name, data in extremes.studies().items()]
    leaves = [leaf for settings in studies for leaf in extremes.leaves(settings)]
    unbounded = {leaf.name for leaf in leaves if not (math.isfinite(leaf.low) and math.isfinite(leaf.high))}
    assert unbounded == {leaf.name for leaf in leaves if leaf.of is Fraction}  # bounded by a validator
    drawn = {(model, leaf.field) for leaf in leaves for model in leaf.model.__mro__}
    for model in all_models():
        if model.__module__.startswith("eeg_sgdr"):
            assert [name for name in extremes.numeric_fields(model) if (model, name) not in drawn] == []
