#!/usr/bin/env python3
"""Makes the evaluation pairs of the semantic cache from their seeds.

    python3 tools/evaluation/make.py            write both halves, and the tables of their README
    python3 tools/evaluation/make.py --check    fail if the files differ from what the seeds make
    python3 tools/evaluation/make.py --sample development 40    print random pairs to read
    python3 tools/evaluation/make.py --questions development    print every wording of the subjects' questions

The first two print how many pairs there are, how alike their wording is, and what the
halves have in common. The syntax of the seeds is in `seeds.py` and `subjects.py`; who may
read which half is in `crates/likeness/evaluation/README.md`.
"""

import sys
from pathlib import Path

from figures import describe, faults, markdown
from pairs import pairs_of, roll
from seeds import SeedError, read_seeds
from subjects import FIRST, pairs_of_subject, read_subjects

HERE = Path(__file__).resolve().parent
OUTPUT = HERE.parent.parent / "crates" / "likeness" / "evaluation"
HALVES = ("development", "held_out")
LANGUAGES = ("de", "en", "fr")
COLUMNS = ("id", "language", "kind", "what", "a", "b")
BYTES_MAX = 6_000_000
# Around the tables that are made, in the README.
TABLES = ("<!-- tools/evaluation/make.py writes what follows -->\n\n", "\n\n<!-- up to here -->")


def make(half):
    """The pairs of one half."""
    pairs, seen = [], set()
    for language in LANGUAGES:
        families = 0
        for path in sorted((HERE / "seeds" / half / "families").glob(f"{language}*.txt")):
            seeds = read_seeds(path, families)
            pairs += pairs_of(half, language, seeds, seen)
            families += len(seeds.families)
        if families >= FIRST[half]:
            raise SeedError(f"{half}: {families} families, and subjects begin at {FIRST[half]}")
    for number, subject in enumerate(subjects(half), FIRST[half]):
        pairs += pairs_of_subject(half, number, subject)
    return sorted(pairs, key=lambda pair: pair[1:])


def subjects(half):
    """All subjects of a half."""
    found = []
    for path in sorted((HERE / "seeds" / half / "subjects").glob("*.txt")):
        found += read_subjects(path)
    if len({subject.name for subject in found}) < len(found):
        raise SeedError(f"{half}: one subject twice")
    return found


def as_tsv(pairs):
    return "".join("\t".join(row) + "\n" for row in [COLUMNS, *pairs])


def with_tables(tables):
    begin, end = TABLES
    before, rest = (OUTPUT / "README.md").read_text(encoding="utf-8").split(begin)
    return before + begin + tables + end + rest.split(end)[1]


def print_sample(half, count, salt):
    pairs = sorted(make(half), key=lambda pair: roll(salt, pair[0]))
    for identity, _, kind, what, a, b in pairs[:count]:
        print(f"{identity} {kind}/{what}\n    {a}\n    {b}")


def print_questions(half):
    print("question\twording")
    for number, subject in enumerate(subjects(half), FIRST[half]):
        for language, families in subject.families.items():
            questions = [question for family in families for question in family.questions]
            for place, question in enumerate(questions, 1):
                for wording in question.wordings:
                    print(f"{half[0]}-{language}-{number:03}-{place:02}\t{wording}")


def main(arguments):
    if arguments[:1] == ["--sample"]:
        print_sample(arguments[1], int(arguments[2]), (arguments[3:] or [""])[0])
        return 0
    if arguments[:1] == ["--questions"]:
        print_questions(arguments[1])
        return 0
    check = arguments == ["--check"]
    if arguments and not check:
        print(__doc__)
        return 2

    halves = {half: make(half) for half in HALVES}
    print(describe(halves))
    problems = faults(halves)
    files = {f"{half}.tsv": as_tsv(pairs) for half, pairs in halves.items()}
    files["README.md"] = with_tables(markdown(halves))
    for name, text in files.items():
        path = OUTPUT / name
        if len(text.encode()) > BYTES_MAX:
            problems.append(f"{name}: {len(text.encode())} bytes, at most {BYTES_MAX}")
        if not check:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            problems.append(f"{name}: not what the seeds make; run tools/evaluation/make.py")
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except SeedError as error:
        sys.exit(f"error: {error}")
