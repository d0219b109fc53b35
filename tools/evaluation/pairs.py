"""Pairs from seeds, the same on every machine.

Choices are made by hashes of what is chosen from, not by a generator of random
numbers: a new seed moves no pair of another, and no version of Python does.
"""

import hashlib
import itertools
import re
import unicodedata

from seeds import LABELS
from words import alike, fold

# At most so many pairs of a family, so that none weighs much.
REWORDINGS_MAX = 4
SPELLINGS_MAX = 2
NEAR_MISSES_MAX = 5
# Content words in common, of all they have: up to this a rewording is a real one.
REWORDED_MAX = 1 / 3
# From this on, two different wordings of two questions look alike.
NEAR_MIN = 0.5


def roll(*key):
    """A number in [0, 1) that depends on the key only."""
    digest = hashlib.sha256("\x1f".join(map(str, key)).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def pick(choices, *key):
    return min(choices, key=lambda choice: roll(choice, *key))


def pairs_of(half, language, seeds, seen):
    """Rows (id, language, kind, what, a, b) for all families of a file; none that was seen."""
    rows = []
    for family in seeds.families:
        made = paraphrases(family, seeds.wraps, language) + near_misses(family, seeds.wraps, language)
        number = 0
        for kind, what, a, b in made:
            folded = frozenset((fold(a), fold(b)))
            if len(folded) < 2 or folded in seen:
                continue
            seen.add(folded)
            number += 1
            identity = f"{half[0]}-{language}-{family.number:03}-{number:02}"
            rows.append((identity, language, kind, what, a, b))
    return rows


def paraphrases(family, wraps, language):
    rewordings, spellings = [], []
    for question in family.questions:
        wordings = family.wordings(question)
        for one, other in itertools.combinations(wordings, 2):
            rewordings.append((pick(one, *other), pick(other, *one)))
        for ways in wordings:
            spellings += [(ways[0], way) for way in ways[1:]]
    rewordings = ranked(rewordings)[:REWORDINGS_MAX]
    spellings = ranked(spellings)[:SPELLINGS_MAX]
    found = []
    for a, b in rewordings:
        a, b = turned(a, b)
        what = "reworded" if alike(a, b, language) <= REWORDED_MAX else "rearranged"
        found.append(("paraphrase", what, *dressed(family, a, b, language)))
    for a, b in spellings:
        found.append(("paraphrase", "spelling", *turned(a, b)))
    if wraps and (len(rewordings) < 2 or roll("wraps", *rewordings[0]) < 0.25):
        a = pick([way for question in family.questions for ways in family.wordings(question) for way in ways])
        found.append(("paraphrase", "wrapped", *turned(a, wrapped(a, wraps))))
    return found


def near_misses(family, wraps, language):
    """Pairs of questions that differ in one label; most of them word for word otherwise."""
    same, crossed = [], []
    for one, other in itertools.combinations(family.questions, 2):
        labels = [label for label in family.labels if one[label] != other[label]]
        if len(labels) != 1:
            continue
        for i, ways in enumerate(family.wordings(one)):
            for j, others in enumerate(family.wordings(other)):
                pair = (LABELS[labels[0]], pick(ways, *others), pick(others, *ways))
                general = i == j and i < len(family.general)
                near = general or alike(*pair[1:], language) >= NEAR_MIN
                (same if near else crossed).append(pair)
    chosen = by_turns(same)[:NEAR_MISSES_MAX]
    if crossed and (roll("crossed", *crossed[0]) < 0.25 or not chosen):
        chosen = chosen[: NEAR_MISSES_MAX - 1] + ranked(crossed)[:1]
    found = []
    for what, a, b in chosen:
        a, b = turned(a, b)
        if wraps and roll("wrap", a, b) < 0.08:
            b = wrapped(b, wraps)
        found.append(("near_miss", what, *dressed(family, a, b, language)))
    return found


def ranked(choices):
    return sorted(choices, key=lambda choice: roll("rank", *choice))


def by_turns(misses):
    """Ranked, but each label in its turn, so that none crowds out another."""
    queues = [ranked([miss for miss in misses if miss[0] == label]) for label in sorted({miss[0] for miss in misses})]
    return [miss for turn in itertools.zip_longest(*queues) for miss in turn if miss]


def turned(a, b):
    return (a, b) if roll("turn", a, b) < 0.5 else (b, a)


def wrapped(text, wraps):
    # What comes after needs a sentence that ends.
    fit = wraps if text[-1] in ".?!" else [wrap for wrap in wraps if wrap.endswith("*")]
    return pick(fit, text).replace("*", text)


def dressed(family, a, b, language):
    """One side, sometimes both, as people type in a hurry; never where letters matter."""
    if {"code", "quote", "unit"} & set(family.labels) or set("`\"„«") & set(a + b):
        return a, b
    chance = roll("dress", a, b)
    if chance < 0.08:
        return hurried(a), b
    if chance < 0.13:
        return hurried(a), hurried(b)
    if chance < 0.19:
        return a, mistyped(b, a)
    if chance < 0.25 and language != "en":
        return a, plain_letters(b, language)
    return a, b


def hurried(text):
    """Lower case, no commas, no end."""
    return " ".join(re.sub(r" ?[?!,;]|\.(?=\s|$)", "", text.lower()).split())


def mistyped(text, other):
    """Two letters of a long common word the wrong way round."""
    words = [word for word in re.findall(r"[^\W\d_]+", text) if len(word) > 6 and word.islower()]
    words = [word for word in words if re.search(rf"\b{word}\b", other)] or []
    if not words:
        return text
    word = pick(sorted(set(words)), text)
    places = [i for i in range(2, len(word) - 2) if word[i] != word[i + 1]]
    if not places:
        return text
    i = pick(places, word)
    return text.replace(word, word[:i] + word[i + 1] + word[i] + word[i + 2 :], 1)


def plain_letters(text, language):
    """As typed on a keyboard that has no accents."""
    if language == "de":
        for letter, plain in zip("äöüßÄÖÜ", ("ae", "oe", "ue", "ss", "Ae", "Oe", "Ue")):
            text = text.replace(letter, plain)
        return text
    text = text.replace("œ", "oe").replace("Œ", "Oe")
    parts = (char if char in "€£°" else unicodedata.normalize("NFD", char)[0] for char in text)
    return "".join(parts)
