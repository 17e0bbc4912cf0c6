// The texts in the reader's language, and numbers and dates as that language writes them.

import en from './text_en.js';
import fr from './text_fr.js';
import { read, write } from './preferences.js';

const LANGUAGES = { en, fr };
const listeners = [];
let current = 'en';

function preferred() {
  const chosen = read('language', 'auto');
  if (chosen in LANGUAGES) return chosen;
  for (const tag of navigator.languages ?? [navigator.language]) {
    const primary = tag.slice(0, 2).toLowerCase();
    if (primary in LANGUAGES) return primary;
  }
  return 'en';
}

/** The language as the reader's region writes it (24 hours or 12), for numbers and dates. */
export function locale() {
  return (navigator.languages ?? []).find((tag) => tag.toLowerCase().startsWith(current)) ?? current;
}

/** The text of a key, with {name} replaced by values.name. A text with plural forms picks by values.n. */
export function t(key, values = {}) {
  let text = LANGUAGES[current][key] ?? LANGUAGES.en[key] ?? key;
  if (typeof text === 'object') text = text[new Intl.PluralRules(current).select(values.n)] ?? text.other;
  return text.replace(/\{(\w+)\}/g, (whole, name) => {
    const value = values[name];
    if (value === undefined) return whole;
    return typeof value === 'number' ? number(value) : value;
  });
}

/** Fills the elements of a page: data-t is their text, data-t-label their tooltip and name, data-t-placeholder. */
export function translate(root = document) {
  for (const element of root.querySelectorAll('[data-t]')) {
    // Icons stay; only the text is exchanged.
    for (const node of [...element.childNodes]) if (node.nodeType === Node.TEXT_NODE) node.remove();
    element.append(t(element.dataset.t));
  }
  for (const element of root.querySelectorAll('[data-t-label]')) {
    const label = t(element.dataset.tLabel);
    element.setAttribute('aria-label', label);
    if (element.matches('button, a, select')) element.title = label;
  }
  for (const element of root.querySelectorAll('[data-t-placeholder]')) {
    element.placeholder = t(element.dataset.tPlaceholder);
  }
}

export function onLanguage(listener) {
  listeners.push(listener);
}

function use(name) {
  current = name;
  document.documentElement.lang = name;
  translate();
  for (const listener of listeners) listener();
}

/** "auto", "en" or "fr". */
export function setLanguage(choice) {
  write('language', choice);
  use(preferred());
}

export function number(value, digits = 0) {
  return new Intl.NumberFormat(locale(), { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
}

/** Three significant digits at most: 0.37, 8.2, 41, 1,234. */
export function rate(value) {
  return number(value, value === 0 ? 0 : value < 1 ? 2 : value < 20 ? 1 : 0);
}

export function percent(value) {
  return new Intl.NumberFormat(locale(), { style: 'percent', maximumFractionDigits: 0 }).format(value);
}

export function bytes(value) {
  const units = [['unitGiB', 2 ** 30], ['unitMiB', 2 ** 20], ['unitKiB', 2 ** 10]];
  for (const [key, size] of units) if (value >= size) return t(key, { value: rate(value / size) });
  return t('unitBytes', { value: number(value) });
}

/** 7_241_748_480 parameters: "7.24B", in the language's short form; whole below a hundred thousand. */
export function compact(value) {
  if (value < 100_000) return number(value);
  return new Intl.NumberFormat(locale(), { notation: 'compact', maximumSignificantDigits: 3 }).format(value);
}

/** Seconds as a reader says them: 400 ms, 2.5 s, 12 s, 3 min 5 s, 2 h 10 min, 4 d 2 h. */
export function duration(seconds) {
  if (seconds < 1) return t('milliseconds', { ms: Math.round(1000 * seconds) });
  if (seconds < 10) return t('seconds', { s: number(seconds, 1) });
  const s = Math.round(seconds);
  if (s < 60) return t('seconds', { s });
  if (s < 3600 && s % 60 === 0) return t('minutesOnly', { m: s / 60 });
  if (s < 3600) return t('minutes', { m: Math.floor(s / 60), s: s % 60 });
  if (s < 86400) return t('hours', { h: Math.floor(s / 3600), m: Math.floor((s % 3600) / 60) });
  return t('days', { d: Math.floor(s / 86400), h: Math.floor((s % 86400) / 3600) });
}

/** A moment, given as seconds since 1970 or as ISO 8601 text. */
export function moment(time) {
  const date = new Date(typeof time === 'number' ? time * 1000 : time);
  if (Number.isNaN(date.getTime())) return String(time);
  const today = date.toDateString() === new Date().toDateString();
  return new Intl.DateTimeFormat(locale(), today ? { timeStyle: 'medium' } : { dateStyle: 'medium', timeStyle: 'short' })
    .format(date);
}

current = preferred();
document.documentElement.lang = current;
addEventListener('storage', (event) => {
  if (event.key === 'socle.language') use(preferred());
});
