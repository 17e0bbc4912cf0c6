// The settings dialog: what a model is told first, how tokens are drawn, how the page looks, and the data it keeps.
// Every change is kept at once; an empty field leaves the choice to the server.

import { hasKey, setKey } from './api.js';
import { openDialog } from './dialogs.js';
import { el } from './dom.js';
import { locale, number, onLanguage, setLanguage, t } from './i18n.js';
import { read, readObject, setTheme, write } from './preferences.js';

// In the order of the dialog. What the server calls them is their name.
const SAMPLING = [
  { name: 'temperature', min: 0, max: 5, step: 0.1 },
  { name: 'top_p', min: 0, max: 1, step: 0.05 },
  { name: 'top_k', min: 0, max: 100000, step: 1 },
  { name: 'min_p', min: 0, max: 1, step: 0.01 },
  { name: 'max_tokens', min: 1, max: 1e7, step: 1 },
  { name: 'seed', min: 0, max: 2 ** 32 - 1, step: 1 },
];

const chosen = readObject('sampling');

/**
 * The sampling to send. Without a seed of the reader's choice one is drawn here, so that the answer can always be
 * repeated: it is kept beside the answer.
 */
export function sampling() {
  const body = {};
  for (const { name } of SAMPLING) if (Number.isFinite(chosen[name])) body[name] = chosen[name];
  body.seed ??= crypto.getRandomValues(new Uint32Array(1))[0];
  if (Array.isArray(chosen.stop) && chosen.stop.length > 0) body.stop = chosen.stop;
  return body;
}

/** The tools to offer, or null. */
export function tools() {
  const parsed = parseTools(read('tools', ''));
  return parsed?.length > 0 ? parsed : null;
}

function parseTools(text) {
  if (text.trim() === '') return [];
  try {
    const value = JSON.parse(text);
    return Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

export const defaultSystem = () => read('system', '');

export class SettingsDialog {
  /** `actions`: system(), setSystem(text), exportAll(), importFile(), removeAll(). */
  constructor(dialog, actions) {
    this.dialog = dialog;
    this.actions = actions;
    const $ = (id) => dialog.querySelector('#' + id);
    this.system = $('system');
    this.always = $('system-always');
    this.tools = $('tools');
    this.stop = $('stop-strings');
    this.fields = $('sampling');
    this.drawFields();
    this.system.addEventListener('input', () => {
      actions.setSystem(this.system.value);
      if (this.always.checked) write('system', this.system.value);
    });
    this.always.addEventListener('change', () => write('system', this.always.checked ? this.system.value : ''));
    this.tools.addEventListener('input', () => this.toolsChanged());
    this.stop.addEventListener('input', () => keep('stop', this.stop.value.split('\n').filter((line) => line !== '')));
    $('reset-sampling').addEventListener('click', () => {
      for (const name of Object.keys(chosen)) delete chosen[name];
      keep('seed', undefined);
      this.fill();
    });
    this.radios('theme', read('theme', 'auto'), setTheme);
    this.radios('language', read('language', 'auto'), setLanguage);
    $('export-all').addEventListener('click', actions.exportAll);
    $('import').addEventListener('click', actions.importFile);
    $('remove-all').addEventListener('click', actions.removeAll);
    $('forget-key').addEventListener('click', () => {
      setKey(null);
      this.fill();
    });
    onLanguage(() => this.drawFields());
  }

  open() {
    this.fill();
    return openDialog(this.dialog);
  }

  fill() {
    this.system.value = this.actions.system();
    this.always.checked = this.system.value !== '' && this.system.value === defaultSystem();
    this.tools.value = read('tools', '');
    this.stop.value = (chosen.stop ?? []).join('\n');
    this.toolsChanged();
    for (const { name } of SAMPLING) {
      const field = this.dialog.querySelector('#sampling-' + name);
      field.value = chosen[name] ?? '';
      field.setCustomValidity('');
    }
    this.dialog.querySelector('#key-row').hidden = !hasKey();
  }

  drawFields() {
    this.fields.replaceChildren(...SAMPLING.map(({ name, min, max, step }) => {
      const id = 'sampling-' + name;
      const hint = el('small', { id: id + '-hint' }, t(name + 'Hint'));
      const field = el('input', {
        type: 'number', id, min, max, step: 'any', inputmode: 'decimal',
        placeholder: t(name === 'seed' ? 'drawn' : 'serverChooses'), value: chosen[name] ?? '', 'aria-describedby': hint.id,
      });
      field.addEventListener('input', () => {
        const value = field.valueAsNumber;
        const fits = Number.isNaN(value) ? !field.validity.badInput
          : value >= min && value <= max && (step !== 1 || Number.isInteger(value));
        field.setAttribute('aria-invalid', !fits);
        hint.textContent = fits ? t(name + 'Hint') : t('between', { min: number(min), max: number(max) });
        if (fits) keep(name, Number.isNaN(value) ? undefined : value);
      });
      field.addEventListener('keydown', (event) => {
        // The arrows step by a useful amount even where any number is allowed.
        if (step === 1 || (event.key !== 'ArrowUp' && event.key !== 'ArrowDown')) return;
        event.preventDefault();
        const from = Number.isNaN(field.valueAsNumber) ? (event.key === 'ArrowUp' ? 0 : max) : field.valueAsNumber;
        const to = Math.min(max, Math.max(min, from + (event.key === 'ArrowUp' ? step : -step)));
        field.value = String(Math.round(to * 100) / 100);
        field.dispatchEvent(new Event('input'));
      });
      return el('div', { class: 'field' }, el('label', { for: id }, t(name)), field, hint);
    }));
  }

  toolsChanged() {
    const parsed = parseTools(this.tools.value);
    this.tools.setAttribute('aria-invalid', parsed === null);
    this.dialog.querySelector('#tools-error').hidden = parsed !== null;
    if (parsed !== null) write('tools', this.tools.value);
  }

  radios(name, value, choose) {
    for (const radio of this.dialog.querySelectorAll(`input[name="${name}"]`)) {
      radio.checked = radio.value === value;
      radio.addEventListener('change', () => radio.checked && choose(radio.value));
    }
  }
}

function keep(name, value) {
  if (value === undefined || (Array.isArray(value) && value.length === 0)) delete chosen[name];
  else chosen[name] = value;
  write('sampling', JSON.stringify(chosen));
}

/** The sampling of an answer as lines of a table: [name, value]. */
export function samplingRows(request) {
  return Object.entries(request ?? {}).map(([name, value]) => {
    const form = { maximumFractionDigits: 6, useGrouping: name !== 'seed' };
    const text = typeof value === 'number' ? value.toLocaleString(locale(), form) : JSON.stringify(value);
    return [t(name === 'stop' ? 'stop_sequences' : name), text];
  });
}
