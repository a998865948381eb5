"""Sentences of a report, written from the settings and tables: no number is typed in."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from eeg_sgdr import plan
from eeg_sgdr.headline import Contender, Headline
from eeg_sgdr.predictors import Predictor
from eeg_sgdr.results import Subject
from eeg_sgdr.schedules import n_averaged
from eeg_sgdr.settings import Settings, StepArm, WarmRestartsArm
from eeg_sgdr.statistics import McNemar


def joined(words: Iterable[object]) -> str:
    """One, two and three."""
    *front, last = map(str, words)
    return f"{', '.join(front)} and {last}" if front else last


def counted(n: int, thing: str) -> str:
    """1 trial, 2 trials."""
    return f"{n} {thing}" if n == 1 else f"{n} {thing}s"


def percent(fraction: float) -> str:
    """A fraction as percent without its sign, to a tenth."""
    return f"{100 * fraction:.1f}"


def p_value(p: float) -> str:
    """P = 0.031, without more digits than say something."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.095 else f"p = {p:.2f}"


def plain(name: str) -> str:
    """A class's name as one says it."""
    return name.replace("_", " ")


# -------------------------------------------------------------------------------------- result


def schedule_name(settings: Settings, name: str) -> str:
    """What sentences call an arm; its own name is added where several are of its kind."""
    kind = settings.schedules[name].kind
    words = {"step": "the step schedule"}.get(kind, kind.replace("_", " "))
    alone = sum(arm.kind == kind for arm in settings.schedules.values()) == 1
    return words if alone else f"{words} ({name})"


def predictor_name(settings: Settings, predictor: Predictor) -> str:
    """What sentences call a predictor: which networks, trained how."""
    schedule = schedule_name(settings, predictor.fits[0].schedule)
    n_fits, n_snapshots = len(predictor.fits), len(predictor.epochs)
    rates = f" at {counted(n_fits, 'rate')}" if n_fits > 1 else ""
    if n_snapshots > 1:
        return f"the average of the last {n_snapshots} snapshots of {schedule}{rates}"
    if n_fits > 1:
        return f"the average of {n_fits} networks trained with {schedule}{rates}"
    return f"the network trained with {schedule}"


def short_name(settings: Settings, predictor: Predictor) -> str:
    """What pictures call a predictor."""
    words = schedule_name(settings, predictor.fits[0].schedule).removeprefix("the ")
    if len(predictor.epochs) > 1:
        words += f", {len(predictor.epochs)} snapshots"
    return words if len(predictor.fits) == 1 else f"{words}, {len(predictor.fits)} rates"


def result(subject: Subject, settings: Settings, found: Headline) -> list[str]:
    """The result with its uncertainty, in a few sentences; the first one is the result."""
    n = len(found.y)
    first = found.contenders[0].predictor
    simulated = "simulated " if subject.data["simulated"] else ""
    clauses = [
        f"{predictor_name(settings, one.predictor)} was wrong on {one.n_errors} ({_uncertain(one)})"
        for one in found.contenders
    ]
    rates = "+".join(sorted({one.predictor.rates for one in found.contenders})).split("+")
    epochs = sorted({one.predictor.epoch for one in found.contenders})
    how = (
        f"after {joined(counted(epoch, 'epoch') for epoch in epochs)} from an initial rate of "
        f"{joined(sorted(set(rates)))}"
    )
    sentence = (
        f"Of {counted(n, simulated + 'test trial')} of subject {subject.label}, {joined(clauses)}, {how}; "
        f"always naming the commonest class would be wrong on {round(chance(found.y) * n)} "
        f"({percent(chance(found.y))} %)."
    )
    texts = [sentence]
    if found.test:
        texts.append(_tested(settings, found, found.test))
    if len(found.by_seed) > 1:
        a, b = (
            f"{short_name(settings, one.predictor)} {', '.join(str(errors[i]) for errors in found.by_seed.values())}"
            for i, one in enumerate(found.contenders)
        )
        texts.append(f"Errors with seeds {joined(found.by_seed)}: {a}; {b}.")
    else:
        texts.append(
            f"Everything here stands on one seed ({first.fits[0].seed}): variation between trainings was "
            "not measured."
        )
    return texts


