"""What the comparer learns from: the development pairs, all other pairs of wordings of a subject's questions, ordinary
rewordings, and questions with a word exchanged. Held-out questions are not read."""

import itertools
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from rewordings import Exchanges, opened_otherwise, rewordings  # noqa: E402
from subjects import FIRST, read_subjects  # noqa: E402
from words import fold  # noqa: E402

SEEDS = HERE.parent / "seeds" / "development" / "subjects"
PAIRS = HERE.parents[2] / "crates" / "likeness" / "evaluation" / "development.tsv"

FOLDS = 3
# Families of one field have about the same numbers in each language, as `examples/weigh` parts them too.
FAMILIES_OF_FIELD = 10

# How much a pair counts. A near miss let through does more harm than a paraphrase refused; of the others there are as
# many as anybody cares to make.
COUNTS = {"paraphrase": 1.0, "near_miss": 2.0, "apart": 0.45, "crossed": 0.45, "exchanged": 0.3, "reworded": 0.5}
# Families were written in one language each, and have slots: a pair of theirs says less.
SUBJECT_COUNTS = 2.0
# The same pair once more, one side in another opening.
AGAIN_COUNTS = 0.5


@dataclass
class Example:
    a: str
    b: str
    same: bool
    counts: float
    fold: int
    # Of the evaluation, or none.
    identity: str | None = None


def fold_of(number):
    return (number if number >= FIRST["development"] else number // FAMILIES_OF_FIELD) % FOLDS


def examples():
    rows = [line.split("\t") for line in PAIRS.read_text(encoding="utf-8").splitlines()[1:]]
    known = {frozenset((fold(row[4]), fold(row[5]))) for row in rows}
    exchanges = Exchanges([(row[1], text) for row in rows for text in row[4:]])
    found = [of_row(row) for row in rows]
    for number, subject in enumerate(subjects(), FIRST["development"]):
        for language, families in subject.families.items():
            questions = [question for family in families for question in family.questions]
            for kind, a, b in itertools.chain(
                crossed(questions, known), reworded(questions, language), exchanged(questions, language, exchanges)
            ):
                counts = COUNTS[kind] * SUBJECT_COUNTS
                found.append(Example(a, b, kind == "reworded", counts, fold_of(number)))
    found += [again for row, example in zip(rows, found) for again in opened_again(row, example)]
    return unique(found)


def subjects():
    return [subject for path in sorted(SEEDS.glob("*.txt")) for subject in read_subjects(path)]


def of_row(row):
    identity, _, kind, _, a, b = row
    number = int(identity.split("-")[2])
    counts = COUNTS[kind] * (SUBJECT_COUNTS if number >= FIRST["development"] else 1.0)
    return Example(a, b, kind == "paraphrase", counts, fold_of(number), identity)


def crossed(questions, known):
    """Wordings of two questions of a subject: all of them need different answers."""
    for one, other in itertools.combinations(questions, 2):
        for a, b in itertools.product(one.wordings, other.wordings):
            if fold(a) != fold(b) and frozenset((fold(a), fold(b))) not in known:
                yield "crossed", a, b


def reworded(questions, language):
    for question in questions:
        for wording in question.wordings:
            for other in rewordings(wording, language, 3):
                yield "reworded", wording, other


def exchanged(questions, language, exchanges):
    for question in questions:
        for wording in question.wordings:
            for salt in "12":
                if other := exchanges.exchange(wording, language, salt):
                    yield "exchanged", wording, other
                    if salt == "1":
                        for again in rewordings(other, language, 1, "z"):
                            yield "exchanged", wording, again


def opened_again(row, example):
    """The label stays, whatever the opening."""
    language = row[1]
    for side in ("a", "b"):
        text = getattr(example, side)
        if not opened_otherwise(text, language):
            continue
        for other in rewordings(text, language, 1, side + row[0]):
            a, b = (other, example.b) if side == "a" else (example.a, other)
            yield Example(a, b, example.same, example.counts * AGAIN_COUNTS, example.fold)


def unique(found):
    """Each pair once, as it came first; those of the evaluation always."""
    seen, kept = set(), []
    for example in found:
        if example.identity is None and (example.a, example.b) in seen:
            continue
        seen.add((example.a, example.b))
        kept.append(example)
    return kept
