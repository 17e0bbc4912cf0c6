// The server's interface: OpenAI's routes and /status.json, beside this page. Addresses are relative, so that the page
// also works below a path of a reverse proxy.

import { events } from './sse.js';
import { read, write } from './preferences.js';

export class ApiError extends Error {
  constructor(status, message, code = null) {
    super(message);
    this.status = status; // 0: the server could not be reached, or the stream broke
    this.code = code;
  }
}

let key = null;
let askForKey = null; // async (wasRefused) => key or null
let asking = null; // one question for all requests that were refused at once

function storedKey() {
  try {
    return sessionStorage.getItem('socle.key') ?? read('key');
  } catch {
    return null;
  }
}

/** Keeps a key for this tab, or on this device; null forgets it. */
export function setKey(value, remember = false) {
  key = value;
  write('key', remember ? value : null);
  try {
    if (value === null) sessionStorage.removeItem('socle.key');
    else sessionStorage.setItem('socle.key', value);
  } catch { /* it stays in memory */ }
}

export const hasKey = () => (key ?? storedKey()) !== null;

export function onKeyNeeded(ask) {
  askForKey = ask;
}

async function failure(response) {
  let message = '';
  let code = null;
  try {
    const { error } = await response.json();
    message = typeof error === 'string' ? error : error.message;
    code = error.code ?? null;
  } catch { /* not JSON: a proxy, perhaps */ }
  return new ApiError(response.status, message || response.statusText || `HTTP ${response.status}`, code);
}

async function request(path, options = {}) {
  for (let refused = false; ; refused = true) {
    key ??= storedKey();
    const sent = key;
    const headers = { ...options.headers, ...(sent ? { Authorization: `Bearer ${sent}` } : {}) };
    let response;
    try {
      response = await fetch(path, { ...options, headers });
    } catch (error) {
      if (error.name === 'AbortError') throw error;
      throw new ApiError(0, error.message);
    }
    if (response.ok) return response;
    if (response.status !== 401 || askForKey === null) throw await failure(response);
    if (key !== sent) continue; // another request was given a key meanwhile
    asking ??= askForKey(refused || sent !== null).finally(() => { asking = null; });
    const answer = await asking;
    if (options.signal?.aborted) throw new DOMException('', 'AbortError');
    if (answer === null) throw await failure(response);
  }
}

export async function listModels() {
  const { data } = await (await request('v1/models')).json();
  return Array.isArray(data) ? data : [];
}

export async function serverStatus() {
  return (await request('status.json', { cache: 'no-store' })).json();
}

/** Yields the chunks of a streamed answer. Throws ApiError, or AbortError once `signal` is aborted. */
export async function* complete(body, signal) {
  const response = await request('v1/chat/completions', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ ...body, stream: true, stream_options: { include_usage: true } }),
    signal,
  });
  let finished = false;
  try {
    for await (const data of events(response.body)) {
      if (data === '[DONE]') return;
      const chunk = JSON.parse(data);
      if (chunk.error) throw new ApiError(0, chunk.error.message ?? String(chunk.error), 'in_stream');
      if (chunk.choices?.[0]?.finish_reason) finished = true;
      yield chunk;
    }
  } catch (error) {
    if (error.name === 'AbortError' || error instanceof ApiError) throw error;
    throw new ApiError(0, error.message);
  }
  if (!finished) throw new ApiError(0, '', 'ended_early');
}
