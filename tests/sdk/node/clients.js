// Clients of the official SDK that differ from their defaults in base URL and key alone.

import OpenAI, { AzureOpenAI } from 'openai';

const env = process.env;
export const baseUrl = env.TOLLGATE_BASE_URL.replace(/\/$/, '');
export const key = env.TOLLGATE_KEY;
// Straight to a simulated provider: there is no gateway whose own headers and refusals could be checked.
export const plain = env.TOLLGATE_PLAIN === '1';

export const names = {
  model: env.TOLLGATE_MODEL ?? 'gpt-4o',
  completionModel: env.TOLLGATE_COMPLETION_MODEL ?? env.TOLLGATE_MODEL ?? 'gpt-4o',
  embeddingModel: env.TOLLGATE_EMBEDDING_MODEL ?? 'text-embedding-3-small',
  ungrantedModel: env.TOLLGATE_UNGRANTED_MODEL ?? 'gpt-4.1',
  unknownModel: env.TOLLGATE_UNKNOWN_MODEL ?? 'unknown-model',
};

// `openai` at /v1, `azure` at the dated deployment paths, `azure_v1` at Azure's /openai/v1.
export const profiles = ['openai', 'azure', 'azure_v1'];

export function client(profile, apiKey = key) {
  if (profile === 'azure') {
    const apiVersion = env.TOLLGATE_API_VERSION ?? '2024-10-21';
    return new AzureOpenAI({ endpoint: baseUrl, apiKey, apiVersion, maxRetries: 0 });
  }
  const path = profile === 'openai' ? '/v1' : '/openai/v1';
  return new OpenAI({ baseURL: baseUrl + path, apiKey, maxRetries: 0 });
}

export const ask = (content) => [{ role: 'user', content }];
export const words = (text) => text.split(/\s+/).filter(Boolean).length;

export async function all(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

export const textOf = (chunks) => chunks.map((chunk) => chunk.choices[0]?.delta?.content ?? '').join('');
