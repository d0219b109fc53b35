// Refusals raise the SDK's own error of that kind, with a code that a program can act on.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import OpenAI from 'openai';

import { ask, client, key, names, plain, profiles } from './clients.js';

// Rides in the body: the gateway passes unknown fields on, and the simulator obeys.
const simulate = (behaviour) => ({ simulate: behaviour });

for (const profile of profiles) {
  describe(profile, () => {
    const openai = client(profile);
    const chat = (more = {}, from = openai) =>
      from.chat.completions.create({ model: names.model, messages: ask('answer 20 words'), ...more });

    async function refusal(call, kind) {
      let raised;
      await assert.rejects(call, (error) => {
        raised = error;
        return error instanceof kind;
      });
      return raised;
    }

    test('400 for a request that is wrong', async () => {
      const error = await refusal(() => chat({ n: 1000 }), OpenAI.BadRequestError);
      assert.equal(error.status, 400);
      assert.equal(error.param, 'n');
    });

    const anyKey = plain && !process.env.TOLLGATE_PLAIN_REQUIRES_KEY;
    test('401 for a key that is not one', { skip: anyKey && 'this simulator takes any key' }, async () => {
      const stranger = client(profile, 'tg_nobody_0123456789abcdef0123456789abcdef');
      const error = await refusal(() => chat({}, stranger), OpenAI.AuthenticationError);
      assert.equal(error.status, 401);
      if (!plain) assert.equal(error.code, 'invalid_api_key');
    });

    test('403 for a model that is not granted', async () => {
      const asked = plain ? simulate({ status: 403 }) : { model: names.ungrantedModel };
      const error = await refusal(() => chat(asked), OpenAI.PermissionDeniedError);
      assert.equal(error.status, 403);
      if (!plain) assert.equal(error.code, 'not_permitted');
    });

    test('404 for a model that does not exist', async () => {
      const error = await refusal(() => chat({ model: names.unknownModel }), OpenAI.NotFoundError);
      assert.equal(error.code, plain && profile !== 'openai' ? 'DeploymentNotFound' : 'model_not_found');
    });

    test('429 when a limit is reached', async () => {
      const limited = client(profile, plain ? key : process.env.TOLLGATE_LIMITED_KEY);
      const told = plain ? simulate({ status: 429, retry_after: '1500ms' }) : {};
      const error = await refusal(async () => {
        for (let call = 0; call < 50; call += 1) await chat({ max_tokens: 20, ...told }, limited);
      }, OpenAI.RateLimitError);
      assert.ok(Number(error.headers.get('retry-after')) >= 1);
      assert.ok(Number(error.headers.get('retry-after-ms')) >= 1);
      if (!plain) {
        assert.ok(['token_limit', 'request_limit'].includes(error.code));
        assert.ok(error.error.tollgate.rule && error.error.tollgate.resets_at);
      }
    });

    test('5xx when every backend fails', async () => {
      const error = await refusal(() => chat(simulate({ status: 500 })), OpenAI.InternalServerError);
      assert.ok(error.status >= 500);
    });

    test('an error in the midst of a stream is raised after what was sent', async () => {
      const told = simulate(plain ? { error_after_chunks: 6 } : { close_after_chunks: 6 });
      const stream = await chat({ stream: true, ...told });
      let seen = 0;
      const error = await refusal(async () => {
        for await (const chunk of stream) seen += chunk.choices[0]?.delta?.content ? 1 : 0;
      }, OpenAI.APIError);
      assert.ok(error.message);
      assert.ok(seen >= 1 && seen < 20, `${seen} pieces`);
    });
  });
}
