// Answers from the cache are answers as a provider gives them, whichever way round they were bought.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import { zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';

import { all, ask, client, names, profiles, textOf, words } from './clients.js';

const key = process.env.TOLLGATE_CACHED_KEY;
const skip = key ? false : 'TOLLGATE_CACHED_KEY is not set: nothing is cached';

// That nobody has asked before.
const question = (text = 'answer 12 words') => ask(`${text} ${randomUUID()}`);

for (const profile of skip ? [] : profiles) {
  describe(`${profile}, cached`, () => {
    const openai = client(profile, key);
    const create = (messages, more = {}, options = {}) =>
      openai.chat.completions.create({ model: names.model, messages, ...more }, options).withResponse();

    async function whole(messages, options) {
      const { data, response } = await create(messages, {}, options);
      const [choice] = data.choices;
      return got(response, data.id, choice.message.content, choice.finish_reason, data.usage);
    }

    async function streamed(messages, options) {
      const { data, response } = await create(messages, { stream: true, stream_options: { include_usage: true } }, options);
      assert.match(response.headers.get('content-type'), /^text\/event-stream/);
      const chunks = await all(data);
      assert.ok(chunks.filter((chunk) => chunk.choices[0]?.delta?.content).length > 2, 'it comes in pieces');
      // Azure's opening chunk, which only a provider sends, has no id.
      const ids = new Set(chunks.map((chunk) => chunk.id).filter(Boolean));
      assert.equal(ids.size, 1);
      const finishes = chunks.map((chunk) => chunk.choices[0]?.finish_reason).filter(Boolean);
      assert.equal(finishes.length, 1);
      assert.deepEqual(chunks.at(-1).choices, []);
      assert.ok(chunks.slice(0, -1).every((chunk) => chunk.usage == null));
      return got(response, [...ids][0], textOf(chunks), finishes[0], chunks.at(-1).usage);
    }

    const got = ({ headers }, id, text, finish, usage) => ({
      cache: headers.get('x-tollgate-cache'), headers, id, text, finish, usage,
    });

    for (const first of [whole, streamed]) {
      for (const again of [whole, streamed]) {
        test(`bought ${first.name}, given ${again.name}`, async () => {
          const messages = question();
          const bought = await first(messages);
          const given = await again(messages);
          assert.deepEqual([bought.cache, given.cache], ['miss', 'hit']);
          assert.equal(given.text, bought.text);
          assert.equal(words(given.text), 12);
          assert.deepEqual([bought.finish, given.finish], ['stop', 'stop']);
          assert.ok(given.id);
          assert.notEqual(given.id, bought.id);
          assert.equal(given.usage.completion_tokens, 12);
          assert.equal(given.usage.prompt_tokens, bought.usage.prompt_tokens);
          assert.equal(given.usage.total_tokens, bought.usage.total_tokens);
          assert.equal(bought.usage.prompt_tokens_details.cached_tokens, 0);
          assert.equal(given.usage.prompt_tokens_details.cached_tokens, given.usage.prompt_tokens);
          assert.ok(Number(given.headers.get('age')) >= 0);
          assert.equal(given.headers.get('x-tollgate-backend'), null);
        });
      }
    }

    test('every hit has an id of its own', async () => {
      const messages = question();
      const answers = [];
      for (const way of [whole, whole, streamed, streamed, whole]) answers.push(await way(messages));
      assert.deepEqual(answers.map((one) => one.cache), ['miss', 'hit', 'hit', 'hit', 'hit']);
      assert.equal(new Set(answers.map((one) => one.id)).size, answers.length);
    });

    test('a streamed hit shows no usage unless it is asked for', async () => {
      const messages = question();
      await whole(messages);
      const chunks = await all(await openai.chat.completions.create({ model: names.model, messages, stream: true }));
      assert.ok(chunks.every((chunk) => chunk.usage == null && chunk.choices.length === 1));
    });

    test('the stream helper gathers a hit', async () => {
      const messages = question();
      const bought = await whole(messages);
      const answer = await openai.chat.completions.stream({ model: names.model, messages }).finalChatCompletion();
      assert.equal(answer.choices[0].message.content, bought.text);
      assert.notEqual(answer.id, bought.id);
    });

    test('structured output is parsed from a hit', async () => {
      const Recipe = z.object({ name: z.string(), vegetarian: z.boolean() });
      const asked = { model: names.model, messages: question('a recipe'), response_format: zodResponseFormat(Recipe, 'recipe') };
      const bought = await openai.chat.completions.parse(asked);
      const given = await openai.chat.completions.parse(asked);
      assert.deepEqual(given.choices[0].message.parsed, bought.choices[0].message.parsed);
      assert.notEqual(given.id, bought.id);
    });

    test('a client says by a header what it wants of the cache', async () => {
      const messages = question();
      for (const [wish, told] of [['refresh', 'miss'], ['exact', 'hit'], ['off', 'off'], ['refresh', 'miss']]) {
        const { cache } = await whole(messages, { headers: { 'x-tollgate-cache': wish } });
        assert.equal(cache, told, wish);
      }
    });

    test('completions are given again', async () => {
      const asked = { model: names.completionModel, prompt: `say 5 words ${randomUUID()}`, max_tokens: 10 };
      const first = await openai.completions.create(asked).withResponse();
      const again = await openai.completions.create(asked).withResponse();
      const told = [first, again].map(({ response }) => response.headers.get('x-tollgate-cache'));
      assert.deepEqual(told, ['miss', 'hit']);
      assert.equal(again.data.choices[0].text, first.data.choices[0].text);
      assert.notEqual(again.data.id, first.data.id);
      const chunks = await all(await openai.completions.create({ ...asked, stream: true }));
      assert.equal(chunks.map((chunk) => chunk.choices[0].text).join(''), first.data.choices[0].text);
    });
  });
}

if (skip) test('the cache', { skip }, () => {});