def _uncertain(contender: Contender) -> str:
    low, high = contender.interval
    error = percent(contender.n_errors / len(contender.correct))
    return f"{error} %, 95 % interval {percent(low)} to {percent(high)} %"


def _tested(settings: Settings, found: Headline, test: McNemar) -> str:
    a, b = (predictor_name(settings, one.predictor) for one in found.contenders)
    verdict = (
        "so the two networks' errors on such trials differ"
        if test.p < 0.05
        else "so these trials do not tell the two apart"
    )
    return (
        f"Only {a} was right on {counted(test.only_a, 'trial')}, only {b} on {test.only_b} "
        f"(exact McNemar test, {p_value(test.p)}), {verdict}. That is what one training of each (seed "
        f"{found.contenders[0].predictor.fits[0].seed}) can say, for this subject alone: neither the interval "
        "nor the test covers how much trainings or people differ."
    )


def chance(y: np.ndarray) -> float:
    """Error of naming the commonest class always."""
    return 1 - float(np.bincount(y).max()) / len(y)


# ------------------------------------------------------------------------------------ warnings


def warnings(subject: Subject, settings: Settings) -> list[str]:
    """What a reader must know before any number: what is missing, failed, mixed or hardly annealed."""
    texts = []
    asked = plan.fits(settings)
    failed = {key: content for key, content in subject.fits.items() if content["state"] == "failed"}
    missing = [key.name for key in asked if key not in subject.fits]
    if missing:
        texts.append(
            f"Unfinished: {len(missing)} of {len(asked)} fits are missing ({', '.join(missing)}). "
            "Numbers that need them are left out."
        )
    texts += [f"Failed: {key.name} ({content['why']})." for key, content in sorted(failed.items())]
    made_with = {_made_with(subject.fits[key]) for key in subject.done}
    if len(made_with) > 1:
        texts.append(
            "Mixed: the fits were not all made with the same versions on the same kind of processor "
            f"({'; '.join(sorted(made_with))}), so that they differ by more than their settings."
        )
    few = sorted({n for n in updates(subject) if n < 4})
    if few:
        texts.append(
            f"An epoch has only {joined(few)} updates (fewer than 4): a cycle of one epoch is hardly an "
            "annealing."
        )
    return texts


def updates(subject: Subject) -> list[int]:
    """Updates in an epoch, as the fits had them; one number unless something is wrong."""
    return sorted({subject.fits[key]["updates_per_epoch"] for key in subject.done})


def _made_with(content: dict[str, Any]) -> str:
    return f"{versions(content)}, {content['cpu_capability']}"


def versions(content: dict[str, Any]) -> str:
    """Versions that a fit was made with."""
    return ", ".join(f"{name} {version}" for name, version in content["versions"].items())


# ---------------------------------------------------------------------------------------- data


def rejections(subject: Subject) -> list[str]:
    """What happened to trials and sensors before anything was trained."""
    trials = subject.trials
    rejected = trials.loc[trials["rejected"] != "", "rejected"]
    data = subject.data
    reasons = "; ".join(f"{why}: {n}" for why, n in sorted(Counter(rejected).items()))
    texts = [
        f"{len(rejected)} of {counted(len(trials), 'trial')} rejected"
        + (f" ({reasons})." if reasons else ".")
    ]
    for verb, runs in (("interpolated", data["interpolated"]), ("flat (never changing)", data["flat"])):
        where = "; ".join(f"session/run {run}: {', '.join(names)}" for run, names in runs.items())
        texts.append(f"Sensors {verb}: {where or 'none'}.")
    late = data["not_causal"]
    if late:
        parts = trials.set_index("trial").loc[late, "split"].value_counts()
        texts.append(
            f"Not causal: {counted(len(late), 'trial')} ({joined(f'{n} to {part}' for part, n in sorted(parts.items(), reverse=True))}) "
            "begin in the first block of their recording, which is scaled by its own mean and deviation "
            f"and so looks ahead: trials {', '.join(map(str, late))} of trials.csv."
        )
    return texts


