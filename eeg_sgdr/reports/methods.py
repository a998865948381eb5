"""Methods in sentences for an article, the paper's question, deviations from it, and references."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from eeg_sgdr.data.filters import NOTCH_QUALITY
from eeg_sgdr.data.quality import lacking_class, mains_warning, rejection_warning
from eeg_sgdr.networks.patterns import READERS
from eeg_sgdr.reports.wording import counted, enumerated, schedule_name, versions
from eeg_sgdr.schedules import n_averaged
from eeg_sgdr.settings import RateChoice, Settings, SGDSettings, Split, SubjectSplit
from eeg_sgdr.settings.types import joined, plain
from eeg_sgdr.storage.subject import Subject

PAPERS_RECORDINGS = (
    "The paper (section 4.4) trained on the High-Gamma recordings: 14 people, about 1000 trials each of "
    "right hand, left hand, feet and rest."
)


def methods(settings: Settings, subject: Subject) -> list[str]:
    """Methods of the configuration, a paragraph for each part."""
    return [
        _recordings(settings, subject),
        preprocessing(settings, subject),
        _training(settings),
        *_baselines([content["settings"]["baseline"] for content in subject.baselines.values()]),
        _evaluation(settings, subject),
    ]


def _recordings(settings: Settings, subject: Subject) -> str:
    trials = subject.trials
    n_subjects = trials["subject"].nunique()
    people = f"{n_subjects} subjects" if subject.fold else f"subject {subject.label}"
    origin = settings.recordings.describe(people)
    by = settings.split.by
    test = subject.test_subjects if subject.fold else sorted(set(trials.loc[trials["split"] == "test", by]))
    kept = trials.loc[trials["rejected"] == "", "split"].value_counts()
    classes = f"{origin} Classes were {joined(map(plain, subject.data['classes']))}."
    if subject.folds:
        return (
            f"{classes} Each of the {len(subject.data['folds'])} {by}s ({', '.join(subject.data['folds'])}) "
            f"was held out once and tested by networks that all others had trained, so that each of the "
            f"{counted(int(kept['test']), 'trial')} left after rejection was tested once."
        )
    return (
        f"{classes} "
        f"{enumerated(by.capitalize(), test)} tested "
        f"({counted(int(kept['test']), 'trial')} after rejection), all others trained "
        f"({counted(int(kept['train']), 'trial')}).{_folds(settings.split)}"
    )


def _folds(split: Split | SubjectSplit) -> str:
    """Division into folds; empty without folds."""
    if not isinstance(split, SubjectSplit):
        return ""
    if isinstance(split.folds, int):
        return (
            f" This is one of {split.folds} folds into which subjects were divided at random (seed "
            f"{split.seed}), so that each subject was tested once, by networks that had seen nothing of it."
        )
    return f" This is one of {len(split.folds)} folds that were named in the configuration."


def preprocessing(settings: Settings, subject: Subject) -> str:
    """Preprocessing, from recordings to windows."""
    config, data = settings.preprocessing, subject.data
    start, end = config.window_s
    rejected = "Trials that overlap an annotation beginning with BAD or EDGE were rejected"
    limits = {
        "raw amplitude reached": config.reject_uv,
        "raw peak-to-peak amplitude exceeded": config.reject_ptp_uv,
    }
    bounds = [f"{words} {limit:g} µV" for words, limit in limits.items() if limit is not None]
    if bounds:
        rejected += (
            f", as were those in which any sensor's {' or '.join(bounds)} between the cue and {end:g} s"
        )
    steps = [f"{counted(len(data['sensors']), 'EEG sensor')} were used"]
    if data["interpolated"]:
        steps.append("those marked as bad interpolated by spherical splines")
    if config.reference == "average":
        steps.append("referred to the average of all EEG sensors that were not bad")
    elif config.reference is not None:
        steps.append(f"referred to the mean of {joined(config.reference)}")
    if data["resampled"]:
        steps.append(f"resampled to {data['sfreq']:g} Hz (polyphase) where recorded at another rate")
    if config.notch_hz is not None:
        steps.append(
            f"notch filtered at {joined(f'{hertz:g}' for hertz in config.notch_hz)} Hz (causal second-order "
            f"filters of quality {NOTCH_QUALITY:g})"
        )
    for corner, word in ((config.highpass_hz, "high-pass"), (config.lowpass_hz, "low-pass")):
        if corner is not None:
            steps.append(f"{word} filtered at {corner:g} Hz (causal Butterworth filter of order 3)")
    if config.standardize is not None:
        steps.append(
            "standardised by exponential moving mean and variance (factor "
            f"{config.standardize.factor_new:g}; the first {config.standardize.init_samples} samples by "
            "their own)"
        )
    samples = data["window_samples"][1] - data["window_samples"][0]
    return (
        f"{rejected}. {', '.join(steps)}. Windows lasted from {start:g} to {end:g} s around the cue "
        f"({samples} samples at {data['sfreq']:g} Hz). The steps follow Schirrmeister et al. (2017), "
        "done with MNE (Gramfort et al., 2013) and braindecode."
    )


def _training(settings: Settings) -> str:
    network, training = settings.network, settings.training
    paper = {
        "ShallowFBCSPNet": " (Schirrmeister et al., 2017)",
        "Deep4Net": " (Schirrmeister et al., 2017)",
        "EEGNet": " (Lawhern et al., 2018)",
    }.get(network.name, "")
    arguments = ", ".join(f"{key} = {value}" for key, value in network.arguments.items())
    inputs, logits = "whole windows", "logits"
    if network.crop_samples is not None:
        inputs = f"crops of {network.crop_samples} samples in dense form"
        logits = "each crop's mean logits"
    shared = training.seeding == "shared"
    own = "" if shared else f", and every {_trained(settings)} derives seeds of its own"
    # What arms name themselves stands in their own sentences.
    optimizer, rates = "", ""
    if not all(arm.optimizer for arm in settings.schedules.values()):
        optimizer = f" by {SGDSettings(kind='sgd').completed(training).describe()}"
    if not all(arm.initial_rates for arm in settings.schedules.values()):
        rates = f", {enumerated('initial rate', training.initial_rates)}"
    return " ".join(
        [
            f"braindecode's {network.name}{paper}{f' with {arguments}' if arguments else ''} was trained on "
            f"{inputs}{optimizer} on the cross-entropy of {logits}, with batches of "
            f"{training.batch_size}{rates}, and {enumerated('seed', training.seeds)}; "
            f"trainings that share a seed share initial weights, data order and dropout{own}.",
            *([_rate_choice(training.rate_choice)] if training.rate_choice else []),
            *(_schedule(settings, name) for name in settings.schedules),
        ]
    )


_VALIDATION = {
    "run": "the last training run of each subject",
    "session": "the last training session of each subject",
    "subject": "one fifth of the training subjects",
    "tail": "the last fifth of the trials of each training run",
}


def _trained(settings: Settings) -> str:
    """What has networks of its own."""
    return "fold of a subject" if settings.cross_validated else settings.unit


def tuning(settings: Settings) -> str:
    """Whether and how initial rates were chosen, in one sentence."""
    choice = settings.training.rate_choice
    if choice is None:
        return f"Initial rates are those of the configuration, the same for every {settings.unit}: no tuning."
    return (
        f"Every schedule's initial rate was chosen from its list for each {_trained(settings)}, on trials "
        f"that those fits did not train on: {_VALIDATION[choice.validation]}."
    )


def _rate_choice(choice: RateChoice) -> str:
    validation = _VALIDATION[choice.validation]
    others = "" if choice.outer == "chosen" else ", and at all other rates"
    return (
        "One initial rate was chosen for each schedule and number of epochs inside the training part: with "
        f"each rate, networks were trained ({enumerated('seed', choice.seeds)}) without {validation}, on "
        "whose trials the last snapshot that erred least decided (ties: by the negative log-likelihood, then "
        f"the lower rate). The whole training part was trained on at the chosen rate{others}."
    )


def _schedule(settings: Settings, name: str) -> str:
    words, arm = schedule_name(settings, name), settings.schedules[name]
    own = [f"by {arm.optimizer.completed(settings.training).describe()}"] if arm.optimizer else []
    own += [f"with {enumerated('initial rate', arm.initial_rates)}"] if arm.initial_rates else []
    recipe = f"Its networks were trained {' '.join(own)}." if own else ""
    sentences = f"{words[0].upper()}{words[1:]} {arm.describe()}", arm.describe_warmup(), recipe
    return " ".join(filter(None, sentences))


def _baselines(stored: Sequence[Mapping[str, Any]]) -> list[str]:
    """Paragraphs of the baselines that are there, from their settings in fit.json."""
    if not stored:
        return []
    modes = [one["mode"] for one in stored if "mode" in one]
    texts = [_baseline(stored[0]["band_hz"])]
    if modes:
        plural = len(modes) > 1
        texts.append(
            f"The re-centred {'baselines are' if plural else 'baseline is'} the same, but that the "
            "covariances of each subject's session were first whitened by their Riemannian mean (Zanini et "
            f"al., 2018, by pyriemann), which needs no label: {' and '.join(MODES[mode] for mode in modes)}; "
            "training trials by the mean of all training trials of their session."
        )
    return texts


#: Which mean a re-centred baseline whitens test trials by.
MODES = {
    "causal": "causal, a test trial by the running mean of its session's test trials, itself the last",
    "transductive": "transductive, a test trial by the mean of all its session's test trials, later ones too",
}


def _baseline(band_hz: Sequence[float]) -> str:
    low, high = band_hz
    return (
        "The classical baseline read the same trials and sensors between cue and window end, band-pass "
        f"filtered at {low:g} and {high:g} Hz (causal Butterworth filters of order 3) and not standardised: "
        "shrunk covariances (Chen et al., 2010), their tangent space at the Riemannian mean of the training "
        "trials (Barachant et al., 2012, by pyriemann), and logistic regression (L2 penalty, C = 1, by "
        "scikit-learn)."
    )


def _evaluation(settings: Settings, subject: Subject) -> str:
    logits = "logits" if settings.network.crop_samples is None else "logits averaged over crops"
    recomputed = settings.evaluation.batch_norm_statistics == "recomputed"
    texts = [
        f"Class probabilities of a test trial were the softmax of its {logits}, with batch-norm statistics "
        f"{'recomputed over the training set' if recomputed else 'kept in training'}."
    ]
    rate = settings.training.initial_rates[0]
    cycles = {
        len(arm.schedule(rate, max(arm.budgets)).ends)
        for arm in settings.schedules.values()
        if arm.leaves_snapshots
    }
    if cycles:
        texts.append(
            "Snapshot ensembles (Loshchilov and Hutter, 2017, section 4.4; Huang et al., 2017) averaged, "
            "with equal weights, the probabilities of the last M = max(1, nr // 2) of nr completed cycles "
            f"(at the end M = {joined(map(n_averaged, sorted(cycles)))}), of one training or of those at all "
            "rates."
        )
        if recomputed and n_averaged(max(cycles)) > 1:
            texts.append(
                "Averaged weights (Izmailov et al., 2018) are the mean weights of the same M snapshots "
                "of one training, with batch-norm statistics recomputed over the training set."
            )
    patterns = "Activation patterns of first-layer units are those of Haufe et al. (2014)."
    fit = subject.fits[subject.done[0]]
    numerics = settings.training.numerics
    return " ".join(
        [
            *texts,
            "Errors have exact binomial 95 % intervals (Clopper and Pearson, 1934); two predictors were "
            "compared on the same trials by the exact McNemar test (McNemar, 1947). Calibration error used "
            "15 bins of equal width (Guo et al., 2017).",
            *([_OVER_PEOPLE] if subject.fold else []),
            *([_OVER_FOLDS] if subject.folds else []),
            *([patterns] if settings.network.name in READERS else []),
            f"Computed on {numerics.device} ({fit['cpu_capability']}) in {numerics.precision} precision "
            f"{_ROUNDED if numerics.precision == 'mixed' else ''}with {versions(fit)}.",
        ]
    )


_ROUNDED = "(matrix products of bfloat16 numbers, which have 8 significant bits) "

_OVER_PEOPLE = (
    "Trials of all test subjects were counted together, so intervals and test hold for these subjects and "
    "these trained networks alone."
)

_OVER_FOLDS = (
    "Trials of all folds were counted together, each predicted by the networks of the fold that held it out; "
    "intervals and test hold for these trained networks alone."
)

REFERENCES = (
    "Barachant, A., et al. (2012). Multiclass brain-computer interface classification by Riemannian "
    "geometry. IEEE Transactions on Biomedical Engineering 59(4), 920-928.",
    "Chen, Y., et al. (2010). Shrinkage algorithms for MMSE covariance estimation. IEEE Transactions on "
    "Signal Processing 58(10), 5016-5029.",
    "Clopper, C. J., & Pearson, E. S. (1934). The use of confidence or fiducial limits illustrated in the "
    "case of the binomial. Biometrika 26, 404-413.",
    "Goyal, P., et al. (2017). Accurate, large minibatch SGD: training ImageNet in 1 hour. arXiv:1706.02677.",
    "Gramfort, A., et al. (2013). MEG and EEG data analysis with MNE-Python. Frontiers in Neuroscience 7, "
    "267.",
    "Guo, C., et al. (2017). On calibration of modern neural networks. ICML.",
    "Haufe, S., et al. (2014). On the interpretation of weight vectors of linear models in multivariate "
    "neuroimaging. NeuroImage 87, 96-110.",
    "Huang, G., et al. (2017). Snapshot ensembles: train 1, get M for free. ICLR.",
    "Izmailov, P., et al. (2018). Averaging weights leads to wider optima and better generalization. UAI.",
    "Lawhern, V. J., et al. (2018). EEGNet: a compact convolutional neural network for EEG-based "
    "brain-computer interfaces. Journal of Neural Engineering 15, 056013.",
    "Loshchilov, I., & Hutter, F. (2017). SGDR: stochastic gradient descent with warm restarts. ICLR.",
    "McNemar, Q. (1947). Note on the sampling error of the difference between correlated proportions or "
    "percentages. Psychometrika 12, 153-157.",
    "Schirrmeister, R. T., et al. (2017). Deep learning with convolutional neural networks for EEG decoding "
    "and visualization. Human Brain Mapping 38(11), 5391-5420.",
    "Zanini, P., et al. (2018). Transfer learning: a Riemannian geometry framework with applications to "
    "brain-computer interfaces. IEEE Transactions on Biomedical Engineering 65(5), 1107-1116.",
)


def references(texts: Sequence[str], settings: Settings) -> list[str]:
    """References cited in texts, by first author and year."""
    cited = " ".join(texts)
    arms = settings.schedules.values()
    sections = [section for arm in arms for section in (arm, arm.optimizer) if section]
    described = {reference for section in sections for reference in section.references}
    return [
        reference
        for reference in sorted({*REFERENCES, *settings.recordings.references, *described})
        if reference.split(",")[0] in cited and reference.split("(")[1][:4] in cited
    ]


def bibtex(references: Sequence[str]) -> str:
    """References in BibTeX, with keys such as Huang2017; one of another form is a note."""
    entries: dict[str, str] = {}
    for reference in references:
        kind, fields = _bibtex_fields(reference)
        name = unicodedata.normalize("NFKD", reference.split(",")[0]).encode("ascii", "ignore").decode()
        key = re.sub(r"\W", "", name) + fields.get("year", "")
        while key in entries:
            key += "a"
        escaped = {name: re.sub(r"([&%#_$])", r"\\\1", value) for name, value in fields.items()}
        lines = [f"  {name} = {{{value}}},\n" for name, value in escaped.items()]
        entries[key] = f"@{kind}{{{key},\n{''.join(lines)}}}\n"
    return "\n".join(entries.values())


def _bibtex_fields(reference: str) -> tuple[str, dict[str, str]]:
    """Type and fields of a reference in the form of `REFERENCES`."""
    parts = re.fullmatch(r"(.+?) \((\d{4})\)\. (.+?)\. (.+)\.", reference)
    if not parts:
        return "misc", {"note": reference}
    names, year, title, source = parts.groups()
    authors = re.findall(r"(?:^|, |& )([^,&]+, (?:\w\.[ -]?)+)", names)
    authors += ["others"] * names.endswith("et al.")
    fields = {"author": " and ".join(map(str.strip, authors)), "year": year, "title": f"{{{title}}}"}
    if article := re.fullmatch(r"(.+?) (\d+)(?:\((\d+)\))?, (\w+)(?:-(\w+))?", source):
        journal, volume, number, first, last = article.groups()
        pages = f"{first}--{last}" if last else first
        numbers = {"volume": volume, "number": number, "pages": pages}
        return "article", fields | {"journal": journal} | {k: v for k, v in numbers.items() if v}
    if source.startswith("arXiv:"):
        return "misc", fields | {"eprint": source.removeprefix("arXiv:"), "archiveprefix": "arXiv"}
    return "inproceedings", fields | {"booktitle": source}


def question(settings: Settings) -> list[str]:
    """The paper's question, where a study has an arm that leaves snapshots."""
    if not any(arm.leaves_snapshots for arm in settings.schedules.values()):
        return []
    return [
        "The question is that of Loshchilov and Hutter (2017), section 4.4, who trained ConvNets on motor "
        "EEG: do warm restarts of the learning rate, or ensembles of the snapshots that they leave, reach a "
        "lower test error than a step schedule in as many epochs?"
    ]


