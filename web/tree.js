// A conversation is a tree of messages: regenerating an answer or editing a question adds a sibling and loses nothing.
//
//   conversation  { id, title, named, created, updated, system, nodes: {id: node}, selected: {parent id: child id} }
//   node          { id, parent, role, content, created, … }   parent is '' at the top; `…` see generate.js
//
// Only `parent` says where a node hangs and nodes are never taken away, so that two tabs that changed the same
// conversation can be merged by taking the nodes of both.

import { newId } from './dom.js';

export function newConversation(system) {
  const now = Date.now();
  return { id: newId(), title: '', named: false, created: now, updated: now, system, nodes: {}, selected: {} };
}

const inOrder = (a, b) => a.created - b.created || (a.id < b.id ? -1 : 1);

/** Adds a node below `parent` and selects it. */
export function addNode(conversation, parent, fields) {
  let created = Date.now();
  for (const node of Object.values(conversation.nodes)) if (node.created >= created) created = node.created + 1;
  const node = { id: newId(), parent, created, content: '', ...fields };
  conversation.nodes[node.id] = node;
  conversation.selected[parent] = node.id;
  conversation.updated = Date.now();
  if (conversation.title === '' && node.role === 'user') conversation.title = titleOf(node.content);
  return node;
}

function titleOf(text) {
  const line = text.split('\n').map((part) => part.replace(/^[\s#>*\x60-]+/, '').trim()).find((part) => part !== '') ?? '';
  if (line.length <= 60) return line;
  const cut = line.slice(0, 60);
  const space = cut.lastIndexOf(' ');
  return (space > 30 ? cut.slice(0, space) : cut) + '…';
}

function childrenByParent(conversation) {
  const children = new Map();
  for (const node of Object.values(conversation.nodes).sort(inOrder)) {
    if (!children.has(node.parent)) children.set(node.parent, []);
    children.get(node.parent).push(node);
  }
  return children;
}

/** The messages in view, first to last: [{node, siblings}]. */
export function path(conversation) {
  const children = childrenByParent(conversation);
  const steps = [];
  for (let siblings = children.get(''); siblings; siblings = children.get(steps.at(-1).node.id)) {
    const chosen = conversation.selected[steps.at(-1)?.node.id ?? ''];
    steps.push({ node: siblings.find((node) => node.id === chosen) ?? siblings.at(-1), siblings });
  }
  return steps;
}

export function select(conversation, node) {
  conversation.selected[node.parent] = node.id;
}

/** What a model is told to answer at `id`: the system prompt and every message from the top down to that node. */
export function messagesUpTo(conversation, id) {
  const messages = [];
  for (let node = conversation.nodes[id]; node; node = conversation.nodes[node.parent]) {
    const message = { role: node.role, content: node.content };
    if (node.toolCalls?.length) {
      message.tool_calls = node.toolCalls.map(({ id: callId, name, arguments: text }) =>
        ({ id: callId, type: 'function', function: { name, arguments: text } }));
    }
    if (node.role === 'tool') message.tool_call_id = node.toolCallId;
    messages.unshift(message);
  }
  if (conversation.system) messages.unshift({ role: 'system', content: conversation.system });
  return messages;
}

/** Takes over what `other`, a second copy of the same conversation, has and `mine` has not. */
export function merge(mine, other) {
  for (const [id, node] of Object.entries(other.nodes)) if (!(id in mine.nodes)) mine.nodes[id] = node;
  for (const [parent, child] of Object.entries(other.selected)) mine.selected[parent] ??= child;
}

const text = (value) => (typeof value === 'string' ? value : '');
const time = (value) => (Number.isFinite(value) ? value : Date.now());

/** A conversation made of what a file says, or null: every field is checked, none is trusted. */
export function sanitize(raw) {
  if (raw === null || typeof raw !== 'object' || typeof raw.nodes !== 'object' || raw.nodes === null) return null;
  const conversation = newConversation(text(raw.system));
  conversation.id = /^[0-9a-f]{32}$/.test(raw.id) ? raw.id : conversation.id;
  Object.assign(conversation, {
    title: text(raw.title), named: raw.named === true, created: time(raw.created), updated: time(raw.updated),
  });
  for (const [id, node] of Object.entries(raw.nodes)) {
    if (!/^[0-9a-f]{32}$/.test(id) || !['user', 'assistant', 'tool'].includes(node?.role)) continue;
    conversation.nodes[id] = {
      id, parent: text(node.parent), role: node.role, created: time(node.created), content: text(node.content),
      reasoning: text(node.reasoning), reasoningSeconds: Number(node.reasoningSeconds) || 0,
      toolCallId: text(node.toolCallId), name: text(node.name),
      toolCalls: Array.isArray(node.toolCalls) ? node.toolCalls.map((call) =>
        ({ id: text(call?.id), name: text(call?.name), arguments: text(call?.arguments) })) : [],
      finish: text(node.finish), model: text(node.model),
      request: typeof node.request === 'object' ? node.request : null,
      usage: typeof node.usage === 'object' ? node.usage : null,
      timing: typeof node.timing === 'object' ? node.timing : null,
      error: typeof node.error?.message === 'string'
        ? { status: Number(node.error.status) || 0, message: node.error.message } : null,
    };
  }
  // A parent is older than its children (addNode sees to it): this keeps circles out.
  for (const node of Object.values(conversation.nodes)) {
    if (node.parent !== '' && !(conversation.nodes[node.parent]?.created < node.created)) delete conversation.nodes[node.id];
  }
  for (const [parent, child] of Object.entries(raw.selected ?? {})) {
    if (typeof child === 'string') conversation.selected[parent] = child;
  }
  return conversation;
}
