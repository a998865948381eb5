"""A subject's page, from its results folder alone."""

import pandas as pd
from threadpoolctl import threadpool_limits

from eeg_sgdr.evaluation import metrics
from eeg_sgdr.evaluation.predictors import Predictor
from eeg_sgdr.evaluation.rate_choice import fits_asked_for
from eeg_sgdr.evaluation.statistics import McNemar, better_than_guessing, binomial_interval
from eeg_sgdr.evaluation.tables import IDENTITY, distinct, identity, records, seed_by_seed
from eeg_sgdr.networks.patterns import READERS, spatial_patterns
from eeg_sgdr.reports import rates
from eeg_sgdr.reports.data import recordings
from eeg_sgdr.reports.figures import curves, heads
from eeg_sgdr.reports.headline import Contender, Headline, headline, side_by_side
from eeg_sgdr.reports.html import Html, assemble, image, made, render
from eeg_sgdr.reports.methods import deviations, methods, question, recording_warnings, references, updates
from eeg_sgdr.reports.wording import (
    CAUSES,
    FAR_ABOVE,
    counted,
    mixed_versions,
    p_value,
    page_title,
    percent,
    predictor_name,
    schedule_name,
    short_name,
    tested_subjects,
    versions,
)
from eeg_sgdr.settings import Settings, plan
from eeg_sgdr.settings.types import joined
from eeg_sgdr.storage import files
from eeg_sgdr.storage.results import Results
from eeg_sgdr.storage.subject import Subject


def subject_report(results: Results, subject: Subject) -> None:
    """Write report.html of an evaluated subject; raises UserError if it cannot be written."""
    files.write_text(subject.folder.report, page(results, subject))


# Maps need linear algebra on tiny matrices: on a busy machine, threads that wait for each other make them
# ten times slower.
@threadpool_limits.wrap(limits=1)
def page(results: Results, subject: Subject) -> str:
    """The report as HTML; the same whenever it is made, but for the element ``#made``."""
    leading = headline(subject, results.settings)
    sections = content(results, subject, leading)
    if subject.folds:
        folds = _folds(subject, results.settings, leading)
        sections = {"Result": sections.pop("Result"), "Error of each fold": folds, **sections}
    return assemble(page_title(results, subject), sections)


def content(results: Results, subject: Subject, leading: Headline) -> dict[str, str]:
    """HTML of each section, by title; the same for a subject and a fold."""
    settings = results.settings
    listed, texts = deviations(settings, subject), methods(settings, subject)
    cited = references([*texts, *listed], settings)
    return {
        "Result": _result(subject, settings, leading),
        "Test error against epochs": _test_errors(subject, leading),
        "All predictors": _predictors(subject, leading),
        "Confusions, and how far probabilities can be believed": _reliability(subject, settings, leading),
        **rates.of_unit(subject, settings),
        "Recordings": recordings(subject),
        "Training": _training(subject, settings),
        "What the network learned": activation_patterns(subject, settings, leading),
        "Deviations from the paper, and what is not answered": render("deviations.html", deviations=listed),
        "Methods": render("methods.html", methods=texts, references=cited),
        "Configuration, versions, and this report again": _made(results, subject),
    }


def _result(subject: Subject, settings: Settings, leading: Headline) -> Html:
    first, *others = result(subject, settings, leading)
    return render(
        "result.html",
        warnings=warnings(subject, settings, leading),
        result=first,
        others=[*others, *question(settings)],
        error_columns=[f"Errors, seed {seed}" for seed in settings.training.seeds],
        comparisons=[
            [name, _rates(a, b), *errors, *_cost(a, b)]
            for name, a, b, errors in side_by_side(subject, settings)
        ],
        n_test=len(leading.y),
    )


