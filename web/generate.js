// One answer: asks the server and writes what streams back into a node of the conversation.
//
//   node of an assistant   { content, reasoning, reasoningSeconds, toolCalls: [{id, name, arguments}], finish, model,
//                            request (sampling as sent), usage, timing: {first, seconds}, error: {status, message}, live }
//   finish   'stop' | 'length' | 'tool_calls' | … as the server says; 'aborted' when stopped, 'error' when it broke

import { complete } from './api.js';
import { messagesUpTo } from './tree.js';

/**
 * Runs until the answer is complete, stopped by `signal`, or failed; never throws. onChange is called after every
 * chunk. `sampling` is sent as it is and kept with the node, so that the answer can be asked for again.
 */
export async function generate(conversation, node, { model, sampling, tools }, signal, onChange) {
  const begin = performance.now();
  let first = 0;
  let last = 0;
  Object.assign(node, {
    model, request: sampling, content: '', reasoning: '', reasoningSeconds: 0, toolCalls: [], finish: '', usage: null,
    error: null, live: true,
  });
  const body = { model, messages: messagesUpTo(conversation, node.parent), ...sampling, ...(tools ? { tools } : {}) };
  try {
    for await (const chunk of complete(body, signal)) {
      const now = performance.now();
      if (chunk.usage) node.usage = usageOf(chunk.usage);
      if (chunk.model) node.model = chunk.model;
      const choice = chunk.choices?.[0];
      if (choice) {
        const grew = takeDelta(node, choice.delta ?? {}, now);
        if (grew) {
          first ||= now;
          last = now;
        }
        if (choice.finish_reason) node.finish = choice.finish_reason;
      }
      onChange();
    }
    node.finish ||= 'stop';
  } catch (error) {
    if (error.name === 'AbortError') {
      node.finish = 'aborted';
    } else {
      node.finish = 'error';
      node.error = { status: error.status ?? 0, message: error.message, code: error.code ?? null };
    }
  }
  endReasoning(node, performance.now());
  delete node.reasoningBegan;
  if (first) node.timing = { first: (first - begin) / 1000, seconds: (last - first) / 1000 };
  delete node.live;
  onChange();
}

function usageOf(usage) {
  return {
    prompt: usage.prompt_tokens ?? 0,
    completion: usage.completion_tokens ?? 0,
    cached: usage.prompt_tokens_details?.cached_tokens ?? 0,
    reasoning: usage.completion_tokens_details?.reasoning_tokens ?? 0,
  };
}

function takeDelta(node, delta, now) {
  let grew = false;
  const reasoning = delta.reasoning_content ?? delta.reasoning;
  if (typeof reasoning === 'string' && reasoning !== '') {
    node.reasoning += reasoning;
    node.reasoningBegan ??= now;
    grew = true;
  }
  if (typeof delta.content === 'string' && delta.content !== '') {
    endReasoning(node, now);
    node.content += delta.content;
    grew = true;
  }
  for (const part of delta.tool_calls ?? []) {
    endReasoning(node, now);
    const at = part.index ?? node.toolCalls.length;
    const call = (node.toolCalls[at] ??= { id: '', name: '', arguments: '' });
    if (part.id) call.id = part.id;
    call.name += part.function?.name ?? '';
    call.arguments += part.function?.arguments ?? '';
    grew = true;
  }
  return grew;
}

function endReasoning(node, now) {
  if (node.reasoning && !node.reasoningSeconds) node.reasoningSeconds = (now - node.reasoningBegan) / 1000;
}

/** Generated tokens per second, or 0 where too little was generated to say. */
export function speedOf({ usage, timing }) {
  return usage?.completion > 1 && timing?.seconds > 0 ? (usage.completion - 1) / timing.seconds : 0;
}
