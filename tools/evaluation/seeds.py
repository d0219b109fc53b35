"""Reads seeds: families of questions, written by hand.

A file holds families, parted by blank lines; `#` begins a comment line.

    - How do I {dir:enable~disable} two-factor login?
    = switching on 2FA, how does it work
    =1 how can I get rid of two-factor login

A line that begins with `- ` is a wording of every question of the family.
`{dir:enable~disable}` is a slot: its label says what differs, and each value
parted by `~` makes another question. All slots of a label in a family go
together, and have as many values. `{30 days|thirty days}` writes one thing in
several ways; so does `|` inside a value.
A line that begins with `= ` is a wording of the family's first question only
(the first value of each label), `=1 ` of the second: for rewordings that do not
bend to slots. Wordings of one question are paraphrases of one another; the
questions of a family are near misses of one another.

`wrap: Hello, * Thanks!` gives a way to be polite around a question, `*`.
"""

import itertools
import re

# What a near miss differs in: short in the seeds, whole in the files.
LABELS = {
    "num": "number",
    "date": "date",
    "unit": "unit",
    "neg": "negation",
    "ent": "entity",
    "dir": "direction",
    "time": "time",
    "quant": "quantifier",
    "ask": "question",
    "quote": "quote",
    "code": "code",
    "lang": "language",
    "modal": "modality",
    "scope": "scope",
}
GROUP = re.compile(r"\{([^{}]*)\}")
LABELLED = re.compile(r"([a-z]+):(?! )(.*)", re.S)


class SeedError(Exception):
    """A seed that cannot be read; says which and why."""


class Family:
    """Wordings of a few questions that look alike."""

    def __init__(self, number, place):
        self.number = number
        self.place = place
        self.general = []  # (parts) for every question
        self.fixed = []  # (question index, parts) for one question

    def close(self):
        """Checks that the slots of all wordings agree, and counts the questions."""
        counts = {}
        for parts in self.general:
            here = {part[0]: len(part[1]) for part in parts if is_slot(part)}
            if counts and here != counts:
                raise SeedError(f"{self.place}: slots {here} here, {counts} before")
            counts = here
        if not self.general and any(index for index, _ in self.fixed):
            raise SeedError(f"{self.place}: `=1` without a `- ` line that has slots")
        self.labels = sorted(counts)
        self.questions = [
            dict(zip(self.labels, values))
            for values in itertools.product(*(range(counts[label]) for label in self.labels))
        ]
        for parts in self.general:
            texts = [spellings(parts, question)[0] for question in self.questions]
            if len(set(texts)) < len(texts):
                raise SeedError(f"{self.place}: two questions read the same: {texts[0]}")
        first = {label: 0 for label in self.labels}
        self.pinned = []
        for index, parts in self.fixed:
            if index and (len(self.labels) != 1 or index >= len(self.questions)):
                raise SeedError(f"{self.place}: `={index}` needs one label with that many values")
            self.pinned.append((self.questions[index] if index else first, parts))

    def wordings(self, question):
        """The wordings of one question: lists of ways to write it."""
        found = [spellings(parts, question) for parts in self.general]
        return found + [spellings(parts, {}) for at, parts in self.pinned if at == question]


def is_slot(part):
    return not isinstance(part, str) and part[0] is not None


def parse(line, place):
    """A line as a list of texts, slots (label, values) and spellings (None, ways)."""
    parts, end = [], 0
    for match in GROUP.finditer(line):
        parts.append(line[end : match.start()])
        end = match.end()
        labelled = LABELLED.fullmatch(match[1])
        if labelled:
            label, body = labelled[1], labelled[2]
            if label not in LABELS:
                raise SeedError(f"{place}: no label `{label}`")
            values = [value.split("|") for value in body.split("~")]
            if len(values) < 2:
                raise SeedError(f"{place}: `{label}` has one value")
            parts.append((label, values))
        elif "|" in match[1] and "~" not in match[1]:
            parts.append((None, match[1].split("|")))
        else:
            raise SeedError(f"{place}: `{match[0]}` is neither a slot nor spellings")
    parts.append(line[end:])
    if any("{" in part or "}" in part or "~" in part for part in parts if isinstance(part, str)):
        raise SeedError(f"{place}: a stray brace or tilde")
    return parts


def spellings(parts, question):
    """All ways to write a wording of a question, the usual one first."""
    ways = [""]
    for part in parts:
        if isinstance(part, str):
            choices = [part]
        elif part[0] is None:
            choices = part[1]
        else:
            choices = part[1][question[part[0]]]
        ways = [way + choice for way in ways for choice in choices]
    return [tidy(way) for way in ways]


def tidy(text):
    """Closes the gap that an empty value leaves, and ends after `p.m.` once."""
    text = re.sub(r"  +", " ", text).strip()
    text = re.sub(r"\.\.(?!\.)", ".", text)
    return re.sub(r" ([,.])", r"\1", text)


class Seeds:
    def __init__(self, wraps, families):
        self.wraps = wraps
        self.families = families


def read_seeds(path, before=0):
    """The families of a file, numbered after those before."""
    wraps, families, current = [], [], None
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        place = f"{path.parent.parent.name}/{path.name}:{number}"
        if line.startswith("#"):
            continue
        if not line.strip():
            current = None
            continue
        if "\t" in line:
            raise SeedError(f"{place}: a tab")
        if line.startswith("wrap: "):
            wraps.append(line[6:])
            continue
        if current is None:
            current = Family(before + len(families) + 1, place)
            families.append(current)
        if line.startswith("- "):
            current.general.append(parse(line[2:], place))
        elif found := re.match(r"=(\d?) (.*)", line):
            current.fixed.append((int(found[1] or 0), parse(found[2], place)))
        else:
            raise SeedError(f"{place}: a line begins with `- `, `= `, `=1 `, `wrap: ` or `#`")
    for family in families:
        family.close()
    return Seeds(wraps, families)
