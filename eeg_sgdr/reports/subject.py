"""The subject's report: one page made from the results folder alone."""

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from eeg_sgdr import settings as config
from eeg_sgdr.data.quality import FEWEST_SENSORS
from eeg_sgdr.evaluation import metrics
from eeg_sgdr.evaluation.predictors import Predictor
from eeg_sgdr.evaluation.statistics import McNemar
from eeg_sgdr.evaluation.tables import ROW, distinct, records, row_of, seed_by_seed
from eeg_sgdr.networks.patterns import READERS, spatial_patterns
from eeg_sgdr.reports.figures import curves, heads
from eeg_sgdr.reports.headline import Contender, Headline, headline, side_by_side
from eeg_sgdr.reports.html import assemble, bullets, code, folded, heading, paragraphs, picture, table
from eeg_sgdr.reports.methods import deviations, methods, of_recordings, references, updates
from eeg_sgdr.reports.wording import (
    counted,
    p_value,
    percent,
    predictor_name,
    schedule_name,
    short_name,
    versions,
    whose,
)
from eeg_sgdr.settings import Settings, plan
from eeg_sgdr.settings.types import joined
from eeg_sgdr.storage import files
from eeg_sgdr.storage.results import Results, Subject, of_fit


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
    files.write_text(subject.folder.report, page(results, subject))


# Maps need linear algebra on tiny matrices: on a busy machine, threads that wait for each other make them
# ten times slower.
@threadpool_limits.wrap(limits=1)
def page(results: Results, subject: Subject) -> str:
    """The report as HTML; the same whenever it is made, but for the element ``#made``."""
    found = headline(subject, results.settings)
    return assemble(title(results, subject), content(results, subject, found))


def title(results: Results, subject: Subject) -> str:
    """What the page of a subject or fold is called."""
    simulated = "simulated recordings, " if subject.data["simulated"] else ""
    return f"{results.settings.name}: {simulated}{subject.title}"


def content(results: Results, subject: Subject, found: Headline) -> dict[str, str]:
    """HTML of each section, by title; true of a subject and of a fold."""
    settings = results.settings
    return {
        "Result": _result(subject, settings, found),
        "Test error against epochs": errors(subject, found),
        "All predictors": predictors(subject, found),
        "Confusions, and how far probabilities can be believed": judgements(subject, settings, found),
        "Recordings": recordings(subject),
        "Training": training(subject, settings),
        "What the network learned": learned(subject, settings, found),
        "Deviations from the paper, and what is not answered": bullets(deviations(settings, subject)),
        "Methods": _methods(subject, settings),
        "Configuration, versions, and this report again": _origin(results, subject, settings),
    }


def _result(subject: Subject, settings: Settings, found: Headline) -> str:
    alarms = warnings(subject, settings)
    first, *others = result(subject, settings, found)
    return (
        paragraphs(alarms, "warning")
        + paragraphs([first], "result")
        + paragraphs([*others, *question(settings)])
        + _comparisons(subject, settings, found)
    )


def _comparisons(subject: Subject, settings: Settings, found: Headline) -> str:
    rows = [
        [name, _rates(a, b), *errors, *_cost(a, b)] for name, a, b, errors in side_by_side(subject, settings)
    ]
    if not rows:
        return ""
    seeds = [f"Errors, seed {seed}" for seed in settings.training.seeds]
    return table(
        ["Comparison (a against b)", "Initial rates", *seeds, "Networks", "Epochs spent"],
        rows,
        "Every comparison of the configuration that goes seed by seed, as a : b: errors on "
        f"{counted(len(found.y), 'test trial')}, networks averaged, epochs spent on their "
        "training. The sentences above are about the first at the reference's rate; all others are "
        "described, not tested.",
    )


def _rates(a: Predictor, b: Predictor) -> str:
    return " against ".join(dict.fromkeys(one.rates.replace("+", " + ") for one in (a, b)))


def _cost(a: Predictor, b: Predictor) -> list[str]:
    networks = [one.n_networks for one in (a, b)]
    epochs = [one.epochs_spent for one in (a, b)]
    return [f"{networks[0]} : {networks[1]}", f"{epochs[0]} : {epochs[1]}"]


