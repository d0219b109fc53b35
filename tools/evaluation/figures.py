"""What the pairs are like, and what must not be true of them."""

import re
from collections import Counter

from pairs import REWORDED_MAX
from seeds import LABELS
from words import STOP, alike, content_words, fold, tokens

WHATS = {
    "paraphrase": ["reworded", "rearranged", "spelling", "wrapped"],
    "near_miss": list(LABELS.values()),
    "apart": list(LABELS.values()),
}
PAIRS_MIN = 1000  # of a kind, in a half
REWORDED_SHARE_MIN = 0.40
# Runs of four words that both halves have, of those that the smaller one has.
COMMON_RUNS_MAX = 0.03
WORDS_MAX = 75
# Fewer content words in common say little.
CONTENT_MIN = 3


def describe(halves):
    lines = []
    for half, pairs in halves.items():
        lines.append(f"{half}: {len(pairs)} pairs of {len({row[0][:-3] for row in pairs})} families")
        lines += table(pairs)
        for kind in WHATS:
            rows = [row for row in pairs if row[2] == kind]
            every = [overlap(tokens(row[4]), tokens(row[5])) for row in rows]
            scores = sorted(alike(row[4], row[5], row[1]) for row in rows)
            if scores:
                quarters = [scores[len(scores) * i // 4] for i in (1, 2, 3)]
                lines.append(
                    f"  {kind}: words in common (Jaccard) mean {sum(every) / len(every):.2f}; "
                    + f"content words mean {sum(scores) / len(scores):.2f}, "
                    + "quartiles " + " ".join(f"{score:.2f}" for score in quarters)
                    + f"; at most {REWORDED_MAX:.2f}: {sum(s <= REWORDED_MAX for s in scores) / len(scores):.0%}"
                )
        lengths = sorted(len(text.split()) for row in pairs for text in row[4:])
        if lengths:
            lines.append(
                f"  words in a question: {lengths[0]} to {lengths[-1]}, median {lengths[len(lengths) // 2]}, "
                f"nine in ten up to {lengths[len(lengths) * 9 // 10]}"
            )
    lines.append("names in both halves, German aside: " + ", ".join(common_names(*halves.values())))
    common, smaller = common_runs(*halves.values())
    lines.append(f"runs of four words in both halves: {len(common)} of {smaller} ({len(common) / max(smaller, 1):.2%})")
    return "\n".join(lines)


def overlap(one, other):
    return len(set(one) & set(other)) / len(set(one) | set(other))


def table(pairs):
    counts = Counter((row[2], row[3], row[1]) for row in pairs)
    languages = ("en", "de", "fr")
    lines = [f"  {'kind':<11}{'what':<12}{'en':>5}{'de':>5}{'fr':>5}{'all':>6}"]
    for kind, names in WHATS.items():
        for what in names:
            row = [counts[kind, what, language] for language in languages]
            lines.append(f"  {kind:<11}{what:<12}" + "".join(f"{n:>5}" for n in row) + f"{sum(row):>6}")
        row = [sum(counts[kind, what, language] for what in names) for language in languages]
        lines.append(f"  {kind:<11}{'all':<12}" + "".join(f"{n:>5}" for n in row) + f"{sum(row):>6}")
    return lines


def markdown(halves):
    """The make-up of the halves, as tables for the README."""
    languages = ("en", "de", "fr")
    lines = [
        "| | " + " | | | | ".join(halves) + " | | | |",
        "|---" * (1 + 4 * len(halves)) + "|",
        "|" + " | en | de | fr | all" * len(halves) + " |",
    ]
    for kind, names in WHATS.items():
        for what in [None, *names]:
            row = []
            for pairs in halves.values():
                counts = [
                    sum(p[1] == language and p[2] == kind and what in (None, p[3]) for p in pairs)
                    for language in languages
                ]
                row += [*counts, sum(counts)]
            bold = "" if what else "**"
            lines.append(" | ".join([f"| {bold}{what or kind}{bold}", *(f"{bold}{n:,}{bold}" for n in row)]) + " |")
    lines += ["", "| | " + " | ".join(halves) + " |", "|---" * (1 + len(halves)) + "|"]

    def line(title, figure):
        lines.append(f"| {title} | " + " | ".join(figure(pairs) for pairs in halves.values()) + " |")

    line("families", lambda pairs: str(len({p[0][:-3] for p in pairs})))
    for kind in WHATS:
        name = kind.replace("_", " ")
        of = {half: [row for row in pairs if row[2] == kind] for half, pairs in halves.items()}
        every = [mean(overlap(tokens(a), tokens(b)) for *_, a, b in rows) for rows in of.values()]
        content = [mean(alike(a, b, language) for _, language, _, _, a, b in rows) for rows in of.values()]
        lines.append(f"| {name}: words in common, mean | " + " | ".join(every) + " |")
        lines.append(f"| {name}: content words in common, mean | " + " | ".join(content) + " |")
    line("words in a question: least, median, most", lambda pairs: "{}, {}, {}".format(*spread(pairs)))
    return "\n".join(lines)


def mean(scores):
    scores = list(scores)
    return f"{sum(scores) / len(scores):.2f}"


def spread(pairs):
    lengths = sorted(len(text.split()) for row in pairs for text in row[4:])
    return lengths[0], lengths[len(lengths) // 2], lengths[-1]


def runs(pairs):
    found = set()
    for _, language, _, _, a, b in pairs:
        for text in (a, b):
            words = tokens(text)
            found |= {(language, *words[i : i + 4]) for i in range(len(words) - 3)}
    return found


def common_runs(one, other):
    one, other = runs(one), runs(other)
    return one & other, min(len(one), len(other))


def faults(halves):
    """What is wrong with the halves; empty when nothing is."""
    problems, texts = [], {}
    for half, pairs in halves.items():
        for kind in ("paraphrase", "near_miss"):
            count = sum(row[2] == kind for row in pairs)
            if count < PAIRS_MIN:
                problems.append(f"{half}: {count} {kind} pairs, at least {PAIRS_MIN}")
        reworded = sum(row[3] == "reworded" for row in pairs)
        if reworded < REWORDED_SHARE_MIN * sum(row[2] == "paraphrase" for row in pairs):
            problems.append(f"{half}: {reworded} paraphrases are real rewordings, at least {REWORDED_SHARE_MIN:.0%}")
        problems += faults_of_pairs(half, pairs)
        texts[half] = {fold(text) for row in pairs for text in row[4:]}
    one, other = texts.values()
    problems += [f"in both halves: {text}" for text in sorted(one & other)]
    problems += twins(*halves.values())
    common, smaller = common_runs(*halves.values())
    if smaller and len(common) / smaller > COMMON_RUNS_MAX:
        problems.append(f"{len(common) / smaller:.1%} of runs of four words are in both halves")
    return problems


def twins(development, held_out):
    """Questions of both halves that have the same words, or the same content words, whatever their order."""
    def bags(pairs):
        found = {}
        for _, language, _, _, a, b in pairs:
            for text in (a, b):
                found[language, frozenset(tokens(text))] = text
                if len(content := content_words(text, language)) >= CONTENT_MIN:
                    found[language, frozenset(content), "content"] = text
        return found

    one, other = bags(development), bags(held_out)
    return [f"alike in both halves: {other[bag]} / {one[bag]}" for bag in other if bag in one]


def faults_of_pairs(half, pairs):
    problems, seen = [], {}
    for identity, _, kind, _, a, b in pairs:
        if fold(a) == fold(b):
            problems.append(f"{identity}: one text twice: {a}")
        if "\t" in a + b or "\n" in a + b or a != a.strip() or b != b.strip() or "  " in a + b:
            problems.append(f"{identity}: a tab, or space to spare")
        if max(len(a.split()), len(b.split())) > WORDS_MAX or min(len(a.split()), len(b.split())) < 2:
            problems.append(f"{identity}: too short or too long")
        pair = frozenset((fold(a), fold(b)))
        if seen.setdefault(pair, identity) != identity:
            problems.append(f"{identity}: the same as {seen[pair]}")
    return problems


def common_names(one, other):
    """Capitalised words within sentences. German has too many to tell names from nouns."""
    one, other = (
        {
            name
            for row in pairs
            if row[1] != "de"
            for text in row[4:]
            for name in re.findall(r"(?<=[a-zéè,] )[A-Z][\w+#-]+", text)
            if name.lower() not in STOP[row[1]]
        }
        for pairs in (one, other)
    )
    return sorted(one & other)
