"""The parts of a subject's report that hold pictures and tables, each as HTML."""

import numpy as np
import pandas as pd

from eeg_sgdr import metrics, plan
from eeg_sgdr.figures import curves, heads
from eeg_sgdr.pages import prose
from eeg_sgdr.pages.headline import Headline
from eeg_sgdr.pages.markup import bullets, paragraphs, picture, table
from eeg_sgdr.pages.wording import counted, joined, percent, schedule_name, short_name
from eeg_sgdr.patterns import READERS, spatial_patterns
from eeg_sgdr.settings import Settings
from eeg_sgdr.subjects import Subject
from eeg_sgdr.tables import ROW, distinct, records, row_of, seed_by_seed


def _n_seeds(evaluation: pd.DataFrame) -> int:
    return evaluation.loc[evaluation["members"] != "baseline", "seeds"].nunique()


def errors(subject: Subject, found: Headline) -> str:
    """Test error against epochs."""
    evaluation = seed_by_seed(subject.overall)
    n = len(found.y)
    low, high = found.contenders[0].interval
    seeds = _n_seeds(evaluation)
    caption = [
        f"Test error on {counted(n, 'trial')} against the number of epochs trained, on a logarithmic axis as "
        "in the paper.",
        "Points of warm restarts are the cycle ends of one training; a point of any other schedule is a "
        "training of its own, laid out for that many epochs. Ensembles begin where they average two "
        "snapshots.",
        f"How to judge it: one trial is {percent(1 / n)} points, and the 95 % interval of a single point is "
        f"about {100 * (high - low):.0f} points wide; differences of a few trials between lines are no "
        "finding.",
    ]
    if seeds > 1:
        caption.insert(
            2, f"Lines are means over the seeds that are there (of {seeds}), small points the seeds."
        )
    if (evaluation["members"] == "baseline").any():
        caption.insert(2, "The level black line is the classical baseline, which has no epochs.")
    figure = curves.errors(evaluation, metrics.chance(found.y))
    return picture(figure, caption, "svg", subject.data["simulated"])


def predictors(subject: Subject, found: Headline) -> str:
    """The table of evaluation."""
    evaluation = distinct(subject.overall)
    with_auc = bool(evaluation["auc"].notna().any())
    several = _n_seeds(evaluation) > 1
    named = {row_of(one.predictor) for one in found.contenders}
    rows, marked = [], []
    for i, row in enumerate(records(evaluation)):
        if tuple(row[name] for name in ROW) in named:
            marked.append(i)
        rows.append(
            [
                row["schedule"],
                "ensemble" if row["members"] == "cycles" else row["members"],
                row["rates"].replace("+", " + "),
                *([row["seeds"]] if several else []),
                str(row["epoch"]),
                str(row["n_networks"]),
                str(row["epochs_spent"]),
                f"{round(row['error'] * row['n_test'])} ({percent(row['error'])} %)",
                percent(row["balanced_accuracy"]),
                *([f"{row['auc']:.3f}"] if with_auc else []),
                f"{row['nll']:.2f}",
                f"{row['brier']:.2f}",
                percent(row["ece"]),
                f"{row['kappa']:.2f}",
            ]
        )
    header = [
        *("Schedule", "Members", "Initial rate", *(["Seed"] if several else []), "Epochs", "Networks"),
        *("Epochs spent", "Errors", "Balanced accuracy (%)", *(["AUC"] if with_auc else [])),
        *("NLL (nats)", "Brier", "ECE (%)", "Kappa"),
    ]
    caption = (
        f"Every predictor on {counted(len(found.y), 'test trial')}; the rows of the first sentence are "
        "shaded."
    )
    return table(header, rows, caption, marked) + paragraphs(
        [
            "Members: single is the last snapshot of each training; an ensemble averages the snapshots of "
            "the last half of the completed cycles (left out where that is one). Networks are averaged; "
            "epochs spent is what they cost in training together.",
            "How to judge it: for error, NLL (negative log-likelihood), Brier score and ECE (expected "
            "calibration error) lower is better, for the others higher. Rows are many and trials few: the "
            "best row of such a table is best by luck as much as by merit, and is no estimate of its own "
            "error.",
        ]
    )


