"""The subject's report: one page made from the results folder alone."""

import re
import tempfile
import time
from pathlib import Path

import mne
import pandas as pd
from safetensors.numpy import load_file

from eeg_sgdr import figures, heads, plan, prose, store
from eeg_sgdr import settings as config
from eeg_sgdr.headline import Headline, headline
from eeg_sgdr.markup import bullets, code, heading, paragraphs, picture, table
from eeg_sgdr.patterns import READERS, spatial_patterns
from eeg_sgdr.results import Results, Subject
from eeg_sgdr.settings import Settings

CSS = """
#content { padding: 0 1.5rem 4rem; }
#content p, #content li { max-width: 60rem; }
#content figure { margin: 1.2rem 0; }
#content figure img { max-width: 100%; height: auto; }
#content figcaption p { margin: 0.2rem 0; color: #444; font-size: 0.95rem; }
#content h4 { margin-top: 1.5rem; font-size: 1.1rem; }
#content table { border-collapse: collapse; margin: 0.8rem 0; }
#content caption { caption-side: top; color: #444; }
#content th, #content td { padding: 0.15rem 0.7rem; border-bottom: 1px solid #ddd; }
#content td.number { text-align: right; font-variant-numeric: tabular-nums; }
#content tr.marked { background: #fff3cd; }
#content .wide { overflow-x: auto; }
#content p.warning { padding: 0.5rem 0.8rem; border-left: 5px solid #D55E00; background: #fdf0e7; }
#content p.result { font-size: 1.25rem; }
#filter-by-tags-dropdown-menu { display: none; }
"""


def subject_report(results: Results, subject: Subject) -> None:
    """Write a subject's report.html.

    Parameters
    ----------
    results : Results
        The results folder.
    subject : Subject
        With evaluation.csv, and at least one fit that is done.

    Raises
    ------
    UserError
        If what is on disk cannot be read, or the report cannot be written.
    """
    store.write_text(subject.folder.report, page(results, subject))


def page(results: Results, subject: Subject) -> str:
    """The report as HTML; the same whenever it is made, but for the element ``#made``."""
    settings = results.settings
    found = headline(subject, settings)
    sections = {
        "Result": _result(subject, settings, found),
        "Test error against epochs": _errors(subject, found),
        "All predictors": _table(subject, found),
        "Which trials were wrong, and how surely": _predictions(subject, settings, found),
        "Recordings": _recordings(subject),
        "Training": _training(subject, settings),
        "What the network learned": _patterns(subject, settings, found),
        "How far to trust this": bullets(prose.deviations(settings, subject)),
        "Methods": _methods(subject, settings),
        "Configuration, versions, and this report again": _origin(results, subject, settings),
    }
    simulated = "simulated recordings, " if subject.data["simulated"] else ""
    return assemble(f"{settings.name}: {simulated}subject {subject.label}", sections)


def assemble(title: str, sections: dict[str, str]) -> str:
    """Sections, as HTML by title, on one self-contained page."""
    report = mne.Report(title=title, verbose="error")
    report.add_custom_css(CSS)
    for name, html in sections.items():
        report.add_html(html, name, tags=())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.html"
        report.save(path, open_browser=False, overwrite=True, verbose="error")
        text = path.read_text(encoding="utf-8")
    # MNE writes the moment of making into the footer, where it would differ each time.
    before, footer = text[: text.rindex("<footer>")], text[text.rindex("<footer>") :]
    return before + re.sub(r"Created on [-\d]+ [:\d]+ via", "Made with", footer)


def _result(subject: Subject, settings: Settings, found: Headline) -> str:
    first, *others = prose.result(subject, settings, found)
    simulated = (
        ["Simulated recordings: nothing here says anything about people's EEG."]
        if subject.data["simulated"]
        else []
    )
    return (
        paragraphs([*prose.warnings(subject, settings), *simulated], "warning")
        + paragraphs([first], "result")
        + paragraphs(others)
    )


def distinct(evaluation: pd.DataFrame) -> pd.DataFrame:
    """Without the ensembles of one snapshot, which are that snapshot."""
    same = (evaluation["members"] == "cycles") & (evaluation["n_snapshots"] == 1)
    return evaluation[~same].reset_index(drop=True)


def _errors(subject: Subject, found: Headline) -> str:
    evaluation = distinct(subject.evaluation)
    n = len(found.y)
    caption = [
        f"Test error on {prose.counted(n, 'trial')} against the number of epochs trained (logarithmic axis).",
        "A point of a step schedule is a training of its own, laid out for that many epochs; points of warm "
        "restarts are the cycle ends of one training. Ensembles begin where they average two snapshots. The "
        "dotted line is the error of naming the commonest class always.",
        f"How to judge it: one trial is {prose.percent(1 / n)} points, and the 95 % interval of a single point "
        f"is about {_typical_width(found)} points wide, so a difference of a few trials between lines is no "
        "finding.",
    ]
    figure = figures.errors(evaluation, prose.chance(found.y))
    return picture(figure, caption, "svg", subject.data["simulated"])


