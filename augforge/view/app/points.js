// Points on a canvas: a million of them, drawn pixel by pixel; where they are on it, and which lie in an outline.

import { colour } from './shared/charts.js';

const STEPS = 64; // colours of a score
const HUES = 12; // classes with a colour of their own

// A colour of the page as the 32 bits of a pixel.
function bits(text) {
  const pen = new OffscreenCanvas(1, 1).getContext('2d');
  pen.fillStyle = text;
  pen.fillRect(0, 0, 1, 1);
  const [red, green, blue] = pen.getImageData(0, 0, 1, 1).data;
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

const hue = (place) => `hsl(${(place * 137.5) % 360} 62% 52%)`;
const OUTCOMES = ['real', 'synthetic', 'unchosen', 'filtered'];

// Groups of the points by a column of codes: the largest have a colour each, the others share one.
function groupsByCode(rows, column, names, tones) {
  const counts = new Map();
  for (const row of rows) counts.set(column[row], (counts.get(column[row]) ?? 0) + 1);
  const ordered = [...counts].sort((a, b) => b[1] - a[1]);
  const groups = ordered.slice(0, HUES).map(([code, count], place) => ({ codes: [code], count, name: names[code] ?? 'none', tone: code < 0 ? colour('soft') : tones?.[code] ?? hue(place) }));
  const others = ordered.slice(HUES);
  if (others.length) groups.push({ codes: others.map(([code]) => code), count: others.reduce((sum, [, count]) => sum + count, 0), name: `${others.length} others`, tone: colour('unchosen') });
  const of = new Map(groups.flatMap(({ codes }, group) => codes.map((code) => [code, group])));
  const group = new Uint8Array(rows.length);
  rows.forEach((row, place) => { group[place] = of.get(column[row]); });
  return { group, groups };
}

// Groups of the points by a score, from low (dark) to high; the last one has no score.
function groupsByScore(rows, column) {
  let low = Infinity, high = -Infinity;
  for (const row of rows) {
    if (Number.isNaN(column[row])) continue;
    low = Math.min(low, column[row]);
    high = Math.max(high, column[row]);
  }
  const group = new Uint8Array(rows.length);
  rows.forEach((row, place) => {
    const value = column[row];
    group[place] = Number.isNaN(value) ? STEPS : Math.min(STEPS - 1, Math.floor(((value - low) / (high - low || 1)) * STEPS));
  });
  const groups = Array.from({ length: STEPS }, (_, step) => ({ tone: `hsl(${260 - (220 * step) / STEPS} 70% ${30 + (35 * step) / STEPS}%)` }));
  return { group, groups: [...groups, { tone: colour('line') }], low, high };
}

// Draw the points, those outside of `inside` faintly and below the others. `view` is [x0, y0, x1, y1] in their units.
function drawPoints(canvas, places, { group, groups, off }, view, inside) {
  const { width, height } = canvas;
  const pen = canvas.getContext('2d');
  const picture = pen.createImageData(width, height);
  const pixels = new Uint32Array(picture.data.buffer);
  const tones = Uint32Array.from(groups, ({ tone }) => bits(tone)), faint = bits(colour('line'));
  const [x0, y0, x1, y1] = view, across = width / (x1 - x0), up = height / (y1 - y0);
  const count = places.length / 2;
  const half = count > 200_000 ? 0 : count > 20_000 ? 1 : count > 2000 ? 2 : 4;
  const dot = (place, tone) => {
    const x = ((places[2 * place] - x0) * across) | 0, y = height - 1 - (((places[2 * place + 1] - y0) * up) | 0);
    if (x < half || y < half || x >= width - half || y >= height - half) return;
    for (let line = y - half; line <= y + half; line += 1) pixels.fill(tone, line * width + x - half, line * width + x + half + 1);
  };
  if (inside) for (let place = 0; place < count; place += 1) if (!inside[place]) dot(place, faint);
  for (let place = 0; place < count; place += 1) if ((!inside || inside[place]) && !off.has(group[place])) dot(place, tones[group[place]]);
  pen.putImageData(picture, 0, 0);
}

// The point nearest to a place, within a distance; null if there is none. All in units of the points.
function nearest(places, [x, y], [wide, high]) {
  let best = null, least = 1;
  for (let place = 0; place < places.length / 2; place += 1) {
    const far = ((places[2 * place] - x) / wide) ** 2 + ((places[2 * place + 1] - y) / high) ** 2;
    if (far < least) {
      least = far;
      best = place;
    }
  }
  return best;
}

export { OUTCOMES, groupsByCode, groupsByScore, drawPoints, nearest };