def _methods(subject: Subject, settings: Settings) -> str:
    texts = methods(settings, subject)
    return (
        paragraphs(texts)
        + heading("References")
        + bullets(references([*texts, *deviations(settings, subject)], settings))
    )


def _origin(results: Results, subject: Subject, settings: Settings) -> str:
    contents = [subject.fits[key] for key in subject.done]
    capabilities = joined(sorted({content["cpu_capability"] for content in contents}))
    seconds = sum(map(of_fit, contents))
    made = (
        f"Training {counted(len(contents), 'fit')} took {seconds:.0f} s of processes in all; this page was "
        f"made on {time.strftime('%Y-%m-%d at %H:%M:%S %z')}."
    )
    return (
        heading("This report again")
        + paragraphs(["From the results folder alone, with nothing trained:"])
        + code(f"python -m eeg_sgdr.report results/{results.root.resolve().name}")
        + f'<p id="made">{made}</p>\n'
        + heading("Versions")
        + paragraphs([f"{versions(contents[0])}; CPU capability {capabilities}."])
        + folded("Configuration (config.yaml)", code(config.to_yaml(settings)))
    )


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
        + bullets(rejections(subject))
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


#: Trials that are named one by one; where there are more, data.json lists them.
MOST_NAMED = 20


def result(subject: Subject, settings: Settings, found: Headline) -> list[str]:
    """The result with its uncertainty; the first sentence is the result itself."""
    n = len(found.y)
    simulated = "simulated " if subject.data["simulated"] else ""
    conditions = [_condition(one.predictor) for one in found.contenders]
    shared = len(set(conditions)) == 1
    clauses = [
        f"{predictor_name(settings, one.predictor)}{'' if shared else f', {condition},'} was wrong on "
        f"{one.n_errors} ({_uncertain(one)})"
        for one, condition in zip(found.contenders, conditions, strict=True)
    ]
    commonest = metrics.chance(found.y)
    first = (
        f"Of {counted(n, f'{simulated}test trial')} of {whose(subject)}, {joined(clauses)}"
        f"{f', {conditions[0]}' if shared else ''}; always naming the commonest class would be wrong on "
        f"{round(commonest * n)} ({percent(commonest)} %)."
    )
    tested = [_tested(subject, settings, found, found.test)] if found.test else []
    return [first, *tested, _seeds(settings, found)]


def question(settings: Settings) -> list[str]:
    """What the experiment is about, where it is the paper's."""
    if not any(arm.leaves_snapshots for arm in settings.schedules.values()):
        return []
    return [
        "The question is that of Loshchilov and Hutter (2017), section 4.4, who trained ConvNets on motor "
        "EEG: do warm restarts of the learning rate, or ensembles of the snapshots that they leave, reach a "
        "lower test error than a step schedule in as many epochs?"
    ]


def _condition(predictor: Predictor) -> str:
    rates = [key.rate for key in predictor.fits]
    initial = f"an initial rate of {rates[0]}" if len(rates) == 1 else f"initial rates {joined(rates)}"
    return f"after {counted(predictor.epoch, 'epoch')} from {initial}"


def _uncertain(contender: Contender) -> str:
    low, high = contender.interval
    error = contender.n_errors / len(contender.correct)
    return f"{percent(error)} %, 95 % interval {percent(low)} to {percent(high)} %"


def _tested(subject: Subject, settings: Settings, found: Headline, test: McNemar) -> str:
    a, b = (predictor_name(settings, one.predictor) for one in found.contenders)
    verdict = (
        "so their errors on such trials differ" if test.p < 0.05 else "so these trials do not tell them apart"
    )
    return (
        f"Only {a} was right on {counted(test.only_a, 'trial')}, only {b} on {test.only_b} "
        f"(exact McNemar test, {p_value(test.p)}), {verdict}. That is what one training of each, with seed "
        f"{found.contenders[0].predictor.fits[0].seed}, can say of {_these(subject)}: neither the intervals "
        "nor the test cover how much trainings or people differ."
    )


def _these(subject: Subject) -> str:
    n = len(subject.test_subjects)
    return "one subject" if n == 1 else f"these {n} subjects"


