"""Reads questions by subject, written by hand, and pairs them.

    ## changing a tyre
    [en]
    ? How do I swap summer tyres for winter tyres?
    = what do I do to get winter tyres on the car in place of the summer ones
    ~ How do I swap summer tyres for winter tires?
    dir: How do I swap winter tyres for summer tyres?
    = what do I do to get summer tyres on the car in place of the winter ones

A blank line ends a family. `? ` begins it with a question. A label (of
`seeds.LABELS`) begins another question, which differs from the first in that.
Below a question stand its other wordings: `= ` rewords it, `~ ` is the line
above with one thing written in another way. All questions of a family need
different answers.

Everything about a subject, in all languages, stands under its heading, in one
half.
"""

import itertools
import re

from pairs import NEAR_MIN, REWORDED_MAX, dressed, ranked, turned
from seeds import LABELS, SeedError
from words import alike, fold

LANGUAGES = ("en", "de", "fr")
# Pairs of two questions of a family.
CROSSED_MAX = 3
# Of a subject in a language: pairs of questions of a family that do not look alike.
APART_MAX = 16
# Subjects are numbered from here, after the families of the half.
FIRST = {"development": 601, "held_out": 1}


class Question:
    """What differs from the family's first question, and the wordings."""

    def __init__(self, label, text):
        self.label = label
        self.wordings = [text]
        self.spellings = []  # pairs of wordings that differ in how one thing is written


class SubjectFamily:
    def __init__(self):
        self.questions = []

    @property
    def labels(self):
        return [question.label for question in self.questions if question.label]


class Subject:
    def __init__(self, name, place):
        self.name = name
        self.place = place
        self.families = {language: [] for language in LANGUAGES}


def read_subjects(path):
    subjects, language, family = [], None, None
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        place = f"{path.parent.parent.name}/{path.name}:{number}"
        if "\t" in line or line != line.rstrip():
            raise SeedError(f"{place}: a tab, or space at the end")
        if not line:
            family = None
        elif line.startswith("## "):
            subjects.append(Subject(line[3:], place))
            language, family = None, None
        elif match := re.fullmatch(r"\[(..)\]", line):
            language, family = match[1], None
            if not subjects or language not in LANGUAGES:
                raise SeedError(f"{place}: a language is one of {', '.join(LANGUAGES)}, below a subject")
        elif language is None:
            raise SeedError(f"{place}: `## ` and a subject, then `[en]`, come before questions")
        elif line.startswith("? "):
            family = SubjectFamily()
            family.questions.append(Question(None, line[2:]))
            subjects[-1].families[language].append(family)
        elif family is None:
            raise SeedError(f"{place}: a family begins with `? `")
        else:
            read_wording(family, line, place)
    for subject in subjects:
        if missing := [language for language, families in subject.families.items() if not families]:
            raise SeedError(f"{subject.place}: nothing in {', '.join(missing)}")
    return subjects


def read_wording(family, line, place):
    last = family.questions[-1]
    if line.startswith("= "):
        last.wordings.append(line[2:])
    elif line.startswith("~ "):
        last.spellings.append((last.wordings[-1], line[2:]))
        last.wordings.append(line[2:])
    elif (match := re.match(r"([a-z]+): (.+)", line)) and match[1] in LABELS:
        family.questions.append(Question(match[1], match[2]))
    else:
        raise SeedError(f"{place}: a line begins with `? `, `= `, `~ ` or a label such as `dir: `")


def pairs_of_subject(half, number, subject):
    """Rows (id, language, kind, what, a, b) in all languages; a family may stand in one only."""
    rows = []
    for language, families in subject.families.items():
        made = []
        for family in families:
            made += paraphrases(family, language) + near_misses(family, language)
        seen = set()
        for kind, what, a, b in itertools.chain(made, apart(families, language)):
            folded = frozenset((fold(a), fold(b)))
            if len(folded) < 2 or folded in seen:
                continue
            seen.add(folded)
            identity = f"{half[0]}-{language}-{number:03}-{len(seen):02}"
            rows.append((identity, language, kind, what, a, b))
    return rows


def apart(families, language):
    """Two questions of a family in wordings that may share little, as two wordings of one question do."""
    found = [
        (a, b, LABELS[other.label])
        for family in families
        for one, other in itertools.combinations(family.questions, 2)
        if one.label in (None, other.label)
        for a, b in itertools.product(one.wordings, other.wordings)
    ]
    found = [pair for pair in found if alike(*pair[:2], language) < NEAR_MIN]
    for a, b, what in ranked(found)[:APART_MAX]:
        yield "apart", what, *turned(a, b)


def paraphrases(family, language):
    found = []
    for question in family.questions:
        for one, other in itertools.combinations(question.wordings, 2):
            a, b = turned(one, other)
            if (one, other) in question.spellings:
                found.append(("paraphrase", "spelling", a, b))
                continue
            what = "reworded" if alike(a, b, language) <= REWORDED_MAX else "rearranged"
            found.append(("paraphrase", what, *dressed(family, a, b, language)))
    return found


def near_misses(family, language):
    """The first wordings of two questions, and others of theirs that look alike."""
    found = []
    for one, other in itertools.combinations(family.questions, 2):
        if one.label not in (None, other.label):
            continue
        first, *rest = itertools.product(one.wordings, other.wordings)
        pairs = [pair for pair in rest if alike(*pair, language) >= NEAR_MIN]
        if one.label is None or alike(*first, language) >= NEAR_MIN:
            pairs = [first, *ranked(pairs)]
        for a, b in pairs[:CROSSED_MAX]:
            a, b = dressed(family, *turned(a, b), language)
            found.append(("near_miss", LABELS[other.label], a, b))
    return found
