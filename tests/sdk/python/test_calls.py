"""What an application does all day."""

import asyncio
import json

import pytest
from pydantic import BaseModel

from conftest import make

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city", "days"],
            "additionalProperties": False,
        },
    },
}


class Step(BaseModel):
    title: str
    minutes: int


class Recipe(BaseModel):
    name: str
    steps: list[Step]
    vegetarian: bool


def ask(text):
    return [{"role": "user", "content": text}]


def text_of(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def test_chat(client, names):
    answer = client.chat.completions.create(model=names.model, messages=ask("answer 12 words"))
    assert len(answer.choices[0].message.content.split()) == 12
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.completion_tokens == 12
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 12
    assert answer.usage.prompt_tokens_details.cached_tokens == 0


def test_chat_cut_by_max_tokens(client, names):
    answer = client.chat.completions.create(model=names.model, messages=ask("answer 30 words"), max_tokens=5)
    assert (answer.choices[0].finish_reason, answer.usage.completion_tokens) == ("length", 5)


def test_several_choices(client, names):
    answer = client.chat.completions.create(model=names.model, messages=ask("answer 3 words"), n=2)
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert answer.usage.completion_tokens == 6


def test_stream_without_usage(client, names):
    chunks = list(client.chat.completions.create(model=names.model, messages=ask("answer 12 words"), stream=True))
    assert len(text_of(chunks).split()) == 12
    # The gateway asks for usage itself: what the client did not ask for must not reach it.
    assert all(chunk.usage is None for chunk in chunks)
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"


def test_stream_with_usage_declined(client, names):
    options = {"include_usage": False}
    stream = client.chat.completions.create(
        model=names.model, messages=ask("answer 4 words"), stream=True, stream_options=options
    )
    assert all(chunk.usage is None for chunk in stream)


def test_stream_with_usage(client, names):
    stream = client.chat.completions.create(
        model=names.model, messages=ask("answer 12 words"), stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert len(text_of(chunks).split()) == 12
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == 12
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_stream_helper(client, names):
    with client.chat.completions.stream(model=names.model, messages=ask("answer 6 words")) as stream:
        kinds = {event.type for event in stream}
        answer = stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert len(answer.choices[0].message.content.split()) == 6


def test_a_stream_left_early_leaves_the_client_usable(client, names):
    stream = client.chat.completions.create(model=names.model, messages=ask("answer 200 words"), stream=True)
    next(iter(stream))
    stream.close()
    test_chat(client, names)


def test_tools(client, names):
    answer = client.chat.completions.create(
        model=names.model, messages=ask("call get_weather"), tools=[WEATHER], tool_choice="auto"
    )
    (call,) = answer.choices[0].message.tool_calls
    assert (call.function.name, answer.choices[0].finish_reason) == ("get_weather", "tool_calls")
    assert set(json.loads(call.function.arguments)) == {"city", "days"}
    # The conversation goes on with the tool's result.
    conversation = ask("call get_weather") + [
        answer.choices[0].message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "sun"},
        {"role": "user", "content": "answer 3 words"},
    ]
    answer = client.chat.completions.create(model=names.model, messages=conversation)
    assert len(answer.choices[0].message.content.split()) == 3


def test_tools_streamed(client, names):
    stream = client.chat.completions.create(
        model=names.model, messages=ask("hi"), tools=[WEATHER], tool_choice="required", stream=True
    )
    fragments = [chunk.choices[0].delta.tool_calls[0] for chunk in stream if chunk.choices and chunk.choices[0].delta.tool_calls]
    assert fragments[0].function.name == "get_weather"
    assert len(fragments) > 2
    assert set(json.loads("".join(fragment.function.arguments for fragment in fragments))) == {"city", "days"}


def test_structured_output(client, names):
    answer = client.chat.completions.parse(model=names.model, messages=ask("a recipe"), response_format=Recipe)
    assert isinstance(answer.choices[0].message.parsed, Recipe)
    assert answer.choices[0].message.parsed.steps[0].title


def test_structured_output_streamed(client, names):
    with client.chat.completions.stream(model=names.model, messages=ask("a recipe"), response_format=Recipe) as stream:
        parsed = stream.get_final_completion().choices[0].message.parsed
    assert isinstance(parsed, Recipe)


def test_embeddings(client, names):
    texts = ["red river road", "music video"]
    answer = client.embeddings.create(model=names.embedding_model, input=texts, dimensions=64)
    assert [len(row.embedding) for row in answer.data] == [64, 64]
    assert abs(sum(number * number for number in answer.data[0].embedding) - 1) < 1e-3
    assert answer.usage.prompt_tokens == 5
    floats = client.embeddings.create(model=names.embedding_model, input=texts, dimensions=64, encoding_format="float")
    assert floats.data[0].embedding == pytest.approx(answer.data[0].embedding)


def test_completions(client, names):
    answer = client.completions.create(model=names.completion_model, prompt="say 5 words", max_tokens=10)
    assert len(answer.choices[0].text.split()) == 5
    assert answer.usage.completion_tokens == 5


def test_completions_streamed(client, names):
    stream = client.completions.create(
        model=names.completion_model,
        prompt="say 5 words",
        max_tokens=10,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    assert len("".join(chunk.choices[0].text for chunk in chunks if chunk.choices).split()) == 5
    assert chunks[-1].usage.completion_tokens == 5


def test_models(client, names, plain):
    listed = [model.id for model in client.models.list()]
    assert names.model in listed
    assert client.models.retrieve(names.model).id == names.model
    if not plain:
        assert names.ungranted_model not in listed


def test_raw_response(client, names, plain):
    raw = client.chat.completions.with_raw_response.create(model=names.model, messages=ask("answer 12 words"))
    assert raw.parse().usage.completion_tokens == 12
    assert raw.headers["x-request-id"]
    for header in ("limit", "remaining", "reset"):
        assert raw.headers[f"x-ratelimit-{header}-tokens"]
    assert int(raw.headers["x-ratelimit-remaining-tokens"]) < int(raw.headers["x-ratelimit-limit-tokens"])
    if not plain:
        assert raw.headers["x-tollgate-backend"]
        assert int(raw.headers["x-tollgate-attempts"]) >= 1
        assert raw.headers["x-tollgate-tokens"] == str(raw.parse().usage.total_tokens)


def test_raw_stream(client, names, plain):
    with client.chat.completions.with_streaming_response.create(
        model=names.model, messages=ask("answer 12 words"), stream=True
    ) as raw:
        assert raw.headers["content-type"].startswith("text/event-stream")
        assert raw.headers["x-request-id"]
        if not plain:
            assert raw.headers["x-tollgate-backend"]
        lines = [line for line in raw.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"


def test_async_client(profile, names):
    async def run():
        async with make(profile, asynchronous=True) as client:
            answers = await asyncio.gather(
                *(client.chat.completions.create(model=names.model, messages=ask(f"answer {n} words")) for n in range(1, 9))
            )
            assert [answer.usage.completion_tokens for answer in answers] == list(range(1, 9))
            stream = await client.chat.completions.create(model=names.model, messages=ask("answer 12 words"), stream=True)
            assert len(text_of([chunk async for chunk in stream]).split()) == 12
            parsed = await client.chat.completions.parse(model=names.model, messages=ask("a recipe"), response_format=Recipe)
            assert isinstance(parsed.choices[0].message.parsed, Recipe)
            embedded = await client.embeddings.create(model=names.embedding_model, input="red road", dimensions=16)
            assert len(embedded.data[0].embedding) == 16
            assert names.model in [model.id async for model in client.models.list()]

    asyncio.run(run())
