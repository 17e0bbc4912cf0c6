// Dialogs and short messages. The browser's own <dialog> keeps the focus inside and gives it back.

import { setKey } from './api.js';
import { el, iconButton } from './dom.js';
import { t } from './i18n.js';

/** Opens a dialog of the page; a click beside it or on a [data-close] closes it. Resolves to its return value. */
export function openDialog(dialog) {
  return new Promise((resolve) => {
    const ended = new AbortController();
    const { signal } = ended;
    let pressedBeside = false; // a selection dragged out of a field is no click beside the dialog
    dialog.addEventListener('pointerdown', (event) => { pressedBeside = event.target === dialog; }, { signal });
    dialog.addEventListener('click', (event) => {
      if (event.target === dialog ? pressedBeside : event.target.closest('[data-close]')) dialog.close('');
    }, { signal });
    dialog.addEventListener('close', () => {
      ended.abort();
      resolve(dialog.returnValue);
    }, { signal });
    dialog.returnValue = '';
    dialog.showModal();
  });
}

/** Asks before something that cannot be taken back. */
export async function confirm(question, label) {
  const dialog = el('dialog', { class: 'small-dialog', 'aria-label': question },
    el('p', {}, question),
    el('div', { class: 'buttons' },
      el('button', { type: 'button', class: 'button', 'data-close': true }, t('cancel')),
      el('button', { type: 'button', class: 'button danger', on: { click: () => dialog.close('yes') } }, label)));
  document.body.append(dialog);
  const answer = await openDialog(dialog);
  dialog.remove();
  return answer === 'yes';
}

/** Asks for the server's key. Resolves to it, or to null. */
export async function askForKey(wasRefused) {
  const field = el('input', { type: 'password', id: 'key-field', autocomplete: 'off', required: true });
  const remember = el('input', { type: 'checkbox', id: 'key-remember' });
  const dialog = el('dialog', { class: 'small-dialog', 'aria-labelledby': 'key-title' },
    el('h2', { id: 'key-title' }, t('keyTitle')),
    el('p', { class: wasRefused ? 'error' : 'hint' }, t(wasRefused ? 'keyRefused' : 'keyHint')),
    el('form', { on: { submit: (event) => {
      event.preventDefault();
      dialog.close('yes');
    } } },
    el('label', { for: 'key-field' }, t('key')), field,
    el('label', { class: 'check' }, remember, t('keyRemember')),
    el('div', { class: 'buttons' },
      el('button', { type: 'button', class: 'button', 'data-close': true }, t('cancel')),
      el('button', { type: 'submit', class: 'button primary' }, t('ok')))));
  document.body.append(dialog);
  const answer = await openDialog(dialog);
  dialog.remove();
  const key = field.value.trim();
  if (answer !== 'yes' || key === '') return null;
  setKey(key, remember.checked);
  return key;
}

let toastTimer = 0;

/** A short message at the foot of the page, with a button if there is something to do about it. */
export function toast(text, action = null) {
  const place = document.getElementById('toast');
  const end = () => {
    clearTimeout(toastTimer);
    place.replaceChildren();
  };
  end();
  place.append(el('div', { class: 'toast' }, el('span', {}, text),
    action && el('button', {
      type: 'button', class: 'button small', on: { click: () => { end(); action.run(); } },
    }, action.label),
    iconButton('close', t('close'), end)));
  toastTimer = setTimeout(end, 10_000);
}
