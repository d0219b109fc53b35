#!/usr/bin/env python3
"""Trains the comparer on the development pairs.

    pip install jax optax onnxruntime tokenizers
    python3 tools/evaluation/comparer/train.py MODEL.onnx

MODEL is the file that `tollgate cache install-model` puts in place. Writes
`crates/likeness/src/comparer/weights.bin`, trained on all subjects, and
`crates/likeness/evaluation/comparer.development.tsv`: what a comparer that was trained without a pair's subject, in any
language, says of the pair. Takes some 20 minutes on two cores, most of
them to read the texts.
"""

import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

from examples import FOLDS, PAIRS, examples
from network import MEMBERS, UNITS, WIDTH, COMPARED, beginning, logit
from states import PIECES_MAX, States

EPOCHS = 4
BATCH = 256
# Of pairs that are not of the evaluation, each epoch takes this share, and counts them so much more.
DRAWN = 0.5
RATE_MAX = 2e-3
DECAY = 0.02
# What is farther is never compared.
COSINE_MIN = 0.55
# The states are first turned to their main directions: fewer inputs learn sooner. Afterwards both are one matrix.
DIRECTIONS = 128
LENGTHS = (12, 16, 20, 24, 32, PIECES_MAX)
CRATE = PAIRS.parents[1]


class Data:
    def __init__(self, model):
        self.examples = examples()
        texts = sorted({text for example in self.examples for text in (example.a, example.b)})
        started = time.time()
        self.read = States(texts, model)
        print(f"{len(self.examples)} pairs of {len(texts)} texts, read in {time.time() - started:.0f} s", flush=True)
        self.a = np.array([self.read.place[example.a] for example in self.examples])
        self.b = np.array([self.read.place[example.b] for example in self.examples])
        self.cosine = (self.read.means[self.a] * self.read.means[self.b]).sum(1)
        self.same = np.array([example.same for example in self.examples], np.float32)
        self.counts = np.array([example.counts for example in self.examples], np.float32)
        self.fold = np.array([example.fold for example in self.examples])
        self.made = np.array([example.identity is None for example in self.examples])
        self.mean, self.turn = directions(self.read.states)
        blocks = np.array_split(self.read.states, 40)
        self.inputs = np.concatenate([(block.astype(np.float32) - self.mean) @ self.turn for block in blocks])
        longest = np.maximum(np.diff(self.read.start)[self.a], np.diff(self.read.start)[self.b])
        self.length = np.array(LENGTHS)[np.searchsorted(LENGTHS, longest)]

    def sides(self, places):
        length = self.length[places[0]]
        (xa, ma, pa), (xb, mb, pb) = (self.side(of[places], length) for of in (self.a, self.b))
        same = (pa[:, :, None] == pb[:, None, :]) & (ma[:, :, None] * mb[:, None, :] > 0)
        return (xa, ma), (xb, mb), same.astype(np.float32), self.cosine[places].astype(np.float32)

    def side(self, texts, length):
        at = self.read.start[texts][:, None] + np.arange(length)
        mask = at < self.read.start[texts + 1][:, None]
        at = np.where(mask, at, 0)
        mask = mask.astype(np.float32)
        return self.inputs[at] * mask[..., None], mask, self.read.pieces[at]

    def batches(self, places, size):
        for length in LENGTHS:
            of_length = places[self.length[places] == length]
            yield from (of_length[at : at + size] for at in range(0, len(of_length), size))


def directions(states):
    some = states[np.random.default_rng(0).choice(len(states), 60_000, False)].astype(np.float32)
    mean = some.mean(0)
    _, spread, turned = np.linalg.svd(some - mean, full_matrices=False)
    # What hardly varies is not blown up.
    scale = (spread[:DIRECTIONS, None] + 0.05 * spread[0]) / np.sqrt(len(some))
    return mean, (turned[:DIRECTIONS] / scale).T.astype(np.float32)


