#!/usr/bin/env python3
"""Makes crates/config/catalogue/prices.json, the price catalogue that ships with Tollgate.

For maintainers, some days before a release:

    pip download --no-deps litellm -d /tmp/litellm
    tools/price_catalogue.py /tmp/litellm/litellm-*.whl --taken 2026-11-22 > crates/config/catalogue/prices.json

Takes facts (what a provider asks for a token) out of the price list within LiteLLM's wheel on PyPI,
and nothing else of it. Numbers are read and written as decimals, so nothing is rounded unseen.
What it cannot express in our kinds of rates it leaves out, and says on standard error how much
that was: a model that is left out is unpriced, which is noticed; a wrong price is not.
"""

import argparse
import json
import re
import sys
import zipfile
from decimal import Decimal

PRICE_LIST = "litellm/model_prices_and_context_window_backup.json"
MODES = {"chat", "completion", "responses", "embedding"}
# Theirs: ours. Several of theirs may be one of ours.
PROVIDERS = {
    "openai": "openai",
    "azure": "azure",
    "azure_ai": "azure-ai",
    "anthropic": "anthropic",
    "gemini": "gemini",
    "vertex_ai": "vertex",
    "vertex_ai-language-models": "vertex",
    "vertex_ai-anthropic_models": "vertex",
    "vertex_ai-mistral_models": "vertex",
    "vertex_ai-llama_models": "vertex",
    "vertex_ai-embedding-models": "vertex",
    "bedrock": "bedrock",
    "bedrock_converse": "bedrock",
    "mistral": "mistral",
    "cohere": "cohere",
    "cohere_chat": "cohere",
    "deepseek": "deepseek",
    "xai": "xai",
    "groq": "groq",
    "together_ai": "together",
    "fireworks_ai": "fireworks",
    "cerebras": "cerebras",
}
# Their field without its tier and threshold: our kind.
KINDS = {
    "input_cost_per_token": "input",
    "cache_read_input_token_cost": "cached_input",
    "cache_creation_input_token_cost": "cache_write",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "output_cost_per_token": "output",
    "output_cost_per_reasoning_token": "reasoning",
    "input_cost_per_audio_token": "audio_input",
    "output_cost_per_audio_token": "audio_output",
}
# For a million tokens. The dearest models there are cost a few hundred.
DEAREST = 1000
TIERS = {"batches": "batch", "priority": "priority", "flex": "flex"}
ORDER = list(KINDS.values()) + ["above", "batch", "priority", "flex"]
FIELD = re.compile(
    r"^(?P<kind>.+?)(_above_(?P<thousands>\d+)k_tokens)?(_(?P<tier>batches|priority|flex))?$"
)
AZURE_ZONES = {"us", "eu", "apac", "us-gov"}
BEDROCK_REGION = re.compile(r"^[a-z]{2}(-gov)?-[a-z]+-\d$")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("wheel", help="LiteLLM's wheel, as pip downloads it")
    arguments.add_argument("--taken", required=True, help="today, as 2026-11-22")
    options = arguments.parse_args()
    version, listed = read(options.wheel)
    prices, left_out = {}, {}
    for name, entry in sorted(listed.items()):
        place, why = placed(name, entry)
        card = None
        if place:
            card, why = rates_of(entry)
        if not card:
            left_out[why] = left_out.get(why, 0) + 1
            continue
        provider, model = place
        prices.setdefault(provider, {}).setdefault(model, card)
    for why, count in sorted(left_out.items(), key=lambda item: -item[1]):
        print(f"{count:5} left out: {why}", file=sys.stderr)
    for provider, models in prices.items():
        print(f"{len(models):5} models of {provider}", file=sys.stderr)
    write(options.taken, version, prices)


def read(wheel):
    with zipfile.ZipFile(wheel) as archive:
        with archive.open(PRICE_LIST) as file:
            listed = json.load(file, parse_float=Decimal, parse_int=Decimal)
    version = re.search(r"litellm-([0-9.]+)-", wheel)
    if not version:
        sys.exit("the wheel's name does not say its version")
    listed.pop("sample_spec", None)
    return version.group(1), listed


