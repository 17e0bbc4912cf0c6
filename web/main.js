// The chat page: which conversation is in view, what runs, and what each control does.

import { listModels, onKeyNeeded, serverStatus } from './api.js';
import { Composer } from './composer.js';
import { showDetails } from './details.js';
import { askForKey, confirm, openDialog, toast } from './dialogs.js';
import { drawIcons, el } from './dom.js';
import { generate } from './generate.js';
import { onLanguage, t, translate } from './i18n.js';
import { errorText } from './errors.js';
import { read, write } from './preferences.js';
import { SettingsDialog, defaultSystem, sampling, tools } from './settings.js';
import { listShortcuts, listenForShortcuts } from './shortcuts.js';
import { Sidebar } from './sidebar.js';
import * as store from './store.js';
import { Thread } from './thread.js';
import { exportConversations, fileName, importConversations } from './transfer.js';
import { addNode, merge, newConversation, path, select } from './tree.js';

const $ = (id) => document.getElementById(id);
const SAVE_EVERY = 2000; // milliseconds between saves of an answer that grows
const narrow = matchMedia('(max-width: 820px)');

const conversations = new Map();
const runs = new Map(); // id of a conversation → AbortController of its answer
let current = newConversation(defaultSystem()); // saved with its first message
let contexts = new Map(); // model → tokens that fit

// What is in view

function isRunning(conversation) {
  return runs.has(conversation.id);
}

function draw() {
  const empty = Object.keys(current.nodes).length === 0;
  thread.show(current);
  $('welcome').hidden = !empty;
  sidebar.show([...conversations.values()], current, isRunning);
  composer.setRunning(isRunning(current));
  document.title = current.title ? `${current.title} — Socle` : 'Socle';
  $('title').textContent = current.title;
  drawContext();
}

function drawContext() {
  const used = path(current).findLast(({ node }) => node.usage)?.node.usage;
  const fits = contexts.get($('model').value);
  const tokens = used ? used.prompt + used.completion : 0;
  $('context').textContent = !used ? '' : fits ? t('contextUsed', { n: tokens, max: fits }) : t('contextTokens', { n: tokens });
  $('context').classList.toggle('warning', Boolean(fits) && tokens > 0.9 * fits);
}

function show(conversation) {
  current = conversation;
  composer.open(conversations.has(current.id) ? current.id : '');
  draw();
  if (narrow.matches) setSidebar(false);
}

function newChat() {
  const hash = location.hash.slice(1);
  show(newConversation(defaultSystem()));
  if (hash !== '') history.pushState(null, '', location.pathname);
  composer.focus();
}

function followHash() {
  const conversation = conversations.get(location.hash.slice(1));
  if (conversation) {
    if (conversation !== current) show(conversation);
  } else if (conversations.has(current.id)) {
    show(newConversation(defaultSystem()));
  }
}

// What runs

async function save(conversation) {
  try {
    await store.save(conversation);
  } catch (error) {
    toast(t('notSaved', { message: error.message }));
  }
}

/** Has the model answer the message `parent`: in a new node, or in `again`, one that stayed empty. */
async function answer(conversation, parent, again = null) {
  if (isRunning(conversation)) return;
  const controller = new AbortController();
  runs.set(conversation.id, controller);
  const node = again ?? addNode(conversation, parent, { role: 'assistant' });
  node.live = true;
  thread.follow = true;
  thread.viewOf(node)?.update();
  draw();
  if (document.activeElement === document.body && !narrow.matches) composer.focus(); // what had the focus is gone
  thread.announceState('answering');
  let saved = performance.now();
  const request = { model: $('model').value || undefined, sampling: sampling(), tools: tools() };
  await generate(conversation, node, request, controller.signal, () => {
    if (conversation === current) thread.changed(node);
    if (performance.now() - saved < SAVE_EVERY) return;
    saved = performance.now();
    save(conversation);
  });
  runs.delete(conversation.id);
  conversation.updated = Date.now();
  if (conversation === current) thread.announceState(node.error ? 'answerFailed' : 'answered');
  draw();
  await save(conversation);
}