def judgements(subject: Subject, settings: Settings, found: Headline) -> str:
    """Confusion matrices and reliability of the two predictors of the first sentence."""
    by_name = {short_name(settings, one.predictor): one.probabilities for one in found.contenders}
    on = f"{counted(len(found.y), 'test trial')}"
    simulated = subject.data["simulated"]
    confusions = [
        f"Confusion matrices of the predictors of the first sentence on {on}.",
        "Numbers are trials; shades are their share of the true class. How to judge it: right answers lie on "
        "the diagonal from upper left to lower right; a dark field beside it means two classes that are "
        "taken for one another.",
    ]
    reliabilities = [
        f"Reliability of the same predictors on the same {on}.",
        "Above: trials are grouped by the probability of the class that was predicted; points are how many "
        "of each group were right, with exact 95 % intervals. Below: how many trials each group has. How to "
        "judge it: on the dotted line probabilities can be believed as they are; points below it mean too "
        "much confidence. Where an interval crosses the line, the trials are too few to say.",
    ]
    return picture(
        curves.confusion(found.y, by_name, subject.data["classes"]), confusions, "svg", simulated
    ) + picture(curves.reliability(found.y, by_name), reliabilities, "svg", simulated)


def recordings(subject: Subject) -> str:
    """What the data was: trials, sensors, rhythms and spectra."""
    data, trials = subject.data, subject.trials
    kept = trials["rejected"] == ""
    rows = []
    for part in ("train", "test"):
        for name in data["classes"]:
            here = (trials["split"] == part) & (trials["class"] == name)
            rows.append([part, name, str((here & kept).sum()), str((here & ~kept).sum())])
    return (
        table(["Split", "Class", "Used", "Rejected"], rows, "Trials of each class.")
        + bullets(prose.rejections(subject))
        + _rhythms(subject)
    )


def _rhythms(subject: Subject) -> str:
    data, summary, simulated = subject.data, subject.summary, subject.data["simulated"]
    classes, names, positions = data["classes"], data["sensors"], summary["positions"]
    frequencies, spectra = summary["frequencies"], summary["spectra"]
    trials = subject.trials
    used = trials.loc[(trials["split"] == "train") & (trials["rejected"] == ""), "class"].value_counts()
    on = f"over the training trials ({', '.join(f'{name} {used[name]}' for name in classes)})"
    html = ""
    if heads.can_be_drawn(positions):
        html += picture(
            heads.sensors(names, positions),
            [
                f"The {counted(int(heads.on_head(positions).sum()), 'sensor')} whose places are known, of "
                f"{len(names)} used; from above, nose up."
            ],
            "svg",
            simulated,
        )
        html += picture(
            heads.rhythms(classes, names, positions, frequencies, spectra),
            [
                f"Mu and beta power of each class, relative to the mean over the classes, {on}.",
                "How to judge it: moving a limb, or imagining it, lowers these rhythms over its motor area "
                "(blue): for a hand, to the side of the midline opposite to it; for the feet, at the "
                "midline. With two classes one map is nearly the other's negative. Colour at the rim alone "
                "is more likely muscles or eyes.",
            ],
            "png",
            simulated,
        )
    else:
        html += paragraphs(["Maps are left out: the recordings do not say where the sensors are."])
    return html + _spectrum(subject, on)