def _not_learned(subject: Subject, settings: Settings, leading: Headline) -> list[str]:
    """Warnings of predictors that err like guessing, or far more than the baseline."""
    n, guessing = len(leading.y), metrics.chance(leading.y)
    named = [(predictor_name(settings, one.predictor), one.n_errors) for one in leading.contenders]
    alike = [name for name, n_errors in named if not better_than_guessing(n_errors, n, guessing)]
    texts = []
    if alike:
        texts.append(f"Not told apart from always naming the commonest class: {joined(alike)}. {CAUSES}")
    classical = subject.overall.loc[subject.overall["members"] == "baseline", "error"].min()
    behind = [name for name, n_errors in named if n_errors / n - classical >= FAR_ABOVE]
    if behind:
        texts.append(
            f"Far above the classical baseline's error of {percent(classical)} %: {joined(behind)}."
            f"{'' if alike else f' {CAUSES}'}"
        )
    return texts


def _rates(a: Predictor, b: Predictor) -> str:
    return " against ".join(dict.fromkeys(one.rates.replace("+", " + ") for one in (a, b)))


def _cost(a: Predictor, b: Predictor) -> list[str]:
    networks = [one.n_networks for one in (a, b)]
    epochs = [one.epochs_spent for one in (a, b)]
    return [f"{networks[0]} : {networks[1]}", f"{epochs[0]} : {epochs[1]}"]


def _made(results: Results, subject: Subject) -> Html:
    fits = [part.fits[key] for part in subject.parts for key in part.done]
    capabilities = joined(sorted({fit["cpu_capability"] for fit in fits}))
    return made(results, fits, [f"{versions(fits[0])}; CPU capability {capabilities}."])


def _folds(subject: Subject, settings: Settings, leading: Headline) -> Html:
    """Errors of the predictors of the first sentence in each fold within a subject, and over all of them."""
    shown = {short_name(settings, one.predictor): identity(one.predictor) for one in leading.contenders}
    rows = []
    for fold, held_out in zip(subject.folds, subject.data["folds"], strict=True):
        errors = {tuple(row[name] for name in IDENTITY): row["error"] for row in records(fold.evaluation)}
        n_test = len(fold.tested)
        n_train = int(((fold.trials["split"] == "train") & (fold.trials["rejected"] == "")).sum())
        cells = [_errors(round(errors[one] * n_test), n_test) for one in shown.values()]
        rows.append([fold.fold_of_subject, held_out, str(n_train), str(n_test), *cells])
    everything = [_errors(one.n_errors, len(leading.y)) for one in leading.contenders]
    rows.append(["all", "", "", str(len(leading.y)), *everything])
    return render(
        "held_out.html", by=settings.split.by, error_columns=[f"Errors, {name}" for name in shown], rows=rows
    )


def _errors(n_errors: int, n: int) -> str:
    low, high = binomial_interval(n_errors, n)
    return f"{n_errors} ({percent(n_errors / n)} %, {percent(low)} to {percent(high)} %)"


def _n_seeds(evaluation: pd.DataFrame) -> int:
    return evaluation.loc[evaluation["members"] != "baseline", "seeds"].nunique()


def _test_errors(subject: Subject, leading: Headline) -> Html:
    evaluation = seed_by_seed(subject.overall)
    low, high = leading.contenders[0].interval
    figure = curves.errors(evaluation, metrics.chance(leading.y))
    return render(
        "test_errors.html",
        image=image(figure, "svg", subject.data["simulated"]),
        n_test=len(leading.y),
        n_seeds=_n_seeds(evaluation),
        baseline=(evaluation["members"] == "baseline").any(),
        interval_points=100 * (high - low),
    )