function send(text) {
  const parent = path(current).at(-1)?.node.id ?? '';
  ask(parent, text);
}

/** Adds a question below a node: a branch where there is one already. */
function ask(parent, text) {
  if (!conversations.has(current.id)) {
    conversations.set(current.id, current);
    composer.open(current.id);
    history.pushState(null, '', '#' + current.id);
  }
  const node = addNode(current, parent, { role: 'user', content: text });
  answer(current, node.id);
}

function stop() {
  runs.get(current.id)?.abort();
  return isRunning(current);
}

function editLast() {
  const last = path(current).findLast(({ node }) => node.role === 'user');
  thread.viewOf(last?.node)?.beginEdit();
  return Boolean(last);
}

const thread = new Thread({ scroller: $('thread'), list: $('messages'), live: $('live'), jump: $('jump') }, {
  select: (node, arrow) => {
    select(current, node);
    thread.follow = false;
    draw();
    const element = thread.viewOf(node)?.element;
    const button = element?.querySelector(`.${arrow}:not(:disabled)`)
      ?? element?.querySelector('.branches button:not(:disabled)');
    button?.focus({ preventScroll: true });
    save(current);
  },
  edit: (node, text) => isRunning(current) || ask(node.parent, text),
  regenerate: (node) => {
    const isEmpty = node.content === '' && !node.toolCalls?.length;
    answer(current, node.parent, isEmpty ? node : null);
  },
  details: (node) => showDetails($('details'), current, node),
  answerTools: (node, results) => {
    let parent = node.id;
    node.toolCalls.filter(Boolean).forEach((call, i) => {
      parent = addNode(current, parent, { role: 'tool', toolCallId: call.id, name: call.name, content: results[i] }).id;
    });
    answer(current, parent);
  },
});

const composer = new Composer(
  { form: $('composer'), field: $('message'), send: $('send'), stop: $('stop') }, { send, stop, editLast });

// The list of conversations

const sidebar = new Sidebar({ list: $('conversations'), search: $('search'), count: $('found') }, {
  rename: (conversation, title) => {
    Object.assign(conversation, { title, named: true });
    draw();
    save(conversation);
  },
  exportOne: (conversation) => exportConversations([conversation], fileName(conversation.title)),
  remove: (conversation) => {
    runs.get(conversation.id)?.abort();
    conversations.delete(conversation.id);
    store.remove(conversation.id);
    if (conversation === current) newChat();
    else draw();
    toast(t('deleted', { title: conversation.title }), { label: t('undo'), run: () => {
      conversations.set(conversation.id, conversation);
      store.restore(conversation);
      location.hash = conversation.id;
      draw();
    } });
  },
});

function setSidebar(open) {
  document.body.classList.toggle('sidebar-open', open);
  $('sidebar').inert = !open;
  $('main').inert = open && narrow.matches;
  $('toggle').setAttribute('aria-expanded', open);
  if (!narrow.matches) write('sidebar', open ? 'open' : 'closed');
}

function toggleSidebar() {
  const open = !document.body.classList.contains('sidebar-open');
  setSidebar(open);
  if (open && narrow.matches) $('new').focus();
  else if (!open) $('toggle').focus();
}

function fitSidebar() {
  setSidebar(!narrow.matches && read('sidebar', 'open') === 'open');
}

// Settings and data

