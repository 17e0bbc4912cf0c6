// Conversations in the browser's IndexedDB, one record each; in memory where the browser forbids that. Tabs tell each
// other what changed. Nothing of this leaves the browser.

import { merge } from './tree.js';

const STORE = 'conversations';
const channel = 'BroadcastChannel' in globalThis ? new BroadcastChannel('socle') : null;
let database = null; // null: kept in memory only
let removed = new Set(); // a record that was deleted must not come back by a late save

/** Resolves to whether conversations will outlive the page. */
export async function open() {
  try {
    database = await new Promise((resolve, reject) => {
      const request = indexedDB.open('socle', 1);
      request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: 'id' });
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  } catch {
    database = null;
  }
  return database !== null;
}

function finished(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

export async function all() {
  return database ? finished(database.transaction(STORE).objectStore(STORE).getAll()) : [];
}

export async function get(id) {
  return database ? finished(database.transaction(STORE).objectStore(STORE).get(id)) : null;
}

/** Saves a conversation, after taking over what another tab has added to it. */
export async function save(conversation) {
  if (!database || removed.has(conversation.id)) return;
  const store = database.transaction(STORE, 'readwrite').objectStore(STORE);
  const before = await finished(store.get(conversation.id));
  if (before) merge(conversation, before);
  await finished(store.put(conversation));
  channel?.postMessage({ changed: conversation.id });
}

export async function remove(id) {
  removed.add(id);
  if (!database) return;
  await finished(database.transaction(STORE, 'readwrite').objectStore(STORE).delete(id));
  channel?.postMessage({ changed: id });
}

/** Allows a removed conversation to be saved again. */
export function restore(conversation) {
  removed.delete(conversation.id);
  return save(conversation);
}

/** Calls listener with the id of a conversation that another tab has changed or removed. */
export function onChange(listener) {
  channel?.addEventListener('message', ({ data }) => listener(data.changed));
}