def _seeds(settings: Settings, found: Headline) -> str:
    if len(found.by_seed) < 2:
        seed = found.contenders[0].predictor.fits[0].seed
        return f"One seed ({seed}): variation between trainings was not measured."
    counts = [
        f"{short_name(settings, one.predictor)} {', '.join(map(str, errors))}"
        for one, errors in zip(found.contenders, zip(*found.by_seed.values(), strict=True), strict=True)
    ]
    return f"Errors with seeds {joined(found.by_seed)}: {'; '.join(counts)}."


def warnings(subject: Subject, settings: Settings) -> list[str]:
    """What a reader must know before any number: what is missing, failed, mixed or hardly annealed."""
    asked = plan.fits(settings)
    missing = [key.name for key in asked if key not in subject.fits]
    texts = of_recordings(subject)
    if missing:
        texts.append(
            f"Unfinished: {len(missing)} of {len(asked)} fits are missing ({', '.join(missing)}). Numbers "
            "that need them are left out."
        )
    texts += [
        f"Failed: {name} ({why}). Numbers that need it are left out." for name, why in subject.failed.items()
    ]
    kinds = sorted({made_with_versions(subject.fits[key]) for key in subject.done})
    if len(kinds) > 1:
        texts.append(
            "Mixed: the fits were not all made with the same versions on the same kind of processor, so they "
            f"differ by more than their settings ({'; '.join(kinds)})."
        )
    few = [n for n in updates(subject) if n < 4]
    if few:
        texts.append(
            f"Few updates: an epoch has only {joined(few)} (fewer than 4), so a cycle of one epoch is hardly "
            "an annealing."
        )
    return texts


def made_with_versions(content: dict[str, Any]) -> str:
    """What a fit was made with and on, from its fit.json: fits that differ in it differ by more."""
    where = f"in a stack of {len(content['stack'])}" if content["stack"] else content["cpu_capability"]
    return f"{versions(content)}, {where}"


def rejections(subject: Subject) -> list[str]:
    """What happened to trials and sensors before anything was trained."""
    trials, data = subject.trials, subject.data
    rejected = trials.loc[trials["rejected"] != "", "rejected"]
    by_kind: dict[str, list[str]] = {}
    for why, n in sorted(Counter(rejected).items()):
        kind, _, detail = why.partition(" ")
        by_kind.setdefault(kind, []).append(f"{detail} ({n})")
    reasons = [f"; {kind} {', '.join(details)}" for kind, details in by_kind.items()]
    texts = [f"Rejected: {len(rejected)} of {counted(len(trials), 'trial')}{''.join(reasons)}."]
    texts += _sensors(subject)
    looking_ahead = data["not_causal"]
    if looking_ahead:
        split = trials.set_index("trial").loc[looking_ahead, "split"]
        parts = [
            f"{(split == part).sum()} for {part}ing" for part in ("train", "test") if (split == part).any()
        ]
        texts.append(
            f"Not causal: {counted(len(looking_ahead), 'trial')} ({joined(parts)}) in the first block of a "
            "recording, which is scaled by its own mean and deviation and so looks ahead: "
            f"{_named(looking_ahead)}."
        )
    return texts


def _sensors(subject: Subject) -> list[str]:
    """Sensors of which something was said or done; folders of an earlier version do not know all of it."""
    data = subject.data
    found = {
        "Lacking (and so left out of all recordings)": data.get("lacking") or None,
        "Interpolated": data["interpolated"],
        "Flat (never changing)": data["flat"],
        "Noisy (local outlier factor)": data.get("noisy"),
        "Bridged (showing the same)": {
            run: [f"{a} with {b}" for a, b in pairs] for run, pairs in data.get("bridged", {}).items()
        }
        if "bridged" in data
        else None,
    }
    which = "subject/session/run" if subject.fold else "session/run"
    texts = []
    for word, runs in found.items():
        if runs is not None:
            where = "; ".join(f"{which} {run}: {', '.join(names)}" for run, names in runs.items())
            texts.append(f"{word} sensors: {where or 'none'}.")
    if len(data["sensors"]) < FEWEST_SENSORS:
        texts.append(f"Noisy sensors were not looked for: that takes {FEWEST_SENSORS}.")
    return texts


def _named(trials: Sequence[int]) -> str:
    """Trials by their numbers, where they are few."""
    if len(trials) > MOST_NAMED:
        return "not_causal in data.json lists them"
    return f"in trials.csv, {'trial' if len(trials) == 1 else 'trials'} {joined(trials)}"