def recording_warnings(subject: Subject) -> list[str]:
    """Warnings about the recordings: few trials, mains, or simulated ones."""
    texts = []
    if sentence := lacking_class(subject.trials, subject.data["classes"]):
        texts.append(f"Nothing can be trained: {sentence}")
    if sentence := rejection_warning(subject.trials):
        texts.append(f"Few trials are left: {sentence}")
    if sentence := mains_warning(subject.summary):
        texts.append(f"Mains: {sentence}")
    if subject.data["simulated"]:
        texts.append("Simulated recordings: they say nothing of people's EEG.")
    return texts


def updates(subject: Subject) -> list[int]:
    """Distinct numbers of updates per epoch; more than one if fits differ."""
    return sorted({part.fits[key]["updates_per_epoch"] for part in subject.parts for key in part.done})


def deviations(settings: Settings, subject: Subject) -> list[str]:
    """Deviations from the paper, choices that it leaves open, and open questions."""
    simulated = ", simulated" if subject.data["simulated"] else ""
    forms = sorted({part.fits[key]["form"] for part in subject.parts for key in part.done})
    return [
        *choices(settings),
        *_scope(settings, subject),
        f"{PAPERS_RECORDINGS} Here it is {counted(len(subject.trials), 'trial')} of "
        f"{joined(map(plain, subject.data['classes']))}{simulated}.",
        f"An epoch is {joined(updates(subject))} updates; its incomplete last batch is dropped.",
        f"Form of the network that was computed: {joined(forms)}. All forms are the same function as "
        "braindecode's network, but for rounding.",
    ]