def placed(name, entry):
    """Our provider and model of an entry, or why it has none."""
    provider = PROVIDERS.get(entry.get("litellm_provider"))
    if not provider:
        return None, "a provider that is not in the list of this program"
    if entry.get("mode") not in MODES:
        return None, "not a chat, completion or embedding model"
    parts = name.split("/")
    if provider == "azure":
        parts = parts[1:] if parts[0] == "azure" else parts
        if parts[0] in ("global", "global-standard"):
            parts = parts[1:]
        elif parts[0] in AZURE_ZONES:
            provider, parts = f"azure/{parts[0]}", parts[1:]
        if len(parts) != 1:
            return None, "a name that this program does not know how to place"
    elif provider == "bedrock":
        parts = parts[1:] if parts[0] == "bedrock" else parts
        if any(part.endswith("-commitment") for part in parts):
            return None, "paid by commitment"
        if BEDROCK_REGION.match(parts[0]):
            provider, parts = f"bedrock/{parts[0]}", parts[1:]
        if len(parts) != 1:
            return None, "a name that this program does not know how to place"
    elif parts[0] in (entry["litellm_provider"], "vertex_ai", "cohere", "fireworks_ai"):
        parts = parts[1:]
    return (provider, "/".join(parts)), None


def rates_of(entry):
    card = {}
    for field, cost in entry.items():
        found = FIELD.match(field)
        kind = KINDS.get(found["kind"]) if found else None
        if kind is None or not isinstance(cost, Decimal):
            continue
        rates = card
        if found["tier"]:
            rates = rates.setdefault(TIERS[found["tier"]], {})
        if found["thousands"]:
            threshold = str(int(found["thousands"]) * 1000)
            rates = rates.setdefault("above", {}).setdefault(threshold, {})
        rates[kind] = per_million(cost)
    if not isinstance(entry.get("input_cost_per_token"), Decimal):
        return None, "no price by the token"
    if entry["input_cost_per_token"] == 0:
        return None, "a price of zero, which may be one that is not known"
    if "tiered_pricing" in entry:
        return None, "tiers of a kind that this program does not know"
    if entry.get("mode") == "embedding":
        card.pop("output", None)
        for tier in TIERS.values():
            card.get(tier, {}).pop("output", None)
    elif "output" not in card:
        return None, "no price of the answer"
    for tier in TIERS.values():
        # Without its input rate, a tier has no price.
        if "input" not in card.get(tier, {"input": 0}):
            del card[tier]
    for rates in [card, *(card.get(tier, {}) for tier in TIERS.values())]:
        if rates.get("cached_input", 0) > rates.get("input", 0):
            return None, "a cached prompt dearer than a fresh one"
        if any(rates.get(kind, 0) > DEAREST for kind in ("input", "output")):
            return None, "a price so high that it may be of a thousand tokens"
    return card, None


def per_million(cost):
    rate = cost * 1_000_000
    exact = rate.quantize(Decimal(1).scaleb(-9))
    if exact != rate:
        print(f"rounded {rate} to {exact}", file=sys.stderr)
    return exact


def written(card):
    fields = []
    for name in sorted(card, key=lambda name: ORDER.index(name) if name in ORDER else int(name)):
        value = card[name]
        if isinstance(value, dict):
            fields.append(f'"{name}":{written(value)}')
        else:
            text = format(value.normalize(), "f")
            fields.append(f'"{name}":{text}')
    return "{" + ",".join(fields) + "}"


def write(taken, version, prices):
    head = {
        "format": 1,
        "version": taken,
        "currency": "USD",
        "source": {
            "name": "litellm",
            "version": version,
            "taken": taken,
            "url": f"https://pypi.org/project/litellm/{version}/",
            "file": PRICE_LIST,
            "licence": "MIT, Copyright (c) 2023 Berri AI; see NOTICE",
        },
    }
    print("{")
    for name, value in head.items():
        print(f"{json.dumps(name)}: {json.dumps(value)},")
    print('"prices": {')
    for index, provider in enumerate(sorted(prices)):
        models = prices[provider]
        print(f"{json.dumps(provider)}: {{")
        lines = [f"{json.dumps(model)}: {written(models[model])}" for model in sorted(models)]
        print(",\n".join(lines))
        print("}" if index == len(prices) - 1 else "},")
    print("}\n}")


if __name__ == "__main__":
    main()
