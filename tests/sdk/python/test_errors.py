"""Refusals raise the SDK's own exception of that kind, with a code that a program can act on."""

import asyncio
import os

import openai
import pytest

from conftest import make

MESSAGES = [{"role": "user", "content": "answer 20 words"}]


def simulate(**behaviour):
    """Rides in the body: the gateway passes unknown fields on, and the simulator obeys."""
    return {"extra_body": {"simulate": behaviour}}


def test_400_for_a_request_that_is_wrong(client, names):
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(model=names.model, messages=MESSAGES, n=1000)
    assert raised.value.status_code == 400
    assert raised.value.param == "n"
    assert raised.value.type == "invalid_request_error"


def test_401_for_a_key_that_is_not_one(profile, names, plain):
    if plain and not os.environ.get("TOLLGATE_PLAIN_REQUIRES_KEY"):
        pytest.skip("this simulator takes any key")
    with make(profile, key="tg_nobody_0123456789abcdef0123456789abcdef") as client:
        with pytest.raises(openai.AuthenticationError) as raised:
            client.chat.completions.create(model=names.model, messages=MESSAGES)
    assert raised.value.status_code == 401
    if not plain:
        assert raised.value.code == "invalid_api_key"
        assert raised.value.response.headers["www-authenticate"]
        assert raised.value.body["message"]


def test_403_for_a_model_that_is_not_granted(client, names, plain):
    with pytest.raises(openai.PermissionDeniedError) as raised:
        if plain:
            client.chat.completions.create(model=names.model, messages=MESSAGES, **simulate(status=403))
        client.chat.completions.create(model=names.ungranted_model, messages=MESSAGES)
    assert raised.value.status_code == 403
    if not plain:
        assert raised.value.code == "not_permitted"


def test_404_for_a_model_that_does_not_exist(client, profile, names, plain):
    with pytest.raises(openai.NotFoundError) as raised:
        client.chat.completions.create(model=names.unknown_model, messages=MESSAGES)
    assert raised.value.status_code == 404
    plain_code = "model_not_found" if profile == "openai" else "DeploymentNotFound"
    assert raised.value.code == (plain_code if plain else "model_not_found")


def test_429_when_a_limit_is_reached(profile, names, plain):
    key = os.environ["TOLLGATE_LIMITED_KEY"] if not plain else os.environ["TOLLGATE_KEY"]
    told = simulate(status=429, retry_after="1500ms") if plain else {}
    with make(profile, key=key) as client:
        with pytest.raises(openai.RateLimitError) as raised:
            for _ in range(50):
                client.chat.completions.create(model=names.model, messages=MESSAGES, max_tokens=20, **told)
    refusal = raised.value
    assert refusal.status_code == 429
    assert int(refusal.response.headers["retry-after"]) >= 1
    assert int(refusal.response.headers["retry-after-ms"]) >= 1
    if not plain:
        assert refusal.code in ("token_limit", "request_limit")
        why = refusal.body["tollgate"]
        assert why["rule"] and why["scope"] and why["request_id"]
        assert why["limit"] > 0 and why["resets_at"]


def test_the_sdk_retries_by_itself_after_a_429_and_gets_its_answer(client, names, plain):
    if not plain:
        pytest.skip("the gateway hides what its backends refuse")
    # Sent again under another id, so the share of refusals is what lets a later attempt through.
    told = simulate(error_rates={"429": 0.5}, retry_after="1ms")
    for _ in range(5):
        answer = client.with_options(max_retries=20).chat.completions.create(
            model=names.model, messages=MESSAGES, **told
        )
        assert answer.usage.completion_tokens == 20


def test_5xx_when_every_backend_fails(client, names):
    with pytest.raises(openai.InternalServerError) as raised:
        client.chat.completions.create(model=names.model, messages=MESSAGES, **simulate(status=500))
    assert isinstance(raised.value, openai.APIStatusError)
    assert raised.value.status_code >= 500
    assert raised.value.body["message"]


def test_an_error_in_the_midst_of_a_stream_is_raised_after_what_was_sent(client, names, plain):
    # A gateway turns a broken connection into an error event; a provider sends such an event itself.
    told = simulate(error_after_chunks=6) if plain else simulate(close_after_chunks=6)
    seen = ""
    with pytest.raises(openai.APIError) as raised:
        for chunk in client.chat.completions.create(model=names.model, messages=MESSAGES, stream=True, **told):
            if chunk.choices:
                seen += chunk.choices[0].delta.content or ""
    assert raised.value.message
    assert 1 <= len(seen.split()) < 20


def test_async_errors(profile, names, plain):
    async def run():
        async with make(profile, asynchronous=True) as client:
            with pytest.raises(openai.NotFoundError):
                await client.chat.completions.create(model=names.unknown_model, messages=MESSAGES)
            with pytest.raises(openai.BadRequestError):
                await client.chat.completions.create(model=names.model, messages=MESSAGES, n=1000)

    asyncio.run(run())
