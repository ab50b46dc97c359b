// A histogram with a range to brush over it; two number fields say the same, for the keyboard.

import { colour, drawn } from './shared/charts.js';
import { figure, make } from './shared/dom.js';

const HEIGHT = 72;

function brush(name, { edges, counts, kept }, range, changed) {
  const low = edges[0], high = edges.at(-1);
  const canvas = make('canvas', { class: 'brush', role: 'img', 'aria-label': `Histogram of ${name}: from ${figure(low)} to ${figure(high)}; drag over it to choose a range, or use the fields below` });
  const state = { min: range?.min ?? null, max: range?.max ?? null };
  const ends = ['min', 'max'].map((end) => make('input', {
    type: 'number', step: 'any', value: state[end] === null ? '' : Number(state[end].toPrecision(6)), placeholder: end === 'min' ? 'from' : 'to', 'aria-label': `${name}, ${end === 'min' ? 'from' : 'to'}`,
    onchange: (event) => set({ [end]: event.target.value === '' ? null : Number(event.target.value) }),
  }));
  const set = (ways, tell = true) => {
    Object.assign(state, ways);
    ends.forEach((field, place) => { const value = state[place ? 'max' : 'min']; field.value = value === null ? '' : Number(value.toPrecision(6)); });
    draw();
    if (tell) changed({ ...state });
  };

  function draw() {
    const width = canvas.clientWidth;
    if (!width) return;
    const dense = devicePixelRatio;
    canvas.width = width * dense;
    canvas.height = HEIGHT * dense;
    const pen = canvas.getContext('2d');
    pen.scale(dense, dense);
    const most = Math.max(1, ...counts), bar = width / counts.length;
    counts.forEach((count, bin) => {
      const tall = (value) => (value ? Math.max(1, (HEIGHT - 4) * Math.sqrt(value / most)) : 0);
      pen.fillStyle = colour('unchosen');
      pen.fillRect(bin * bar, HEIGHT - tall(count), Math.max(1, bar - 1), tall(count));
      pen.fillStyle = colour('synthetic');
      pen.fillRect(bin * bar, HEIGHT - tall(kept[bin]), Math.max(1, bar - 1), tall(kept[bin]));
    });
    if (state.min === null && state.max === null) return;
    const at = (value, otherwise) => (value === null ? otherwise : ((value - low) / (high - low || 1)) * width);
    pen.globalAlpha = 0.7;
    pen.fillStyle = colour('ground');
    pen.fillRect(0, 0, at(state.min, 0), HEIGHT);
    pen.fillRect(at(state.max, width), 0, width, HEIGHT);
    pen.globalAlpha = 1;
    pen.fillStyle = colour('accent');
    for (const edge of [at(state.min, -9), at(state.max, width + 9)]) pen.fillRect(edge - 1, 0, 2, HEIGHT);
  }

  const valueAt = (event) => low + (high - low) * Math.min(1, Math.max(0, (event.clientX - canvas.getBoundingClientRect().left) / canvas.clientWidth));
  let from = null;
  canvas.addEventListener('pointerdown', (event) => {
    canvas.setPointerCapture(event.pointerId);
    from = valueAt(event);
  });
  canvas.addEventListener('pointermove', (event) => {
    if (from === null) return;
    const to = valueAt(event);
    set({ min: Math.min(from, to), max: Math.max(from, to) }, false);
  });
  canvas.addEventListener('pointerup', (event) => {
    const wide = Math.abs(valueAt(event) - from) > (high - low) / 200;
    from = null;
    set(wide ? {} : { min: null, max: null });
  });
  new ResizeObserver(draw).observe(canvas);
  for (const old of drawn) if (old.of && !old.of.isConnected) drawn.delete(old);
  draw.of = canvas;
  drawn.add(draw);
  return make('div', {}, canvas, make('div', { class: 'ends' }, ...ends));
}

export { brush };