def _typical_width(found: Headline) -> str:
    low, high = found.contenders[0].interval
    return f"{100 * (high - low):.0f}"


def _table(subject: Subject, found: Headline) -> str:
    evaluation = distinct(subject.evaluation)
    two_classes = evaluation["auc"].notna().any()
    header = [
        "Schedule",
        "Epochs",
        "Rates",
        "Seed",
        "Members",
        "Networks",
        "Epochs spent",
        "Errors",
        "Error %",
    ]
    header += ["Balanced acc. %", *(["AUC"] if two_classes else []), "NLL", "Brier", "ECE %", "Kappa"]
    rows, marked = [], []
    named = {(one.predictor.fits, one.predictor.epochs): one for one in found.contenders}
    for i, row in enumerate(evaluation.itertuples()):
        rows.append(
            [
                row.schedule,
                str(row.epoch),
                row.rates.replace("+", " and "),
                row.seeds,
                row.members,
                str(row.n_networks),
                str(row.epochs_spent),
                str(round(row.error * row.n_test)),
                prose.percent(row.error),
                prose.percent(row.balanced_accuracy),
                *([f"{row.auc:.3f}"] if two_classes else []),
                f"{row.nll:.2f}",
                f"{row.brier:.2f}",
                prose.percent(row.ece),
                f"{row.kappa:.2f}",
            ]
        )
        for one in named.values():
            first = one.predictor.fits[0]
            if (row.schedule, row.epoch, row.rates, row.seeds, row.budget) == (
                first.schedule,
                one.predictor.epoch,
                one.predictor.rates,
                str(first.seed),
                first.budget,
            ) and row.n_snapshots == len(one.predictor.epochs):
                marked.append(i)
    caption = (
        f"Every predictor on {prose.counted(len(found.y), 'test trial')}; those of the first sentence are "
        "marked. Ensembles of one snapshot are left out."
    )
    explained = [
        "Members: single is the last snapshot, cycles the average over the last half of the cycles. "
        "Networks is how many are averaged, epochs spent what all of them cost in training: compare only "
        "rows that agree in one of the two, as named by the configuration.",
        "NLL (negative log-likelihood, in nats), Brier score and ECE (expected calibration error) judge the "
        "probabilities: lower is better. AUC and kappa: higher is better.",
    ]
    return table(header, rows, caption, marked) + paragraphs(explained)


def _predictions(subject: Subject, settings: Settings, found: Headline) -> str:
    by_name = {prose.short_name(settings, one.predictor): one.probabilities for one in found.contenders}
    simulated = subject.data["simulated"]
    n = len(found.y)
    confused = picture(
        figures.confusion(found.y, by_name, subject.data["classes"]),
        [
            f"Confusion matrices of the predictors of the first sentence ({prose.counted(n, 'test trial')}).",
            "Numbers are trials, shades their share of the true class. How to judge it: right answers lie on "
            "the diagonal; a dark field beside it is a pair of classes that is taken for one another.",
        ],
        "svg",
        simulated,
    )
    sure = picture(
        figures.reliability(found.y, by_name),
        [
            f"Reliability of the same predictors on the same {n} trials.",
            "Above: of the trials whose predicted class was given about this probability, how many were right, "
            "with exact 95 % intervals; below: how many trials these are. How to judge it: points on the "
            "dotted line mean probabilities that can be taken at their word, points below it overconfidence; "
            "where the interval crosses the line, too few trials are there to say.",
        ],
        "svg",
        simulated,
    )
    return confused + sure


