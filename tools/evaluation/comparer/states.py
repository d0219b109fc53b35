"""What the local model makes of each piece of a text, before it takes their mean."""

import numpy as np
import onnxruntime
from tokenizers import BertWordPieceTokenizer

from examples import HERE

VOCABULARY = HERE.parents[2] / "crates" / "embed" / "vocabulary.txt"
# A longer text is learned from by its start.
PIECES_MAX = 48
TEXTS_AT_ONCE = 64


class States:
    """The states of all texts, one below the other."""

    def __init__(self, texts, model):
        tokenizer = BertWordPieceTokenizer(str(VOCABULARY), lowercase=True)
        tokenizer.enable_truncation(PIECES_MAX)
        encoded = [one.ids for one in tokenizer.encode_batch(texts)]
        self.place = {text: at for at, text in enumerate(texts)}
        self.start = np.cumsum([0] + [len(ids) for ids in encoded])
        self.pieces = np.concatenate([np.array(ids) for ids in encoded])
        self.states = np.empty((len(self.pieces), 384), np.float16)
        self.means = np.empty((len(texts), 384), np.float32)
        session = onnxruntime.InferenceSession(model)
        for batch in batches(encoded):
            ids = np.array([encoded[at] for at in batch], dtype=np.int64)
            inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
            for at, states in zip(batch, session.run(["last_hidden_state"], inputs)[0]):
                self.states[self.start[at] : self.start[at + 1]] = states
                mean = states.mean(0)
                self.means[at] = mean / np.linalg.norm(mean)


def batches(encoded):
    """Texts of one length each: nothing is padded."""
    by_length = {}
    for at, ids in enumerate(encoded):
        by_length.setdefault(len(ids), []).append(at)
    for places in by_length.values():
        for first in range(0, len(places), TEXTS_AT_ONCE):
            yield places[first : first + TEXTS_AT_ONCE]
