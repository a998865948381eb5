"""From files to samples: chunk by chunk is the same as all at once, and every step is what it says."""

import pickle
from fractions import Fraction

import mne
import numpy as np
import pytest
from conftest import make_raw
from scipy import signal

from eeg_sgdr.data import raw as raw_module
from eeg_sgdr.data.filters import common_sensors
from eeg_sgdr.data.raw import flat_sensors, load_microvolts, n_chunks
from eeg_sgdr.data.sources.channels import montage_1005
from eeg_sgdr.errors import UserError
from eeg_sgdr.settings import Preprocessing

NAMES = ("C3", "Cz", "C4", "FCz", "CPz")


def marked(*bads):
    raw = make_raw(names=NAMES).set_montage(montage_1005())
    raw.info["bads"] = list(bads)
    raw._data[1] = 1.0
    return raw


def volts(raw, **settings):
    config = Preprocessing(**settings)
    return load_microvolts(raw, common_sensors([raw], config, "x"), config, "x").get_data() * 1e-6


@pytest.mark.parametrize(("old", "new"), [(200.0, 100.0), (160.0, 250.0), (128.0, 160.0), (100.0, 100.0)])
def test_chunks_make_up_the_resampled_whole(old, new, monkeypatch):
    monkeypatch.setattr(raw_module, "CHUNK_S", 1.3)
    raw = make_raw(sfreq=old).crop(tmax=30.0)  # an odd number of samples
    expected = raw.get_data()
    if new != old:
        up, down = Fraction(round(new), round(old)).as_integer_ratio()
        expected = signal.resample_poly(expected, up, down, axis=1, padtype="reflect")
    ours = load_microvolts(raw, raw.ch_names, Preprocessing(resample_hz=new), "x")
    assert ours.info["sfreq"] == new
    np.testing.assert_array_equal(ours.get_data(), expected * 1e6)


def test_a_file_is_read_chunk_by_chunk_and_not_changed(tmp_path, monkeypatch):
    monkeypatch.setattr(raw_module, "CHUNK_S", 4)
    raw, path = make_raw(), tmp_path / "x_raw.fif"
    raw.save(path, fmt="double", verbose="error")
    lazy = mne.io.read_raw_fif(path, verbose="error")
    read = []
    ours = load_microvolts(lazy, ["C4", "C3"], Preprocessing(), "x", lambda: read.append(1))
    assert not lazy.preload
    assert len(read) == n_chunks(lazy) == 9
    np.testing.assert_array_equal(ours.get_data(), raw.get_data(picks=["C4", "C3"]) * 1e6)
    assert ours.ch_names == ["C4", "C3"]


def test_what_came_from_another_process_is_read_as_well():
    """NumPy does not take a type that was pickled for the very same, which MNE's copy=None refuses."""
    raw = make_raw()
    there = pickle.loads(pickle.dumps(raw))
    np.testing.assert_array_equal(volts(there, resample_hz=50), volts(raw, resample_hz=50))


def test_bad_channels_are_interpolated_dropped_or_kept():
    raw = marked("Cz")
    assert (volts(raw, bads="keep")[1] == 1.0).all()
    np.testing.assert_allclose(volts(raw, bads="drop"), raw.get_data(picks=["C3", "C4", "FCz", "CPz"]))
    expected = raw.copy().interpolate_bads(verbose="error").get_data()
    np.testing.assert_allclose(volts(raw, bads="interpolate"), expected, rtol=1e-9, atol=1e-15)


def test_interpolation_without_positions_is_refused():
    with pytest.raises(UserError, match="x: Cz cannot be interpolated"):
        volts(marked("Cz").set_montage(None))


@pytest.mark.parametrize("bads", ["drop", "keep"])
def test_the_average_reference_is_that_of_the_good_sensors(bads):
    raw = marked("Cz")
    expected = raw.get_data() - raw.get_data(picks=[0, 2, 3, 4]).mean(axis=0)
    kept = [0, 2, 3, 4] if bads == "drop" else slice(None)
    np.testing.assert_allclose(volts(raw, reference="average", bads=bads), expected[kept], atol=1e-18)
    # Sensors that are not picked are part of it.
    few = volts(raw, reference="average", bads=bads, sensors=["C4"])
    np.testing.assert_allclose(few, expected[[2]], atol=1e-18)


def test_the_average_reference_is_that_of_mne():
    raw = marked("Cz")
    expected = raw.copy().interpolate_bads(verbose="error").set_eeg_reference("average", verbose="error")
    np.testing.assert_allclose(volts(raw, reference="average"), expected.get_data(), rtol=1e-9, atol=1e-15)


def test_sensors_named_as_reference_are_subtracted_and_left_out():
    raw = make_raw(names=NAMES)
    x, ours = raw.get_data(), volts(raw, reference=["FCz", "CPz"])
    np.testing.assert_allclose(ours, x[:3] - (x[3] + x[4]) / 2, atol=1e-18)
    kept = volts(raw, reference=["FCz"], sensors=["C3", "FCz"])
    np.testing.assert_allclose(kept, np.array([x[0] - x[3], 0 * x[3]]), atol=1e-18)


def test_a_reference_that_cannot_be_had_is_refused():
    said = r"no EEG sensor A1 in every recording; name .* preprocessing.reference"
    with pytest.raises(UserError, match=said):
        volts(marked(), reference=["A1"])
    with pytest.raises(UserError, match="x: FCz is marked as bad; name another preprocessing.reference"):
        volts(marked("FCz"), reference=["FCz"], bads="drop")
    with pytest.raises(UserError, match="every EEG sensor is marked as bad"):
        volts(marked(*NAMES), reference="average", bads="keep")


def test_eeg_must_be_there_and_finite():
    raw = make_raw(names=("C3", "Cz", "EOG"))
    raw.set_channel_types({"EOG": "eog"})
    raw._data[2] = np.nan
    assert flat_sensors(raw, "x") == []
    raw._data[1, 5] = np.nan
    with pytest.raises(UserError, match="NaN or infinite values in Cz"):
        flat_sensors(raw, "x")
    raw.info["bads"] = ["Cz"]
    flat_sensors(raw, "x")
    with pytest.raises(UserError, match="has no EEG channels"):
        flat_sensors(raw.copy().pick("EOG"), "x")


def test_flat_is_what_never_changes_in_any_chunk(monkeypatch):
    monkeypatch.setattr(raw_module, "CHUNK_S", 10)
    raw = make_raw()
    raw._data[2] = 3e-6
    raw._data[1] = 1e-6 * (raw.times > 15)  # flat in most chunks, but not over all
    assert flat_sensors(raw, "x") == ["C4"]


def test_a_truncated_file_is_refused_in_one_sentence(tmp_path):
    path = tmp_path / "x_raw.fif"
    make_raw().save(path, verbose="error")
    raw = mne.io.read_raw_fif(path, verbose="error")
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(UserError, match=r"x: its samples cannot be read .*; replace the file\."):
        flat_sensors(raw, "x")
