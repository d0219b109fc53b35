"""`/metrics` as the parser of Prometheus' own Python client reads it, which is strict."""

import os
import urllib.request

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from conftest import make

MESSAGES = [{"role": "user", "content": "answer 20 words"}]


def families():
    address = os.environ.get("TOLLGATE_ADMIN_URL")
    if not address:
        pytest.skip("TOLLGATE_ADMIN_URL is not set: a simulator has no metrics")
    with urllib.request.urlopen(address.rstrip("/") + "/metrics") as answer:
        assert answer.headers["content-type"].startswith("application/openmetrics-text")
        text = answer.read().decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


def amount(families, name, **labels):
    family = families.get(name)
    samples = family.samples if family else []
    return sum(s.value for s in samples if s.name == name + "_total" and labels.items() <= s.labels.items())


def test_every_metric_parses_and_a_call_is_counted_once(names):
    before = families()
    with make("openai") as client:
        usage = client.chat.completions.create(model=names.model, messages=MESSAGES).usage
        for _ in client.chat.completions.create(model=names.model, messages=MESSAGES, stream=True):
            pass
    after = families()
    assert len(after) > 35
    for kind in {"counter", "gauge", "histogram"}:
        assert any(family.type == kind and family.samples for family in after.values())
    calls = {"outcome": "ok", "model": names.model}
    assert amount(after, "tollgate_calls", **calls) - amount(before, "tollgate_calls", **calls) == 2
    tokens = {"kind": "prompt", "model": names.model}
    prompt = amount(after, "tollgate_tokens", **tokens) - amount(before, "tollgate_tokens", **tokens)
    assert prompt == 2 * usage.prompt_tokens
    teams = {"kind": "prompt", "Model": names.model}
    assert amount(after, "tollgate_usage_tokens", **teams) == amount(after, "tollgate_tokens", **tokens)