def _predictors(subject: Subject, leading: Headline) -> Html:
    """Table of evaluation.csv."""
    evaluation = distinct(subject.overall)
    named = {identity(one.predictor) for one in leading.contenders}
    columns = {
        "Schedule": lambda row: row["schedule"],
        "Members": lambda row: "ensemble" if row["members"] == "cycles" else row["members"],
        "Initial rate": lambda row: row["rates"].replace("+", " + "),
        "Seed": lambda row: row["seeds"],
        "Epochs": lambda row: str(row["epoch"]),
        "Networks": lambda row: str(row["n_networks"]),
        "Epochs spent": lambda row: str(row["epochs_spent"]),
        "Errors": lambda row: f"{round(row['error'] * row['n_test'])} ({percent(row['error'])} %)",
        "Balanced accuracy (%)": lambda row: percent(row["balanced_accuracy"]),
        "AUC": lambda row: f"{row['auc']:.3f}",
        "NLL (nats)": lambda row: f"{row['nll']:.2f}",
        "Brier": lambda row: f"{row['brier']:.2f}",
        "ECE (%)": lambda row: percent(row["ece"]),
        "Kappa": lambda row: f"{row['kappa']:.2f}",
    }
    if _n_seeds(evaluation) < 2:
        del columns["Seed"]
    if evaluation["auc"].isna().all():
        del columns["AUC"]
    rows = records(evaluation)
    return render(
        "predictors.html",
        header=list(columns),
        rows=[[cell(row) for cell in columns.values()] for row in rows],
        shaded=[i for i, row in enumerate(rows) if tuple(row[name] for name in IDENTITY) in named],
        n_test=len(leading.y),
    )


def _reliability(subject: Subject, settings: Settings, leading: Headline) -> Html:
    """Confusion matrices and reliability of the predictors of the first sentence."""
    by_name = {short_name(settings, one.predictor): one.probabilities for one in leading.contenders}
    confusion = curves.confusion(leading.y, by_name, subject.data["classes"])
    simulated = subject.data["simulated"]
    return render(
        "reliability.html",
        n_test=len(leading.y),
        confusion=image(confusion, "svg", simulated),
        reliability=image(curves.reliability(leading.y, by_name), "svg", simulated),
    )


def _training(subject: Subject, settings: Settings) -> Html:
    """Learning rates as executed and training losses, of the first seed that is done, in the first fold."""
    first, simulated = subject.parts[0], subject.data["simulated"]
    seed = min(key.seed for key in first.done)
    keys = [key for key in plan.fits(settings) if key in first.done and key.seed == seed]
    histories = {key: first.history(key) for key in keys}
    n_updates = {key: first.fits[key]["updates_per_epoch"] for key in keys}
    return render(
        "training.html",
        n_fits=len(keys),
        seed=seed,
        fold=first.fold_of_subject,
        rates=image(curves.executed(histories, n_updates), "svg", simulated),
        losses=image(curves.losses(histories, len(subject.data["classes"])), "svg", simulated),
    )


def activation_patterns(subject: Subject, settings: Settings, leading: Headline) -> Html:
    """Activation patterns of the first predictor's last snapshot, in the first fold."""
    first, name = subject.parts[0], settings.network.name
    data, summary = first.data, first.summary
    predictor = leading.contenders[0].predictor
    key = first.trained(predictor.fits[0])
    read = first.averaged_weights if predictor.members == "averaged" else first.weights
    state = read(key, predictor.epoch)
    patterns = spatial_patterns(name, state, summary["covariance"], data["sfreq"])
    picture = None
    if patterns and heads.can_be_drawn(summary["positions"]):
        figure = heads.patterns(patterns, data["sensors"], summary["positions"])
        picture = image(figure, "png", data["simulated"])
    return render(
        "patterns.html",
        image=picture,
        patterns=patterns,
        network=name,
        readable=READERS,
        key=key,
        schedule=schedule_name(settings, key.schedule),
        epoch=predictor.epoch,
        averaged=predictor.members == "averaged",
        fold=first.fold_of_subject,
    )


