// Conversations out to a file and in from one.
//
//   { "format": "socle conversations", "version": 1, "conversations": [ … ] }     see tree.js

import { el } from './dom.js';
import { sanitize } from './tree.js';

const FORMAT = 'socle conversations';

export function exportConversations(conversations, name) {
  const text = JSON.stringify({ format: FORMAT, version: 1, conversations }, null, 1);
  const address = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
  const link = el('a', { href: address, download: `${name}.json` });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/** Letters and digits of a title, for a file's name. */
export function fileName(title) {
  return title.replace(/[^\p{L}\p{N}]+/gu, '-').replace(/^-|-$/g, '').slice(0, 50) || 'conversation';
}

/** Lets the reader choose a file. Resolves to its conversations, checked; throws if it is something else. */
export function importConversations() {
  return new Promise((resolve, reject) => {
    const field = el('input', {
      type: 'file', accept: '.json,application/json', class: 'visually-hidden', 'aria-hidden': 'true',
    });
    field.addEventListener('change', async () => {
      try {
        const { format, conversations } = JSON.parse(await field.files[0].text());
        if (format !== FORMAT || !Array.isArray(conversations)) throw new Error(format);
        resolve(conversations.map(sanitize).filter(Boolean));
      } catch (error) {
        reject(error);
      }
      field.remove();
    });
    field.addEventListener('cancel', () => {
      field.remove();
      resolve([]);
    });
    document.body.append(field);
    field.click();
  });
}
