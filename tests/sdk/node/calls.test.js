// What an application does all day.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';

import { all, ask, client, names, plain, profiles, textOf, words } from './clients.js';

const weather = {
  type: 'function',
  function: {
    name: 'get_weather',
    parameters: {
      type: 'object',
      properties: { city: { type: 'string' }, days: { type: 'integer' } },
      required: ['city', 'days'],
      additionalProperties: false,
    },
  },
};

const Recipe = z.object({
  name: z.string(),
  steps: z.array(z.object({ title: z.string(), minutes: z.number() })),
  vegetarian: z.boolean(),
});

for (const profile of profiles) {
  describe(profile, () => {
    const openai = client(profile);
    const chat = (content, more = {}) =>
      openai.chat.completions.create({ model: names.model, messages: ask(content), ...more });

    test('chat', async () => {
      const answer = await chat('answer 12 words');
      assert.equal(words(answer.choices[0].message.content), 12);
      assert.equal(answer.usage.completion_tokens, 12);
      assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + 12);
    });

    test('chat cut by max_tokens', async () => {
      const answer = await chat('answer 30 words', { max_tokens: 5 });
      assert.equal(answer.choices[0].finish_reason, 'length');
    });

    test('several choices', async () => {
      const answer = await chat('answer 3 words', { n: 2 });
      assert.deepEqual(answer.choices.map((choice) => choice.index), [0, 1]);
    });

    test('a stream without usage shows none', async () => {
      const chunks = await all(await chat('answer 12 words', { stream: true }));
      assert.equal(words(textOf(chunks)), 12);
      assert.ok(chunks.every((chunk) => chunk.usage == null));
    });

    test('a stream with usage ends with it', async () => {
      const chunks = await all(await chat('answer 12 words', { stream: true, stream_options: { include_usage: true } }));
      assert.equal(words(textOf(chunks)), 12);
      assert.deepEqual(chunks.at(-1).choices, []);
      assert.equal(chunks.at(-1).usage.completion_tokens, 12);
    });

    test('the stream helper gathers an answer', async () => {
      const stream = openai.chat.completions.stream({ model: names.model, messages: ask('answer 6 words') });
      const answer = await stream.finalChatCompletion();
      assert.equal(words(answer.choices[0].message.content), 6);
    });

    test('a stream left early leaves the client usable', async () => {
      const stream = await chat('answer 200 words', { stream: true });
      for await (const chunk of stream) {
        assert.ok(chunk.id !== undefined);
        break;
      }
      assert.equal((await chat('answer 2 words')).usage.completion_tokens, 2);
    });

    test('tools', async () => {
      const answer = await chat('call get_weather', { tools: [weather] });
      const [call] = answer.choices[0].message.tool_calls;
      assert.equal(call.function.name, 'get_weather');
      assert.deepEqual(Object.keys(JSON.parse(call.function.arguments)).sort(), ['city', 'days']);
      assert.equal(answer.choices[0].finish_reason, 'tool_calls');
    });

    test('tools streamed', async () => {
      const chunks = await all(await chat('hi', { tools: [weather], tool_choice: 'required', stream: true }));
      const fragments = chunks.flatMap((chunk) => chunk.choices[0]?.delta?.tool_calls ?? []);
      assert.equal(fragments[0].function.name, 'get_weather');
      assert.ok(fragments.length > 2);
      const written = fragments.map((fragment) => fragment.function.arguments).join('');
      assert.deepEqual(Object.keys(JSON.parse(written)).sort(), ['city', 'days']);
    });

    test('structured output', async () => {
      const answer = await openai.chat.completions.parse({
        model: names.model,
        messages: ask('a recipe'),
        response_format: zodResponseFormat(Recipe, 'recipe'),
      });
      assert.ok(Recipe.parse(answer.choices[0].message.parsed).steps.length > 0);
    });

    test('embeddings', async () => {
      const input = ['red river road', 'music video'];
      const answer = await openai.embeddings.create({ model: names.embeddingModel, input, dimensions: 64 });
      assert.deepEqual(answer.data.map((row) => row.embedding.length), [64, 64]);
      assert.equal(answer.usage.prompt_tokens, 5);
      const floats = await openai.embeddings.create({
        model: names.embeddingModel, input, dimensions: 64, encoding_format: 'float',
      });
      assert.ok(Math.abs(floats.data[0].embedding[0] - answer.data[0].embedding[0]) < 1e-6);
    });

    test('completions', async () => {
      const body = { model: names.completionModel, prompt: 'say 5 words', max_tokens: 10 };
      const answer = await openai.completions.create(body);
      assert.equal(words(answer.choices[0].text), 5);
      const chunks = await all(
        await openai.completions.create({ ...body, stream: true, stream_options: { include_usage: true } }),
      );
      assert.equal(words(chunks.map((chunk) => chunk.choices[0]?.text ?? '').join('')), 5);
      assert.equal(chunks.at(-1).usage.completion_tokens, 5);
    });

    test('models', async () => {
      const listed = (await all(await openai.models.list())).map((model) => model.id);
      assert.ok(listed.includes(names.model));
      assert.equal((await openai.models.retrieve(names.model)).id, names.model);
      if (!plain) assert.ok(!listed.includes(names.ungrantedModel));
    });

    test('raw response', async () => {
      const { data, response, request_id } = await chat('answer 12 words').withResponse();
      assert.equal(data.usage.completion_tokens, 12);
      assert.ok(request_id);
      const header = (name) => response.headers.get(name);
      for (const part of ['limit', 'remaining', 'reset']) assert.ok(header(`x-ratelimit-${part}-tokens`));
      if (!plain) {
        assert.ok(header('x-tollgate-backend'));
        assert.ok(Number(header('x-tollgate-attempts')) >= 1);
        assert.equal(header('x-tollgate-tokens'), String(data.usage.total_tokens));
      }
    });
  });
}
