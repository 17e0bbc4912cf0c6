// A small chart over time: areas under lines, drawn as SVG, with what it shows in words for who cannot see it. The
// pointer reads off a moment.

import { el, svg } from './dom.js';
import { duration, number, onLanguage, rate, t } from './i18n.js';

const HEIGHT = 160;
const FOOT = 20; // for the times
const SIDE = 36; // for the values

export class Chart {
  /** series: [{ name: key of a text, of: point → number }], drawn one above the other; points have `t`, in seconds. */
  constructor(container, title, series) {
    Object.assign(this, { container, title, series, points: [] });
    this.readout = el('span', { class: 'readout' });
    this.picture = svg('svg', { height: HEIGHT, role: 'img' });
    this.caption = el('figcaption');
    container.append(this.caption, this.picture);
    this.picture.addEventListener('pointermove', (event) => this.pick(event));
    this.picture.addEventListener('pointerleave', () => this.pick(null));
    onLanguage(() => this.show(this.points));
  }

  show(points) {
    this.points = points;
    const { series, title } = this;
    const keys = series.map(({ name }, i) => el('span', { class: 'key key' + i }, t(name)));
    this.caption.replaceChildren(el('h2', {}, t(title)), this.readout, ...(series.length > 1 ? keys : []));
    this.width = Math.max(200, this.picture.clientWidth); // one unit is one pixel: letters keep their size
    this.picture.setAttribute('viewBox', `0 0 ${this.width} ${HEIGHT}`);
    const highest = Math.max(...points.map((point) => this.sum(point)), 0);
    this.top = ceiling(highest);
    this.picture.replaceChildren(...this.grid(), ...(points.length > 1 ? this.areas() : []));
    const now = points.length > 0 ? this.sum(points.at(-1)) : 0;
    this.picture.setAttribute('aria-label', t('chartNow', { name: t(title), now: rate(now), max: rate(highest) }));
    this.mark = svg('line', { class: 'mark', y1: 0, y2: HEIGHT - FOOT, visibility: 'hidden' });
    this.picture.append(this.mark);
  }

  sum(point) {
    return this.series.reduce((total, { of }) => total + of(point), 0);
  }

  x(point) {
    const first = this.points[0].t;
    const span = this.points.at(-1).t - first || 1;
    return SIDE + ((point.t - first) / span) * (this.width - SIDE);
  }

  y(value) {
    return 6 + (1 - value / this.top) * (HEIGHT - FOOT - 6);
  }

  grid() {
    const lines = [0, 0.5, 1].flatMap((part) => {
      const y = this.y(part * this.top);
      return [svg('line', { class: 'grid', x1: SIDE, x2: this.width, y1: y, y2: y }),
        svg('text', { x: SIDE - 8, y: y + 4, 'text-anchor': 'end' }, axisNumber(part * this.top))];
    });
    if (this.points.length < 2) return lines;
    const span = this.points.at(-1).t - this.points[0].t;
    return [...lines,
      svg('text', { x: SIDE, y: HEIGHT - 3 }, t('ago', { time: duration(span < 60 ? span : 10 * Math.round(span / 10)) })),
      svg('text', { x: this.width, y: HEIGHT - 3, 'text-anchor': 'end' }, t('now'))];
  }

  areas() {
    const below = this.points.map(() => 0);
    const drawn = this.series.map(({ of }, i) => {
      const bottom = this.points.map((point, j) => `${this.x(point).toFixed(1)},${this.y(below[j]).toFixed(1)}`);
      this.points.forEach((point, j) => { below[j] += of(point); });
      const line = this.points.map((point, j) => `${this.x(point).toFixed(1)},${this.y(below[j]).toFixed(1)}`);
      return [svg('path', { class: 'area area' + i, d: `M${line.join('L')}L${bottom.reverse().join('L')}Z` }),
        svg('path', { class: 'line line' + i, d: `M${line.join('L')}` })];
    });
    return drawn.reverse().flat(); // where a series adds nothing, the line of the one below it shows
  }

  pick(event) {
    const found = event && this.points.length > 1 && this.nearest(event);
    this.mark?.setAttribute('visibility', found ? 'visible' : 'hidden');
    this.readout.textContent = '';
    if (!found) return;
    this.mark.setAttribute('x1', this.x(found));
    this.mark.setAttribute('x2', this.x(found));
    const age = this.points.at(-1).t - found.t;
    this.readout.textContent = `${this.series.map(({ of }) => rate(of(found))).join(' + ')} · `
      + (age < 1 ? t('now') : t('ago', { time: duration(Math.round(age)) }));
  }

  nearest(event) {
    const { left, width } = this.picture.getBoundingClientRect();
    const x = ((event.clientX - left) / width) * this.width;
    return this.points.reduce((best, point) => (Math.abs(this.x(point) - x) < Math.abs(this.x(best) - x) ? point : best));
  }
}

const axisNumber = (value) => number(value, Number.isInteger(value) ? 0 : 1);

/** The next of 1, 2, 4, 6, 8, 10, 20, 40, … so that half of it is a plain number as well. */
function ceiling(value) {
  if (value <= 0) return 2;
  const power = 10 ** Math.floor(Math.log10(value));
  return Math.max(2, power * [1, 2, 4, 6, 8, 10].find((step) => step * power >= value));
}