def train(data, places, seed):
    places = places[data.cosine[places] >= COSINE_MIN]
    counts = np.where(data.made, data.counts / DRAWN, data.counts).astype(np.float32)
    of_epoch = int(len(places) - data.made[places].sum() * (1 - DRAWN))
    shuffled = np.random.default_rng(seed)
    key = jax.random.PRNGKey(seed)
    members = jax.vmap(lambda key: beginning(key, DIRECTIONS))(jax.random.split(key, MEMBERS))
    rate = optax.cosine_onecycle_schedule(EPOCHS * (of_epoch // BATCH), RATE_MAX, 0.15)
    optimiser = optax.adamw(rate, weight_decay=DECAY)
    state = optimiser.init(members)

    def loss(members, key, sides, same, counts):
        keys = jax.random.split(key, MEMBERS)
        logits = jax.vmap(lambda member, key: logit(member, sides, key))(members, keys)
        losses = optax.sigmoid_binary_cross_entropy(logits, same[None])
        # Each member is fitted by itself.
        return (losses * counts).sum() / counts.sum()

    @jax.jit
    def step(members, state, key, *batch):
        slope = jax.grad(loss)(members, key, *batch)
        update, state = optimiser.update(slope, state, members)
        return optax.apply_updates(members, update), state

    started = time.time()
    for _ in range(EPOCHS):
        drawn = places[~data.made[places] | (shuffled.random(len(places)) < DRAWN)]
        batches = [batch for batch in data.batches(shuffled.permutation(drawn), BATCH) if len(batch) == BATCH]
        for at in shuffled.permutation(len(batches)):
            batch = batches[at]
            key, now = jax.random.split(key)
            members, state = step(members, state, now, data.sides(batch), data.same[batch], counts[batch])
    print(f"seed {seed}: trained on {len(places)} pairs in {time.time() - started:.0f} s", flush=True)
    return members


def say(data, members, places):
    """The mean logit of the members."""
    said = np.zeros(len(places), np.float32)
    where = {place: at for at, place in enumerate(places)}
    compute = jax.jit(lambda sides: jax.vmap(lambda member: logit(member, sides))(members).mean(0))
    for batch in data.batches(places, 4 * BATCH):
        padded = np.concatenate([batch, np.repeat(batch[-1:], 4 * BATCH - len(batch))])
        for place, value in zip(batch, np.asarray(compute(data.sides(padded)))):
            said[where[place]] = value
    return said


def weights(data, members):
    """Little-endian: a name, four sizes, and of each member all numbers as bfloat16, matrices input by input."""
    out = bytearray(b"comparer1") + np.array([MEMBERS, WIDTH, COMPARED, UNITS], "<u2").tobytes()
    for member in range(MEMBERS):
        p = {name: np.asarray(value[member], np.float64) for name, value in members.items()}
        project = data.turn.astype(np.float64) @ p["project"]
        for numbers in (
            project,
            p["project_bias"] - data.mean @ project,
            p["sharpness"] * 4 / np.sqrt(WIDTH),
            p["same_piece"] * 2,
            p["compare"],
            p["compare_bias"],
            p["decide"],
            p["decide_bias"],
            p["answer"],
            p["answer_bias"] - p["cosine"] * 0.8 * 5,
            p["cosine"] * 5,
        ):
            out += halved(np.ravel(numbers)).tobytes()
    return bytes(out)


def halved(numbers):
    """The upper half of each float, rounded to the nearest."""
    bits = numbers.astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("<u2")


def main():
    data = Data(sys.argv[1])
    said = {}
    for fold in range(FOLDS):
        members = train(data, np.flatnonzero(data.fold != fold), fold)
        known = [at for at, one in enumerate(data.examples) if one.identity and one.fold == fold]
        for at, value in zip(known, say(data, members, np.array(known))):
            said[data.examples[at].identity] = value
    lines = "".join(f"{identity}\t{said[identity]:.3f}\n" for identity in sorted(said))
    (CRATE / "evaluation" / "comparer.development.tsv").write_text("id\tcomparer\n" + lines)
    members = train(data, np.arange(len(data.examples)), FOLDS)
    (CRATE / "src" / "comparer" / "weights.bin").write_bytes(weights(data, members))
    # For whoever wants to train on: not kept.
    if len(sys.argv) > 2:
        np.savez(sys.argv[2], mean=data.mean, turn=data.turn, **{name: np.asarray(v) for name, v in members.items()})


if __name__ == "__main__":
    main()