# ---------------------------------------------------------------------------------- deviations


def deviations(settings: Settings, subject: Subject) -> list[str]:
    """What differs from the paper, what it leaves open, and what is not answered."""
    training, preprocessing = settings.training, settings.preprocessing
    arms = list(settings.schedules.values())
    texts = [
        "Both sides of a comparison share initial rates, weight decay, momentum and batch size: none was "
        "tuned for one of them. SGD alone is compared; how either fares against AdamW or against early "
        "stopping is not answered.",
        "One subject cannot speak for people: only a study over subjects can.",
        "The paper trained on the High-Gamma recordings (14 people, about 1000 trials each of right hand, "
        "left hand, feet and rest); here it is "
        f"{counted(len(subject.trials), 'trial')} of {joined(map(plain, subject.data['classes']))}"
        f"{', simulated' if subject.data['simulated'] else ''}.",
        "The paper names neither network, weight decay, batch size, high-pass nor seeds for EEG. Here: "
        f"{settings.network.name}, weight decay {training.weight_decay:g}, batches of {training.batch_size}, "
        f"high-pass {_hertz(preprocessing.highpass_hz)}, seeds {joined(training.seeds)}; no max-norm "
        f"constraint is added. An epoch is {joined(updates(subject))} updates; the incomplete last batch is "
        "dropped.",
        "Momentum, stated in the paper for images alone, is assumed to be classical, not Nesterov's. "
        + (
            "As in its equations (3) and (4), the rate stays inside the velocity."
            if training.momentum_form == "paper"
            else "Its equations (3) and (4) keep the rate inside the velocity; here, as in torch, the new "
            "rate multiplies the old velocity. The two differ only where the rate jumps."
        ),
    ]
    texts += [
        f"T_0 = {arm.t_0}, T_mult = {arm.t_mult} and eta_min = {arm.eta_min:g} are chosen here. Snapshots are "
        "taken right before each restart; the solution at any moment is that of the last completed cycle."
        for arm in arms
        if isinstance(arm, WarmRestartsArm)
    ]
    if settings.evaluation.batch_norm_statistics == "recomputed":
        texts.append(
            "Whenever a network is scored, its batch-norm statistics are recomputed over all training "
            "crops, for every schedule alike, since running ones lag behind the weights. The paper does "
            "not say which it used."
        )
    else:
        texts.append(
            "Networks are scored with the running batch-norm statistics, which lag behind the weights, "
            "most of all early in a fit."
        )
    forms = sorted({subject.fits[key]["form"] for key in subject.done})
    texts.append(
        f"Form of the network that was computed: {joined(forms)}. Every form is the same function as "
        "braindecode's network; only rounding differs."
    )
    if training.numerics.precision == "mixed":
        texts.append("Matrix products were computed in bfloat16 (mixed precision).")
    return texts


def _hertz(frequency: float | None) -> str:
    return "none" if frequency is None else f"{frequency:g} Hz"


# ------------------------------------------------------------------------------------- methods


def methods(settings: Settings, subject: Subject) -> list[str]:
    """Methods as an article states them, one paragraph for each part."""
    return [
        _recordings(settings, subject),
        _preprocessing(settings, subject),
        _training(settings, subject),
        _evaluation(settings, subject),
    ]


