"""The comparer: decomposable attention (Parikh et al. 2016, arXiv 1606.01933) over the local model's states.

Each piece is looked up, softly, in the other question, and compared with what was found there. The most and the sum of
what the comparisons say decide. `crates/likeness/src/comparer.rs` computes the same; here it is trained.
"""

import jax
import jax.numpy as jnp
import numpy as np

WIDTH, COMPARED, UNITS = 48, 32, 24
# Each is trained from another beginning; their mean is what counts.
MEMBERS = 2
DROPPED = 0.15


def beginning(key, inputs):
    keys = jax.random.split(key, 4)

    def matrix(key, rows, columns):
        return jax.random.normal(key, (rows, columns)) * np.sqrt(1 / rows)

    return {
        "project": matrix(keys[0], inputs, WIDTH),
        "project_bias": jnp.zeros(WIDTH),
        "sharpness": jnp.array(1.0),
        "same_piece": jnp.array(1.0),
        "compare": matrix(keys[1], 3 * WIDTH + 1, COMPARED),
        "compare_bias": jnp.zeros(COMPARED),
        "decide": matrix(keys[2], 3 * COMPARED, UNITS),
        "decide_bias": jnp.zeros(UNITS),
        "answer": matrix(keys[3], UNITS, 1)[:, 0] * 0.5,
        "answer_bias": jnp.zeros(()),
        "cosine": jnp.array(1.0),
    }


def logit(p, sides, key=None):
    """Of pairs: above 0 where one answer is likely to serve both. With a key, some of it is dropped, to learn from."""
    (xa, ma), (xb, mb), same, cosine = sides
    kept = 1.0
    if key is not None:
        key, drop = jax.random.split(key)
        kept = jax.random.bernoulli(drop, 1 - DROPPED, (xa.shape[0], 1, WIDTH)) / (1 - DROPPED)
    a = jnp.tanh(xa @ p["project"] + p["project_bias"]) * kept
    b = jnp.tanh(xb @ p["project"] + p["project_bias"]) * kept
    alike = jnp.einsum("nid,njd->nij", a, b) * p["sharpness"] * (4 / np.sqrt(WIDTH)) + same * p["same_piece"] * 2
    of_a, maximum_a = compared(p, a, ma, b, mb, alike, same)
    of_b, maximum_b = compared(p, b, mb, a, ma, alike.swapaxes(1, 2), same.swapaxes(1, 2))
    # The same whichever question is the first.
    found = jnp.concatenate([(of_a + of_b) / 2, jnp.abs(of_a - of_b), jnp.maximum(maximum_a, maximum_b)], 1)
    if key is not None:
        found = found * jax.random.bernoulli(key, 1 - DROPPED, found.shape) / (1 - DROPPED)
    units = jax.nn.relu(found @ p["decide"] + p["decide_bias"])
    return units @ p["answer"] + p["answer_bias"] + p["cosine"] * (cosine - 0.8) * 5


def compared(p, own, mask, other, other_mask, alike, same):
    """What comparing each piece with its like says: a quarter of the sum, and the most."""
    weights = jax.nn.softmax(alike - (1 - other_mask[:, None, :]) * 1e9, 2)
    like = weights @ other
    met = (weights * same).sum(2, keepdims=True)
    both = jnp.concatenate([jnp.abs(own - like), own * like, own, met], 2)
    says = jax.nn.relu(both @ p["compare"] + p["compare_bias"]) * mask[..., None]
    return says.sum(1) / 4, says.max(1)
