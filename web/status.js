// The status page: asks the server how it is every two seconds and shows it.

import { onKeyNeeded, serverStatus } from './api.js';
import { Chart } from './chart.js';
import { askForKey } from './dialogs.js';
import { drawIcons, el } from './dom.js';
import { errorText } from './errors.js';
import { bytes, compact, duration, moment, number, onLanguage, percent, rate, t, translate } from './i18n.js';

const EVERY = 2000; // milliseconds
const KEPT = 150; // points of a history of our own, where the server tells none
const $ = (id) => document.getElementById(id);

const own = [];
let status = null;
let heard = 0; // seconds since 1970
let failure = null;

const finite = (value) => (Number.isFinite(value) ? value : 0);
const share = (part, whole) => (whole > 0 ? Math.min(1, part / whole) : 0);

const charts = [
  new Chart($('chart-speed'), 'chartSpeed', [{ name: 'speedWriting', of: (point) => finite(point.tokens_per_second) }]),
  new Chart($('chart-load'), 'chartLoad', [
    { name: 'running', of: (point) => finite(point.running) }, { name: 'queue', of: (point) => finite(point.waiting) }]),
];

/** A number with a name over it, a line under it, and a bar if it is a share of something. */
function tile(name, value, unit, under = '', filled = null) {
  return el('div', { class: 'tile' },
    el('h2', {}, t(name)),
    el('p', { class: 'value' }, value, unit && el('small', {}, ` ${unit}`)),
    filled !== null && bar(t(name), filled),
    el('p', { class: 'hint' }, under));
}

function bar(label, filled) {
  const inner = el('i');
  inner.style.width = `${(100 * filled).toFixed(1)}%`;
  return el('div', {
    class: 'bar' + (filled > 0.9 ? ' full' : ''), role: 'meter', 'aria-label': label,
    'aria-valuenow': Math.round(100 * filled), 'aria-valuemin': 0, 'aria-valuemax': 100,
  }, inner);
}

function loadTiles(s) {
  const [running, slots, waiting, limit] = [s.n_running, s.n_slots, s.n_waiting, s.queue_limit].map(finite);
  return [
    tile('running', number(running), '', t('runningOf', { n: running, max: slots }), share(running, slots)),
    tile('queue', number(waiting), '', t('queueOf', { n: waiting, max: limit }), share(waiting, limit)),
    tile('speedWriting', rate(finite(s.generated_tokens_per_second)), t('tokensEachSecond'), t('speedWritingHint')),
    tile('speedReading', rate(finite(s.prompt_tokens_per_second)), t('tokensEachSecond'), t('speedReadingHint')),
  ];
}

function totalTiles(s) {
  const { cache } = s;
  const used = cache ? cache.n_pages - cache.n_free : 0;
  const failed = finite(s.requests_failed);
  const cached = share(finite(s.cached_tokens_total), s.prompt_tokens_total);
  return [
    cache && tile('cache', percent(share(used, cache.n_pages)), '',
      t('cacheOf', { n: used, max: cache.n_pages, tokens: finite(cache.page_tokens) }), share(used, cache.n_pages)),
    cache && tile('hitRate', percent(finite(cache.hit_rate)), '', t('hitRateHint'), finite(cache.hit_rate)),
    Number.isFinite(s.memory_bytes) && tile('memory', bytes(s.memory_bytes)),
    tile('requests', compact(finite(s.requests_total)), '', failed > 0 ? t('failedOf', { n: failed }) : t('noneFailed')),
    tile('tokensRead', compact(finite(s.prompt_tokens_total)), '', t('fromCache', { share: percent(cached) })),
    tile('tokensWritten', compact(finite(s.generated_tokens_total))),
  ].filter(Boolean);
}

function table(heads, rows) {
  const head = el('tr', {}, heads.map((text) => el('th', { scope: 'col' }, text)));
  const row = (texts) => el('tr', {}, texts.map((text, i) => el('td', { 'data-head': heads[i] }, text)));
  return el('table', {}, el('thead', {}, head), el('tbody', {}, rows.map(row)));
}

function drawState() {
  const busy = status && status.n_waiting > 0;
  const state = failure ? 'Down' : status === null ? 'Wait' : busy ? 'Busy' : 'Up';
  $('state').className = `state ${state.toLowerCase()}`;
  if ($('state').textContent !== t('state' + state)) $('state').textContent = t('state' + state); // it is a live region
  $('since').textContent = failure
    ? heard ? t('lostSince', { time: moment(heard) }) : errorText(failure)
    : status ? t('upSince', { version: status.version, time: duration(finite(status.uptime_seconds)) }) : '';
  document.body.classList.toggle('lost', failure !== null);
}

function draw() {
  drawState();
  document.title = `${t('statusTitle')} — Socle`;
  if (status === null) return;
  $('load').replaceChildren(...loadTiles(status));
  $('totals').replaceChildren(...totalTiles(status));
  const history = Array.isArray(status.history) && status.history.length > 1 ? status.history : own;
  for (const chart of charts) chart.show(history);
  $('models').replaceChildren(table([t('name'), t('parameters'), t('context'), t('weights'), t('state')],
    (status.models ?? []).map((model) => [model.id, model.n_parameters ? compact(model.n_parameters) : '–',
      model.n_context ? t('contextTokensOf', { n: model.n_context }) : '–', model.weights ?? '–',
      el('span', { class: model.loaded ? 'loaded' : 'unloaded' }, t(model.loaded ? 'loaded' : 'notLoaded'))])));
  const errors = status.recent_errors ?? [];
  $('errors').replaceChildren(errors.length === 0 ? el('p', { class: 'hint' }, t('noErrors'))
    : table([t('time'), t('status'), t('what')],
      errors.map((error) => [moment(error.time), String(error.status), error.message])));
}

async function poll() {
  if (!document.hidden) {
    try {
      status = await serverStatus();
      failure = null;
      heard = Date.now() / 1000;
      own.push({
        t: heard, running: status.n_running, waiting: status.n_waiting,
        tokens_per_second: status.generated_tokens_per_second,
      });
      if (own.length > KEPT) own.shift();
    } catch (error) {
      failure = error;
    }
    // A selection, to copy an error, is not torn away by drawing anew.
    if (getSelection().isCollapsed) draw();
    else drawState();
  }
  setTimeout(poll, EVERY);
}

translate();
drawIcons();
onKeyNeeded(async (wasRefused) => {
  const key = await askForKey(wasRefused);
  if (key === null) onKeyNeeded(null); // asked once, not every two seconds
  return key;
});
onLanguage(draw);
draw();
poll();