def result(subject: Subject, settings: Settings, leading: Headline) -> list[str]:
    """Sentences: the result, its test, and the variation over seeds."""
    n = len(leading.y)
    simulated = "simulated " if subject.data["simulated"] else ""
    conditions = [_condition(subject, one.predictor) for one in leading.contenders]
    shared = len(set(conditions)) == 1
    clauses = [
        f"{predictor_name(settings, one.predictor)}{'' if shared else f', {condition},'} was wrong on "
        f"{one.n_errors} ({_error(one)})"
        for one, condition in zip(leading.contenders, conditions, strict=True)
    ]
    commonest = metrics.chance(leading.y)
    first = (
        f"Of {counted(n, f'{simulated}test trial')} of {tested_subjects(subject)}, {joined(clauses)}"
        f"{f', {conditions[0]}' if shared else ''}; always naming the commonest class would be wrong on "
        f"{round(commonest * n)} ({percent(commonest)} %)."
    )
    tested = [_mcnemar(subject, settings, leading, leading.test)] if leading.test else []
    return [first, *tested, _seeds(settings, leading)]


def _condition(subject: Subject, predictor: Predictor) -> str:
    fits = [part.trained(key) for part in subject.parts for key in predictor.fits]
    values = sorted({key.rate for key in fits}) if subject.folds else [key.rate for key in fits]
    initial = f"an initial rate of {values[0]}" if len(values) == 1 else f"initial rates {joined(values)}"
    if predictor.fits[0].rate == "tuned":
        initial += ", chosen inside the training part"
    return f"after {counted(predictor.epoch, 'epoch')} from {initial}"


def _error(contender: Contender) -> str:
    low, high = contender.interval
    error = contender.n_errors / len(contender.correct)
    return f"{percent(error)} %, 95 % interval {percent(low)} to {percent(high)} %"


def _mcnemar(subject: Subject, settings: Settings, leading: Headline, test: McNemar) -> str:
    a, b = (predictor_name(settings, one.predictor) for one in leading.contenders)
    verdict = (
        "so their errors on such trials differ" if test.p < 0.05 else "so these trials do not tell them apart"
    )
    n = len(subject.test_subjects)
    people = "one subject" if n == 1 else f"these {n} subjects"
    trainings = "one training of each in every fold" if subject.folds else "one training of each"
    return (
        f"Only {a} was right on {counted(test.only_a, 'trial')}, only {b} on {test.only_b} "
        f"(exact McNemar test, {p_value(test.p)}), {verdict}. That is what {trainings}, with seed "
        f"{leading.contenders[0].predictor.fits[0].seed}, can say of {people}: neither the intervals "
        "nor the test cover how much trainings or people differ."
    )


def _seeds(settings: Settings, leading: Headline) -> str:
    if len(leading.by_seed) < 2:
        seed = leading.contenders[0].predictor.fits[0].seed
        return f"One seed ({seed}): variation between trainings was not measured."
    counts = [
        f"{short_name(settings, one.predictor)} {', '.join(map(str, errors))}"
        for one, errors in zip(leading.contenders, zip(*leading.by_seed.values(), strict=True), strict=True)
    ]
    return f"Errors with seeds {joined(leading.by_seed)}: {'; '.join(counts)}."


def warnings(subject: Subject, settings: Settings, leading: Headline) -> list[str]:
    """Warnings before any number: fits missing, failed or mixed; few updates; nothing learned."""
    asked = fits_asked_for(subject, settings)
    missing = [name for name, there in asked.items() if not there]
    texts = recording_warnings(subject)
    if missing:
        texts.append(
            f"Unfinished: {len(missing)} of {len(asked)} fits are missing ({', '.join(missing)}). Numbers "
            "that need them are left out."
        )
    texts += [
        f"Failed: {name} ({why}). Numbers that need it are left out." for name, why in subject.failed.items()
    ]
    texts += mixed_versions(part.fits[key] for part in subject.parts for key in part.done)
    few = [n for n in updates(subject) if n < 4]
    if few:
        texts.append(
            f"Few updates: an epoch has only {joined(few)} (fewer than 4), so a cycle of one epoch is hardly "
            "an annealing."
        )
    return [*texts, *_not_learned(subject, settings, leading)]