def _recordings(subject: Subject) -> str:
    data, summary, trials = subject.data, subject.summary, subject.trials
    simulated = data["simulated"]
    rows = []
    for part in ("train", "test"):
        for name in data["classes"]:
            cues = trials[(trials["split"] == part) & (trials["class"] == name)]
            kept = int((cues["rejected"] == "").sum())
            rows.append([part, name, str(kept), str(len(cues) - kept)])
    html = table(["Split", "Class", "Used", "Rejected"], rows, "Trials of each class")
    html += bullets(prose.rejections(subject))
    n_train = {
        name: int(
            ((trials["split"] == "train") & (trials["class"] == name) & (trials["rejected"] == "")).sum()
        )
        for name in data["classes"]
    }
    on_trials = f"({', '.join(f'{name}: {n}' for name, n in n_train.items())})"
    positions = summary["positions"]
    if heads.can_be_drawn(positions):
        html += picture(
            heads.sensors(data["sensors"], positions),
            [f"The {len(data['sensors'])} sensors, seen from above, nose up."],
            "svg",
            simulated,
        )
        html += picture(
            heads.rhythms(data["classes"], summary["frequencies"], summary["spectra"], positions),
            [
                f"Mu and beta power of each class over the training trials {on_trials}, relative to the mean "
                "over classes.",
                "How to judge it: moving or imagining to move lowers these rhythms over the area that is "
                "involved (blue): the hand areas left and right of the middle, opposite to the hand; the "
                "foot area at the middle. Colour at the rim is more likely muscle or eye activity.",
            ],
            "png",
            simulated,
        )
    else:
        html += paragraphs(["Maps are left out: the recordings do not say where the sensors are."])
    central = heads.central_sensors(data["sensors"], positions)
    if central:
        html += picture(
            heads.spectrum(
                data["classes"],
                [data["sensors"][i] for i in central],
                summary["frequencies"],
                summary["spectra"][:, central],
            ),
            [
                f"Mean spectrum of each class over the training trials {on_trials}, after filtering, before "
                "standardisation.",
                "How to judge it: a class that desynchronises the area below a sensor lies lower there within "
                "the shaded bands. Equal curves do not mean that nothing can be decoded elsewhere.",
            ],
            "svg",
            simulated,
        )
    return html


def _training(subject: Subject, settings: Settings) -> str:
    seed = subject.done[0].seed
    shown = [key for key in plan.fits(settings) if key in subject.done and key.seed == seed]
    histories = {key: subject.history(key) for key in shown}
    n_updates = {key: subject.fits[key]["updates_per_epoch"] for key in shown}
    of = f"{prose.counted(len(shown), 'fit')} with seed {seed}"
    return picture(
        figures.executed(histories, n_updates),
        [
            f"Learning rates as executed, of {of} (logarithmic axis).",
            "The rates of the first and last update of each epoch are joined by straight lines; the mark ends "
            "a fit at its budget. How to judge it: warm restarts must return to the initial rate right after "
            "each cycle end, a step schedule fall within each of its budgets.",
        ],
        "svg",
        subject.data["simulated"],
    ) + picture(
        figures.losses(histories, len(subject.data["classes"])),
        [
            f"Mean training loss of each epoch, of {of} (logarithmic axis).",
            "With dropout and before the weights of the epoch's end, so it does not reach what the final "
            "network would have. How to judge it: the dotted line is the loss of knowing nothing; a curve that "
            "stays there has not learned; that a loss is small does not mean that the test error is.",
        ],
        "svg",
        subject.data["simulated"],
    )


def _patterns(subject: Subject, settings: Settings, found: Headline) -> str:
    data, summary = subject.data, subject.summary
    name = settings.network.name
    predictor = found.contenders[0].predictor
    path = subject.folder.fit(predictor.fits[0].name).snapshot(predictor.epoch)
    patterns = spatial_patterns(name, load_file(path), summary["covariance"], data["sfreq"])
    if not patterns:
        return paragraphs(
            [f"No patterns: they are made for {prose.joined(READERS)}, not for {name} as configured."]
        )
    if not heads.can_be_drawn(summary["positions"]):
        return paragraphs(["No patterns: the recordings do not say where the sensors are."])
    return picture(
        heads.patterns(patterns, summary["positions"]),
        [
            f"Activation patterns (Haufe et al., 2014) of the {len(patterns)} units of {name}, trained with "
            f"{prose.schedule_name(settings, predictor.fits[0].schedule)} at a rate of {predictor.fits[0].rate:g}, "
            "that the next layer reads most.",
        ],
        "png",
        data["simulated"],
    )


def _methods(subject: Subject, settings: Settings) -> str:
    texts = prose.methods(settings, subject)
    return paragraphs(texts) + heading("References") + paragraphs(prose.references([*texts, "Haufe 2014"]))


def _origin(results: Results, subject: Subject, settings: Settings) -> str:
    seconds = sum(subject.fits[key]["seconds"] for key in subject.done)
    first = subject.fits[subject.done[0]]
    made = f"Training took {seconds:.0f} s in all; this report was made on {time.strftime('%Y-%m-%d %H:%M')}."
    return (
        heading("This report again")
        + code(f"python -m eeg_sgdr.report {results.root.name}")
        + paragraphs(["Nothing is trained for it: it is made from the results folder alone."])
        + f'<p id="made">{made}</p>\n'
        + heading("Versions")
        + paragraphs([f"{prose.versions(first)}; CPU capability {first['cpu_capability']}."])
        + heading("Configuration")
        + code(config.to_yaml(settings))
    )