def _recordings(settings: Settings, subject: Subject) -> str:
    source: Any = settings.recordings
    origin = {
        "simulated": "Simulated recordings (eeg_sgdr): oscillating dipoles in the motor areas of a spherical "
        "head model whose mu and beta rhythms desynchronise by class, with background activity and "
        "artefacts.",
        "physionet": f"EEG of subject {subject.label} of the PhysioNet EEG Motor Movement/Imagery Database "
        "(Schalk et al., 2004; Goldberger et al., 2000).",
        "bids": f"EEG of subject {subject.label} of a BIDS dataset (Pernet et al., 2019), task "
        f"{getattr(source, 'task', '')}.",
    }.get(source.source, f"EEG of subject {subject.label} from {source.source}.")
    trials = subject.trials
    kept = trials[trials["rejected"] == ""]
    held_out = sorted(set(trials.loc[trials["split"] == "test", settings.split.by]))
    n = kept["split"].value_counts()
    return (
        f"{origin} Classes were {joined(map(plain, subject.data['classes']))}. "
        f"{settings.split.by.capitalize()}{'s' if len(held_out) > 1 else ''} {joined(held_out)} served as "
        f"test set ({counted(int(n['test']), 'trial')}), all others for training "
        f"({counted(int(n['train']), 'trial')})."
    )


def _preprocessing(settings: Settings, subject: Subject) -> str:
    config, data = settings.preprocessing, subject.data
    start, end = config.window_s
    steps = []
    if config.reject_uv is not None:
        steps.append(
            "Trials in which any sensor's raw amplitude reached "
            f"{config.reject_uv:g} µV between cue and {end:g} s were rejected, as were those that overlap an "
            "annotation marked as bad."
        )
    else:
        steps.append("Trials that overlap an annotation marked as bad were rejected.")
    done = [f"{counted(len(data['sensors']), 'EEG sensor')} were used"]
    if any(data["interpolated"].values()):
        done.append("bad ones interpolated by spherical splines")
    if config.resample_hz is not None:
        done.append(f"resampled to {config.resample_hz:g} Hz (polyphase)")
    for corner, word in ((config.highpass_hz, "high-pass"), (config.lowpass_hz, "low-pass")):
        if corner is not None:
            done.append(f"{word}-filtered at {corner:g} Hz (causal Butterworth filter of order 3)")
    if config.standardize is not None:
        done.append(
            "standardised by exponential moving mean and variance (factor "
            f"{config.standardize.factor_new:g}, first {config.standardize.init_samples} samples by their own)"
        )
    steps.append(f"{', '.join(done)}.")
    samples = data["window_samples"][1] - data["window_samples"][0]
    steps.append(
        f"Windows lasted from {start:g} to {end:g} s around the cue ({samples} samples at "
        f"{data['sfreq']:g} Hz). Preprocessing follows Schirrmeister et al. (2017) and was done with MNE "
        f"(Gramfort et al., 2013) and braindecode."
    )
    return " ".join(steps)


def _training(settings: Settings, subject: Subject) -> str:
    network, training = settings.network, settings.training
    paper = {
        "ShallowFBCSPNet": " (Schirrmeister et al., 2017)",
        "Deep4Net": " (Schirrmeister et al., 2017)",
        "EEGNet": " (Lawhern et al., 2018)",
    }.get(network.name, "")
    arguments = ", ".join(f"{key} = {value}" for key, value in network.arguments.items())
    crops = (
        "on whole windows"
        if network.crop_samples is None
        else f"on crops of {network.crop_samples} samples in dense form"
    )
    return (
        f"{network.name}{paper} of braindecode{f' with {arguments}' if arguments else ''} was trained {crops} "
        "by stochastic gradient descent on the cross-entropy of mean logits: momentum "
        f"{training.momentum:g}, weight decay {training.weight_decay:g}, batches of {training.batch_size}, "
        f"initial learning rates {joined(f'{rate:g}' for rate in training.initial_rates)}, "
        f"{'seed' if len(training.seeds) == 1 else 'seeds'} {joined(training.seeds)}; trainings that share a "
        "seed share initial weights, data order and dropout. "
        + " ".join(_schedule(settings, name) for name in settings.schedules)
    )


