// Keys that work anywhere on the page, and the list of them that the dialog shows. Control is Command on a Mac.

import { el } from './dom.js';
import { onLanguage, t } from './i18n.js';

const MAC = /Mac|iPhone|iPad/.test(navigator.platform);
const KEYS = [
  [['Enter'], 'keySend'],
  [['Shift', 'Enter'], 'keyNewLine'],
  [['Escape'], 'keyStop'],
  [['↑'], 'keyEditLast'],
  [['Ctrl', 'Shift', 'O'], 'keyNew'],
  [['Ctrl', 'K'], 'keySearch'],
  [['Ctrl', 'B'], 'keySidebar'],
  [['Ctrl', ','], 'keySettings'],
  [['Alt', '↑'], 'keyPrevious'],
  [['Alt', '↓'], 'keyNext'],
  [['Ctrl', '/'], 'keyShortcuts'],
];

const SIGNS = MAC ? { Ctrl: '⌘', Alt: '⌥', Shift: '⇧' } : {};
// Other keys are called by themselves.
const NAMES = { Ctrl: 'nameCtrl', Shift: 'nameShift', Enter: 'nameEnter', Escape: 'nameEscape' };
const nameOf = (key) => SIGNS[key] ?? (NAMES[key] ? t(NAMES[key]) : key);

export function listShortcuts(list) {
  const draw = () => list.replaceChildren(...KEYS.flatMap(([keys, text]) => [
    el('dt', {}, keys.map((key) => el('kbd', {}, nameOf(key)))),
    el('dd', {}, t(text)),
  ]));
  draw();
  onLanguage(draw);
}

/** `actions`: stop() → whether there was something to stop, newChat, search, sidebar, settings, shortcuts, step(by), page(by). */
export function listenForShortcuts(actions) {
  const withControl = { k: actions.search, b: actions.sidebar, ',': actions.settings, '/': actions.shortcuts };
  const withAlt = { arrowup: () => actions.step(-1), arrowdown: () => actions.step(1) };
  const inField = { pageup: () => actions.page(-1), pagedown: () => actions.page(1) };
  document.addEventListener('keydown', (event) => {
    if (event.isComposing || document.querySelector('dialog[open]')) return;
    const control = MAC ? event.metaKey : event.ctrlKey;
    const key = event.key.toLowerCase();
    let run = null;
    if (event.key === 'Escape') run = actions.stop() ? () => {} : null;
    else if (control && event.shiftKey) run = key === 'o' && actions.newChat;
    else if (control) run = withControl[key];
    else if (event.altKey) run = withAlt[key];
    else if (event.target.id === 'message') run = inField[key];
    else if (event.key === '?' && !event.target.matches('input, textarea, select')) run = actions.shortcuts;
    if (!run) return;
    event.preventDefault();
    run();
  });
}