def _spectrum(subject: Subject, on: str) -> str:
    """Mean spectra over the motor areas; over all sensors where nobody knows which these are."""
    data, summary = subject.data, subject.summary
    names, spectra = data["sensors"], summary["spectra"]
    central = heads.central_sensors(names, summary["positions"])
    where = "at C3, Cz and C4 or the sensors nearest to them"
    shown = {names[i]: spectra[:, i] for i in central}
    if not central:
        where = "as the mean over all sensors, whose places are not known"
        shown = {"all sensors": spectra.mean(axis=1)}
    figure = heads.spectrum(
        data["classes"], list(shown), summary["frequencies"], np.stack(list(shown.values()), axis=1)
    )
    caption = [
        f"Mean spectrum of each class {on}, between cue and window end, after filtering and before "
        f"standardisation, {where}.",
        "How to judge it: where a class desynchronises the area below a sensor, its line lies lower "
        "within the shaded bands. Lines that coincide here do not mean that nothing can be decoded.",
    ]
    return picture(figure, caption, "svg", data["simulated"])


def training(subject: Subject, settings: Settings) -> str:
    """Learning rates as executed, and training losses."""
    simulated = subject.data["simulated"]
    seed = min(key.seed for key in subject.done)
    shown = [key for key in plan.fits(settings) if key in subject.done and key.seed == seed]
    histories = {key: subject.history(key) for key in shown}
    n_updates = {key: subject.fits[key]["updates_per_epoch"] for key in shown}
    of = f"{counted(len(shown), 'training')} with seed {seed}"
    rates = [
        f"Learning rates as they were in {of}; logarithmic axis.",
        "Rates of the first and last update of each epoch, joined by straight lines; a mark at its budget "
        "ends each training. How to judge it: warm restarts return to the initial rate right after each "
        "cycle end; a step schedule falls within its budget.",
    ]
    losses = [
        f"Mean training loss of each epoch in {of}; logarithmic axis.",
        "With dropout, and while the weights still change within the epoch. How to judge it: a line that "
        "stays at the dotted one has learned nothing, one that rises for long diverges; a small loss does "
        "not mean a small test error.",
    ]
    return picture(curves.executed(histories, n_updates), rates, "svg", simulated) + picture(
        curves.losses(histories, len(subject.data["classes"])), losses, "svg", simulated
    )


def learned(subject: Subject, settings: Settings, found: Headline) -> str:
    """Spatial patterns of the first predictor's last snapshot."""
    data, summary, name = subject.data, subject.summary, settings.network.name
    predictor = found.contenders[0].predictor
    key = predictor.fits[0]
    state = subject.weights(key, predictor.epoch)
    patterns = spatial_patterns(name, state, summary["covariance"], data["sfreq"])
    if not patterns:
        return paragraphs([f"No patterns: they are known for {joined(READERS)}, not for {name} as it is."])
    if not heads.can_be_drawn(summary["positions"]):
        return paragraphs(["No patterns: the recordings do not say where the sensors are."])
    shares = [pattern.share for pattern in patterns]
    return picture(
        heads.patterns(patterns, data["sensors"], summary["positions"]),
        [
            f"Activation patterns (Haufe et al., 2014) of {counted(len(patterns), 'unit')} of {name}: of the "
            f"last snapshot (epoch {predictor.epoch}) of {schedule_name(settings, key.schedule)} with "
            f"initial rate {key.rate:g} and seed {key.seed}.",
            "Colour is how strongly each sensor varies with what the unit "
            "picks up; its sign means nothing. Above each map are the frequency that the unit's temporal "
            "filter passes best, and its part of all the weight with which the next layer reads these units; "
            "drawn are the units with most of it. One spatial filter, that of the strongest temporal one, "
            f"stands for {percent(min(shares))} to {percent(max(shares))} % of these units' output power.",
            "How to judge it: a pattern with one centre over a motor area and a frequency in the mu or beta "
            "band is what motor decoding should use; one that is strongest at the rim points to eyes or "
            "muscles. Covariances are of the training trials over all frequencies, so a pattern also shows "
            "sources of other rhythms that vary with the unit's.",
        ],
        "png",
        data["simulated"],
    )