def _schedule(settings: Settings, name: str) -> str:
    arm: Any = settings.schedules[name]
    words = schedule_name(settings, name)
    words = words[0].upper() + words[1:]
    if isinstance(arm, StepArm):
        return (
            f"{words} multiplied the rate by {arm.factor:g} at {joined(arm.drops)} of budgets of "
            f"{joined(arm.budgets)} epochs."
        )
    if isinstance(arm, WarmRestartsArm):
        ends = arm.schedule(settings.training.initial_rates[0], arm.epochs).ends
        decay = "" if arm.eta_decay == 1 else f", the rate of each restart multiplied by {arm.eta_decay:g}"
        return (
            f"{words} followed Loshchilov and Hutter (2017), equation (5), at every update, with T_0 = "
            f"{arm.t_0}, T_mult = {arm.t_mult}, eta_min = {arm.eta_min:g}{decay}: cycles ended after "
            f"{joined(ends)} epochs."
        )
    return f"{words} had budgets of {joined(arm.budgets)} epochs."


def _evaluation(settings: Settings, subject: Subject) -> str:
    statistics = settings.evaluation.batch_norm_statistics
    texts = [
        "A test trial's class probabilities were the softmax of its logits averaged over crops, with batch "
        "normalisation by statistics "
        + ("recomputed over the training set." if statistics == "recomputed" else "kept during training.")
    ]
    for arm in settings.schedules.values():
        if isinstance(arm, WarmRestartsArm):
            n = len(arm.schedule(settings.training.initial_rates[0], arm.epochs).ends)
            texts.append(
                "Ensembles averaged, with equal weights, the probabilities of the last M = max(1, nr // 2) "
                f"snapshots of the nr completed cycles (Huang et al., 2017; here M = {n_averaged(n)} at the "
                "end), of one fit or of the fits of all rates."
            )
            break
    texts.append(
        "Errors are given with exact binomial intervals (Clopper and Pearson, 1934); two predictors were "
        "compared on the same trials by the exact McNemar test (McNemar, 1947). Calibration error used 15 "
        "bins of equal width (Guo et al., 2017)."
    )
    texts.append(f"Computed with {versions(subject.fits[subject.done[0]])}.")
    return " ".join(texts)


REFERENCES = (
    "Clopper, C. J., & Pearson, E. S. (1934). The use of confidence or fiducial limits illustrated in the "
    "case of the binomial. Biometrika 26, 404-413.",
    "Goldberger, A. L., et al. (2000). PhysioBank, PhysioToolkit, and PhysioNet. Circulation 101(23), "
    "e215-e220.",
    "Gramfort, A., et al. (2013). MEG and EEG data analysis with MNE-Python. Frontiers in Neuroscience 7, 267.",
    "Guo, C., et al. (2017). On calibration of modern neural networks. ICML.",
    "Haufe, S., et al. (2014). On the interpretation of weight vectors of linear models in multivariate "
    "neuroimaging. NeuroImage 87, 96-110.",
    "Huang, G., et al. (2017). Snapshot ensembles: train 1, get M for free. ICLR.",
    "Lawhern, V. J., et al. (2018). EEGNet: a compact convolutional neural network for EEG-based "
    "brain-computer interfaces. Journal of Neural Engineering 15, 056013.",
    "Loshchilov, I., & Hutter, F. (2017). SGDR: stochastic gradient descent with warm restarts. ICLR.",
    "McNemar, Q. (1947). Note on the sampling error of the difference between correlated proportions or "
    "percentages. Psychometrika 12, 153-157.",
    "Pernet, C. R., et al. (2019). EEG-BIDS, an extension to the brain imaging data structure for "
    "electroencephalography. Scientific Data 6, 103.",
    "Schalk, G., et al. (2004). BCI2000: a general-purpose brain-computer interface (BCI) system. IEEE "
    "Transactions on Biomedical Engineering 51(6), 1034-1043.",
    "Schirrmeister, R. T., et al. (2017). Deep learning with convolutional neural networks for EEG decoding "
    "and visualization. Human Brain Mapping 38(11), 5391-5420.",
)


def references(texts: Sequence[str]) -> list[str]:
    """The references that texts cite."""
    cited = " ".join(texts)
    return [
        reference
        for reference in REFERENCES
        if reference.split(",")[0] in cited and reference.split("(")[1][:4] in cited
    ]