const settings = new SettingsDialog($('settings'), {
  system: () => current.system,
  setSystem: (text) => {
    current.system = text;
    if (conversations.has(current.id)) save(current);
  },
  exportAll: () => exportConversations([...conversations.values()], 'socle'),
  importFile: async () => {
    try {
      const imported = await importConversations();
      for (const conversation of imported) {
        await store.restore(conversation);
        if (conversations.has(conversation.id)) merge(conversations.get(conversation.id), conversation);
        else conversations.set(conversation.id, conversation);
      }
      if (imported.length > 0) toast(t('imported', { n: imported.length }));
      draw();
    } catch {
      toast(t('importFailed'));
    }
  },
  removeAll: async () => {
    if (!(await confirm(t('removeAllQuestion', { n: conversations.size }), t('removeAll')))) return;
    for (const id of [...conversations.keys()]) {
      runs.get(id)?.abort();
      await store.remove(id);
    }
    conversations.clear();
    $('settings').close();
    newChat();
  },
});

// The server

async function loadModels() {
  const list = $('model');
  try {
    const models = await listModels();
    const wanted = read('model');
    list.replaceChildren(...models.map(({ id }) => el('option', { value: id, selected: id === wanted }, id)));
    list.disabled = models.length === 0;
    contexts = new Map(models.map((model) => [model.id, model.n_context ?? model.context_length]));
    $('offline').hidden = true;
  } catch (error) {
    list.disabled = true;
    $('offline-text').textContent = errorText(error);
    $('offline').hidden = false;
    return;
  }
  // A server may keep its status from those who may only chat: how full the context is then stays unsaid.
  if (![...contexts.values()].some(Boolean)) {
    const { models = [] } = await serverStatus().catch(() => ({}));
    contexts = new Map(models.map((model) => [model.id, model.n_context]));
  }
  drawContext();
}

// All together

async function begin() {
  translate();
  drawIcons();
  listShortcuts($('shortcut-list'));
  onKeyNeeded(askForKey);
  fitSidebar();
  narrow.addEventListener('change', fitSidebar);
  $('toggle').addEventListener('click', toggleSidebar);
  $('close-sidebar').addEventListener('click', toggleSidebar);
  $('scrim').addEventListener('click', toggleSidebar);
  $('new').addEventListener('click', newChat);
  $('open-settings').addEventListener('click', () => settings.open());
  $('open-shortcuts').addEventListener('click', () => openDialog($('shortcuts')));
  $('retry').addEventListener('click', loadModels);
  $('model').addEventListener('change', () => {
    write('model', $('model').value);
    drawContext();
  });
  for (const button of document.querySelectorAll('[data-begin]')) {
    button.addEventListener('click', () => composer.setText(t(button.dataset.begin + 'Text')));
  }
  addEventListener('hashchange', followHash);
  addEventListener('popstate', followHash);
  addEventListener('pagehide', () => { // an answer cut off by leaving is kept as far as it came
    for (const id of runs.keys()) store.save(conversations.get(id));
  });
  onLanguage(draw);
  listenForShortcuts({
    stop: () => {
      if (isRunning(current)) return stop();
      const covers = narrow.matches && document.body.classList.contains('sidebar-open');
      if (covers) toggleSidebar();
      return covers;
    },
    newChat,
    search: () => {
      setSidebar(true);
      $('search').focus();
    },
    sidebar: toggleSidebar,
    settings: () => settings.open(),
    shortcuts: () => openDialog($('shortcuts')),
    step: (by) => thread.step(by),
    page: (by) => thread.page(by),
  });
  draw();
  if (!narrow.matches) composer.focus();
  loadModels();
  await loadConversations();
}

async function loadConversations() {
  const kept = await store.open();
  if (!kept) toast(t('storeForbidden'));
  for (const conversation of await store.all()) {
    for (const node of Object.values(conversation.nodes)) delete node.live; // cut off with the page
    conversations.set(conversation.id, conversation);
  }
  store.onChange(async (id) => {
    const stored = await store.get(id);
    const mine = conversations.get(id);
    if (mine && isRunning(mine)) return; // merged when it is saved
    if (!stored) conversations.delete(id);
    else if (mine) Object.assign(mine, stored);
    else conversations.set(id, stored);
    if (mine && mine === current) thread.refresh();
    draw();
  });
  const asked = conversations.get(location.hash.slice(1));
  if (asked) show(asked);
  else draw();
}

begin();
