"""What a subject's report says in sentences, written from settings and tables: no number is typed in."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from eeg_sgdr import metrics, plan
from eeg_sgdr.pages.headline import Contender, Headline
from eeg_sgdr.pages.wording import (
    counted,
    joined,
    p_value,
    percent,
    plain,
    predictor_name,
    short_name,
    versions,
    whose,
)
from eeg_sgdr.predictors import Predictor
from eeg_sgdr.quality import FEWEST_SENSORS
from eeg_sgdr.rejections import too_many
from eeg_sgdr.settings import Settings, WarmRestartsArm
from eeg_sgdr.statistics import McNemar
from eeg_sgdr.subjects import Subject

PAPERS_RECORDINGS = (
    "The paper (section 4.4) trained on the High-Gamma recordings: 14 people, about 1000 trials each of "
    "right hand, left hand, feet and rest."
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
    if not any(isinstance(arm, WarmRestartsArm) for arm in settings.schedules.values()):
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
    kinds = sorted({made_with(subject.fits[key]) for key in subject.done})
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


def of_recordings(subject: Subject) -> list[str]:
    """What a reader must know of the recordings before anything else."""
    texts = []
    if sentence := too_many(subject.trials):
        texts.append(f"Few trials are left: {sentence}")
    if subject.data["simulated"]:
        texts.append("Simulated recordings: nothing on this page says anything of people's EEG.")
    return texts


def updates(subject: Subject) -> list[int]:
    """Updates in an epoch, as the fits had them; one number unless something is wrong."""
    return sorted({subject.fits[key]["updates_per_epoch"] for key in subject.done})


def made_with(content: dict[str, Any]) -> str:
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


def deviations(settings: Settings, subject: Subject) -> list[str]:
    """What differs from the paper, what it leaves open, and what is not answered."""
    simulated = ", simulated" if subject.data["simulated"] else ""
    forms = sorted({subject.fits[key]["form"] for key in subject.done})
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
    """For whom the numbers of a page can speak."""
    if not subject.fold:
        return ["One subject cannot speak for people; only a study over subjects can."]
    return [
        *across(settings),
        "The subjects of a fold share their networks, so they cannot speak for networks trained on other "
        "people; only a study over folds can, and even there training sets overlap.",
    ]


def across(settings: Settings) -> list[str]:
    """What differs from the paper because networks are tested on other people than they were trained on."""
    texts = [
        "The paper trained and tested networks within each person. Here they are tested on people of whom "
        "they have seen nothing, so the errors are not to be set beside the paper's."
    ]
    if settings.baseline:
        texts.append(
            "The classical baseline takes the trials of all training subjects together and does not align "
            "the covariances of different people, as methods made for transfer do: no strong rival."
        )
    return texts


def choices(settings: Settings) -> list[str]:
    """What the paper leaves open or was done otherwise, as far as the settings say it."""
    training = settings.training
    texts = [
        "Both sides of a comparison share initial rates, weight decay, momentum and batch size; none was "
        "tuned for either. SGD alone is compared: how either fares against AdamW or against early stopping "
        "is not answered.",
        "The paper does not name network, weight decay, batch size, high-pass and seeds for EEG. Here: "
        f"{settings.network.name}, weight decay {training.weight_decay:g}, batches of {training.batch_size}, "
        f"{_high_pass(settings.preprocessing.highpass_hz)}, "
        f"{'seed' if len(training.seeds) == 1 else 'seeds'} {joined(training.seeds)}; no max-norm is added "
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
    texts += [
        f"T_0 = {arm.t_0}, T_mult = {arm.t_mult} and eta_min = {arm.eta_min:g} are chosen here. Snapshots "
        "are taken right before a restart, and the solution at any moment is that of the last completed "
        "cycle."
        for arm in settings.schedules.values()
        if isinstance(arm, WarmRestartsArm)
    ]
    texts.append(
        "Whenever a network is scored, whatever its schedule, its batch-norm statistics are recomputed over "
        "all training crops, since running ones lag behind the weights. The paper does not say which it used."
        if settings.evaluation.batch_norm_statistics == "recomputed"
        else "Networks are scored with running batch-norm statistics, which lag behind the weights, most of "
        "all early in a fit."
    )
    return texts


def _high_pass(frequency: float | None) -> str:
    return "no high-pass" if frequency is None else f"high-pass at {frequency:g} Hz"
