"""Answers from the cache are answers as a provider gives them, whichever way round they were bought."""

import asyncio
import itertools
import os
import uuid
from dataclasses import dataclass

import pytest
from pydantic import BaseModel

from conftest import make

KEY = os.environ.get("TOLLGATE_CACHED_KEY")

pytestmark = pytest.mark.skipif(not KEY, reason="TOLLGATE_CACHED_KEY is not set: nothing is cached")


class Recipe(BaseModel):
    name: str
    vegetarian: bool


@pytest.fixture
def client(profile):
    with make(profile, key=KEY) as client:
        yield client


@dataclass
class Got:
    cache: str
    headers: object
    id: str
    text: str
    finish: str
    usage: object


def question(text="answer 12 words"):
    """That nobody has asked before."""
    return [{"role": "user", "content": f"{text} {uuid.uuid4().hex}"}]


def whole(client, names, messages, **more):
    raw = client.chat.completions.with_raw_response.create(model=names.model, messages=messages, **more)
    answer = raw.parse()
    (choice,) = answer.choices
    return Got(
        raw.headers["x-tollgate-cache"], raw.headers, answer.id, choice.message.content, choice.finish_reason, answer.usage
    )


def streamed(client, names, messages, **more):
    raw = client.chat.completions.with_raw_response.create(
        model=names.model, messages=messages, stream=True, stream_options={"include_usage": True}, **more
    )
    assert raw.headers["content-type"].startswith("text/event-stream")
    chunks = list(raw.parse())
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert len(pieces) > 2, "it comes in pieces"
    # Azure's opening chunk, which only a provider sends, has no id.
    (id,) = {chunk.id for chunk in chunks if chunk.id}
    finishes = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices and chunk.choices[0].finish_reason]
    assert len(finishes) == 1
    assert chunks[-1].choices == []
    assert all(chunk.usage is None for chunk in chunks[:-1])
    return Got(raw.headers["x-tollgate-cache"], raw.headers, id, "".join(pieces), finishes[0], chunks[-1].usage)


@pytest.mark.parametrize("first,again", list(itertools.product([whole, streamed], repeat=2)), ids=lambda way: way.__name__)
def test_an_answer_is_given_again_as_it_is_asked_for(client, names, first, again):
    messages = question()
    bought = first(client, names, messages)
    given = again(client, names, messages)
    assert (bought.cache, given.cache) == ("miss", "hit")
    assert given.text == bought.text
    assert len(given.text.split()) == 12
    assert given.finish == bought.finish == "stop"
    assert given.id and given.id != bought.id
    assert (given.usage.prompt_tokens, given.usage.completion_tokens) == (bought.usage.prompt_tokens, 12)
    assert given.usage.total_tokens == bought.usage.total_tokens
    assert bought.usage.prompt_tokens_details.cached_tokens == 0
    assert given.usage.prompt_tokens_details.cached_tokens == given.usage.prompt_tokens
    assert int(given.headers["age"]) >= 0
    assert given.headers["x-request-id"] != bought.headers["x-request-id"]
    assert "x-tollgate-backend" not in given.headers


def test_every_hit_has_an_id_of_its_own(client, names):
    messages = question()
    got = [way(client, names, messages) for way in [whole, whole, streamed, streamed, whole]]
    assert [one.cache for one in got] == ["miss", "hit", "hit", "hit", "hit"]
    assert len({one.id for one in got}) == len(got)


def test_a_streamed_hit_shows_no_usage_unless_it_is_asked_for(client, names):
    messages = question()
    whole(client, names, messages)
    chunks = list(client.chat.completions.create(model=names.model, messages=messages, stream=True))
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)


def test_the_stream_helper_gathers_a_hit(client, names):
    messages = question()
    bought = whole(client, names, messages)
    with client.chat.completions.stream(model=names.model, messages=messages) as stream:
        kinds = {event.type for event in stream}
        answer = stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert answer.choices[0].message.content == bought.text
    assert answer.id != bought.id


def test_structured_output_is_parsed_from_a_hit(client, names):
    messages = question("a recipe")
    ask = {"model": names.model, "messages": messages, "response_format": Recipe}
    bought = client.chat.completions.parse(**ask)
    given = client.chat.completions.parse(**ask)
    assert given.choices[0].message.parsed == bought.choices[0].message.parsed
    assert given.id != bought.id
    with client.chat.completions.stream(**ask) as stream:
        assert stream.get_final_completion().choices[0].message.parsed == bought.choices[0].message.parsed


def test_a_client_says_by_a_header_what_it_wants_of_the_cache(client, names):
    messages = question()
    for wish, told in [("refresh", "miss"), ("exact", "hit"), ("off", "off"), ("refresh", "miss")]:
        got = whole(client, names, messages, extra_headers={"x-tollgate-cache": wish})
        assert got.cache == told, wish


def test_several_choices_are_given_again(client, names):
    messages = question("answer 3 words")
    ask = {"model": names.model, "messages": messages, "n": 2}
    bought = client.chat.completions.create(**ask)
    given = client.chat.completions.create(**ask)
    texts = [[choice.message.content for choice in answer.choices] for answer in (bought, given)]
    assert texts[0] == texts[1]
    assert given.id != bought.id


def test_completions_are_given_again(client, names):
    prompt = f"say 5 words {uuid.uuid4().hex}"
    ask = {"model": names.completion_model, "prompt": prompt, "max_tokens": 10}
    raw = client.completions.with_raw_response
    first, again = raw.create(**ask), raw.create(**ask)
    assert [one.headers["x-tollgate-cache"] for one in (first, again)] == ["miss", "hit"]
    bought, given = first.parse(), again.parse()
    assert given.choices[0].text == bought.choices[0].text
    assert given.id != bought.id
    chunks = list(client.completions.create(**ask, stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == bought.choices[0].text


def test_async_clients_share_one_answer(profile, names):
    async def run():
        async with make(profile, asynchronous=True, key=KEY) as client:
            messages = question()
            create = client.chat.completions.create
            answers = await asyncio.gather(*(create(model=names.model, messages=messages) for _ in range(5)))
            stream = await create(model=names.model, messages=messages, stream=True)
            text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
            assert {answer.choices[0].message.content for answer in answers} == {text}
            assert len({answer.id for answer in answers}) == 5

    asyncio.run(run())