def _scope(settings: Settings, subject: Subject) -> list[str]:
    """Population to which the numbers of a page generalise."""
    if not subject.fold:
        return ["One subject cannot speak for people; only a study over subjects can."]
    return [
        *across(settings),
        "The subjects of a fold share their networks, so they cannot speak for networks trained on other "
        "people; only a study over folds can, and even there training sets overlap.",
    ]


def across(settings: Settings) -> list[str]:
    """Deviations where networks are tested on other subjects than they were trained on."""
    texts = [
        "The paper trained and tested networks within each person. Here they are tested on people of whom "
        "they have seen nothing, so the errors are not to be set beside the paper's."
    ]
    names = {one.name for one in settings.baselines}
    if "baseline" in names:
        rival = "no strong rival" if len(names) == 1 else "the re-centred baseline does"
        texts.append(
            "The classical baseline takes the trials of all training subjects together and does not align "
            f"the covariances of different people, as methods made for transfer do: {rival}."
        )
    if "recentred_transductive" in names:
        texts.append(
            "The transductive baseline reads all test trials of a session, without their labels, before it "
            "predicts the first; no other predictor does, and in use it must wait for the session's end."
        )
    return texts


def choices(settings: Settings) -> list[str]:
    """Deviations and open choices that follow from the settings alone."""
    training = settings.training
    texts = [
        _shared(settings),
        "The paper does not name network, weight decay, batch size, high-pass and seeds for EEG. Here: "
        f"{settings.network.name}, weight decay {training.weight_decay:g}, batches of {training.batch_size}, "
        f"{_high_pass(settings.preprocessing.highpass_hz)}, "
        f"{enumerated('seed', training.seeds)}; no max-norm is added "
        "to the network's own.",
        f"Momentum of {training.momentum:g}, classical and not Nesterov's, is assumed: the paper states it "
        "for images. "
        + (
            "As in the paper's equations (3) and (4), the rate stays inside the velocity."
            if training.momentum_form == "paper"
            else "The paper's equations (3) and (4) keep the rate inside the velocity; here, as in torch, "
            "the new rate multiplies the old velocity, which differs only where the rate jumps."
        ),
    ]
    texts += [text for arm in settings.schedules.values() if (text := arm.assumptions())]
    texts.append(
        "Whenever a network is scored, whatever its schedule, its batch-norm statistics are recomputed over "
        "all training crops, since running ones lag behind the weights. The paper does not say which it used."
        if settings.evaluation.batch_norm_statistics == "recomputed"
        else "Networks are scored with running batch-norm statistics, which lag behind the weights, most of "
        "all early in a fit."
    )
    return texts


def _shared(settings: Settings) -> str:
    """What both sides of a comparison share, and the rivals that are not among them."""
    own = [name for name, arm in settings.schedules.items() if arm.optimizer]
    optimizers = f"; optimizers of their own have {joined(own)}" if own else ""
    if settings.training.rate_choice:
        return (
            "Both sides of a comparison chose their initial rate the same way, and share the batch size, "
            f"which was tuned for neither{optimizers}. Early stopping is not compared."
        )
    if own:
        return (
            "Both sides of a comparison share initial rates and batch size; none was tuned for either"
            f"{optimizers}. Early stopping is not compared."
        )
    return (
        "Both sides of a comparison share initial rates, weight decay, momentum and batch size; none was "
        "tuned for either. SGD alone is compared: how either fares against AdamW or against early stopping "
        "is not answered."
    )


def _high_pass(frequency: float | None) -> str:
    return "no high-pass" if frequency is None else f"high-pass at {frequency:g} Hz"
