"""Names, types, positions and trigger channels of a lab's recordings."""

from datetime import UTC, datetime

import mne
import numpy as np
import pytest

from eeg_sgdr.data.sources.channels import apply_settings
from eeg_sgdr.errors import UserError
from eeg_sgdr.settings import LabRecordings

SFREQ = 128


def raw_of(triggers=(), annotations=(), first_samp=0, date=None):
    data = np.zeros((5, 10 * SFREQ))
    for samples, code in triggers:
        data[4, samples] = code
    info = mne.create_info(["C3", "Cz", "C4", "EOG", "Trigger"], SFREQ, ["eeg"] * 4 + ["stim"])
    info.set_meas_date(date)
    raw = mne.io.RawArray(data, info, first_samp=first_samp, verbose="error")
    return raw.set_annotations(mne.Annotations([1.0] * len(annotations), 1.0, annotations))


def adapted(raw, **keys):
    return apply_settings(raw, LabRecordings(classes={"left": "1", "right": "2"}, **keys), "here")


def test_names_types_and_positions():
    keys = {"rename": {"C3": "FC5", "Cz": "fcz"}, "channel_types": {"C4": "misc", "EOG": "eog"}}
    raw = adapted(raw_of(), montage="standard_1005", **keys)
    assert raw.ch_names == ["FC5", "fcz", "C4", "EOG", "Trigger"]
    assert raw.get_channel_types() == ["eeg", "eeg", "misc", "eog", "stim"]
    places = raw.get_montage().get_positions()["ch_pos"]
    assert places["FC5"][0] < -0.05 < places["fcz"][0] < 0.01


def test_nothing_is_guessed():
    raw = adapted(raw_of(annotations=["1"]))
    assert raw.get_montage() is None
    assert raw.get_channel_types() == ["eeg"] * 4 + ["stim"]
    assert list(raw.annotations.description) == ["1"]


def test_only_samples_that_cannot_be_volts_are_refused():
    """Offsets and drifts of any size can be, and so can a few sensors of anything."""
    noise = np.random.default_rng(0).normal(scale=2e-5, size=(4, 20 * SFREQ))
    drifting = noise + 0.3 + 1e-3 * np.arange(20 * SFREQ) / SFREQ
    info = mne.create_info(4, SFREQ, "eeg")
    for factors in ([1, 1, 1, 1], [0, 1, 1e6, 1e6], [10, 10, 10, 10]):
        raw = mne.io.RawArray(drifting + noise * np.array([factors]).T, info, verbose="error")
        np.testing.assert_array_equal(adapted(raw.copy()).get_data(), raw.get_data())
    for factors in ([1e3, 1e3, 1e3, 1e3], [0, 1e6, 1e6, 1e6]):
        with pytest.raises(UserError, match="here: its EEG is of .* recordings.units"):
            adapted(mne.io.RawArray(noise * np.array([factors]).T, info, verbose="error"))


def test_a_montage_of_mne_or_from_a_file(tmp_path):
    keys = {"channel_types": {"EOG": "eog"}}
    places = {"C3": (-50, 10, 80), "Cz": (0, 10, 100), "C4": (50, 10, 80), "x": (0, 90, 0)}
    lines = ["\t".join(map(str, (i, *place, name))) for i, (name, place) in enumerate(places.items())]
    cap = tmp_path / "cap.xyz"
    cap.write_text("\n".join(lines))
    for montage in ("biosemi64", "standard_1020", "colin27_1020", str(cap)):
        raw = adapted(raw_of(), montage=montage, **keys)
        assert set(raw.get_montage().get_positions()["ch_pos"]) == {"C3", "Cz", "C4"}
    cap.write_text("no table")
    with pytest.raises(UserError, match=r"recordings.montage: .*cap.xyz cannot be read \(.*; name another"):
        adapted(raw_of(), montage=str(cap), **keys)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"rename": {"C9": "C3"}}, r"here: no channel C9; correct recordings.rename \(there are C3, C4, Cz"),
        ({"rename": {"C3": "Cz"}}, "here: .*unique.*; correct recordings.rename"),
        ({"channel_types": {"Eog": "eog"}}, "here: no channel Eog; correct recordings.channel_types"),
        ({"channel_types": {"EOG": "EOG"}}, "here: .*EOG.*; correct recordings.channel_types"),
        ({"montage": "standard_1005"}, "here: montage standard_1005 has no position of EOG; rename .* type"),
        ({"montage": "my_cap"}, "recordings.montage: my_cap is neither a file nor one of MNE's montages"),
        ({"events": {"channel": "Status"}}, "here: no channel Status; correct recordings.events.channel"),
    ],
)
def test_what_does_not_fit_is_said_in_one_sentence(keys, message):
    with pytest.raises(UserError, match=message):
        adapted(raw_of(), **keys)


@pytest.mark.parametrize(
    ("keys", "samples", "codes"),
    [
        ({}, [100, 150, 400], [1, 2, 1]),  # a code that falls is not new
        ({"consecutive": True}, [100, 150, 200, 400], [1, 2, 1, 1]),
        ({"consecutive": False}, [100, 400], [1, 1]),
        ({"mask": 1}, [100, 200, 400], [1, 1, 1]),
    ],
)
def test_codes_of_a_trigger_channel(keys, samples, codes):
    raw = raw_of([(slice(100, 150), 1), (slice(150, 200), 2), (slice(200, 250), 1), (slice(400, 410), 1)])
    raw = adapted(raw, events={"channel": "Trigger", **keys})
    assert list(raw.annotations.description) == [str(code) for code in codes]
    np.testing.assert_allclose(raw.annotations.onset * SFREQ, samples)


@pytest.mark.parametrize("date", [None, datetime(2020, 1, 1, tzinfo=UTC)])
@pytest.mark.parametrize("first_samp", [0, 500])
def test_with_a_trigger_channel_only_bad_stretches_of_the_annotations_stay(date, first_samp):
    """In a recording that begins late, too, with and without a time of origin."""
    raw = raw_of([(slice(640, 650), 2)], ["note", "BAD_move", "2"], first_samp, date)
    raw = adapted(raw, events={"channel": "Trigger"})
    assert list(raw.annotations.description) == ["BAD_move", "2"]
    np.testing.assert_allclose(raw.annotations.onset - raw.first_time, [1.0, 5.0])
    np.testing.assert_allclose(raw.annotations.duration, [1.0, 0.0])


def test_glitches_of_a_trigger_channel_are_refused():
    glitch = [(100, 1), (101, 2)]
    with pytest.raises(UserError, match="here: no cues in channel Trigger .*; correct recordings.events"):
        adapted(raw_of(glitch), events={"channel": "Trigger"})
    raw = adapted(raw_of(glitch), events={"channel": "Trigger", "shortest_event": 1})
    assert list(raw.annotations.description) == ["1", "2"]
