// The map of the embeddings: points on a canvas; a lasso around some of them shows their pictures in the grid.

import { complain, get, numbers, post } from './api.js';
import { drawn, colour } from './shared/charts.js';
import { chooser, figure, make, many, whole } from './shared/dom.js';
import { openId } from './detail.js';
import { OUTCOMES, drawPoints, groupsByCode, groupsByScore, nearest } from './points.js';
import { results } from './results.js';
import { OUTCOME_FATES, OUTCOME_NAMES, asked, narrow, on, world } from './state.js';

const MOST_CORNERS = 300;
const columns = new Map(); // name -> promise of its codes
let map = null; // what is shown, while the view is open

function column(name) {
  if (!columns.has(name)) columns.set(name, numbers(`api/column/${encodeURIComponent(name)}`));
  return columns.get(name).catch((error) => {
    columns.delete(name);
    throw error;
  });
}

function colourings() {
  const named = [['outcome', 'what became of them'], ['label', 'class'], ['origin', 'origin'], ['stage', 'made by'], ['verdict', 'review'], ['split', 'split']];
  return [...named, ...world.run.scores.filter((one) => one.count).map(({ name }) => [`score:${name}`, name, 'a score'])];
}

function grouped(by, codes) {
  if (by.startsWith('score:')) return { ...groupsByScore(map.rows, codes), off: new Set() };
  const values = by === 'verdict' ? ['keep', 'drop', 'relabel', 'conflict'] : world.run.columns[by];
  const tones = by === 'outcome' ? values.map((value) => colour(OUTCOME_FATES[value] ?? OUTCOMES[0])) : null;
  const names = by === 'outcome' ? values.map((value) => OUTCOME_NAMES[value] ?? value) : values;
  return { ...groupsByCode(map.rows, codes, names, tones), off: new Set() };
}

async function showMap(panel) {
  world.maps ??= (await get('api/maps')).maps;
  const found = world.maps[0];
  if (!found) {
    panel.append(make('p', { class: 'lead', text: 'No embeddings are stored in this run, so there is no map. A filter or selector that embeds the images leaves them.' }));
    return;
  }
  const canvas = make('canvas', { class: 'points', tabIndex: 0, role: 'img', 'data-arrows': '', 'aria-label': `Map of the embeddings, ${found.axes.join(' by ')}. Arrow keys move it, plus and minus zoom.` });
  const over = make('canvas', { class: 'points over', 'aria-hidden': 'true' });
  const mine = map = { name: found.name, canvas, over, legend: make('div', { class: 'legend' }), said: make('p', { class: 'lead', role: 'status' }), mode: 'lasso', by: 'outcome' };
  const [x0, y0, x1, y1] = found.bounds, room = 0.03;
  map.whole = [x0 - room * (x1 - x0 || 1), y0 - room * (y1 - y0 || 1), x1 + room * (x1 - x0 || 1), y1 + room * (y1 - y0 || 1)];
  map.view = [...map.whole];
  panel.append(controls(), make('div', { class: 'canvases' }, canvas, over), map.said, map.legend,
    make('p', { class: 'lead', text: `${whole(found.count)} embeddings by ${found.model}: ${found.axes.join(', ')}. Draw around points to see their pictures; click one to open it.` }));
  pointer();
  new ResizeObserver(draw).observe(canvas);
  const name = encodeURIComponent(found.name);
  const [places, rows] = await Promise.all([numbers(`api/map/${name}/places.f32`), numbers(`api/map/${name}/rows.i32`)]);
  if (map !== mine) return;
  Object.assign(map, { places, rows });
  await recolour();
  await refresh();
}

function controls() {
  const by = chooser(colourings(), (value) => { map.by = value; recolour().catch(complain); });
  by.setAttribute('aria-label', 'Colour of the points');
  const mode = chooser([['lasso', 'drag: lasso'], ['move', 'drag: move']], (value) => { map.mode = value; });
  mode.setAttribute('aria-label', 'What dragging does');
  const button = (text, onclick, label) => make('button', { type: 'button', text, onclick, 'aria-label': label ?? text });
  return make('div', { class: 'row' }, by, mode, button('+', () => zoom(0.6), 'Zoom in'), button('−', () => zoom(1 / 0.6), 'Zoom out'),
    button('Whole', () => { map.view = [...map.whole]; draw(); }), button('Take what is in view', takeView));
}

async function recolour() {
  const mine = map;
  const { by } = map;
  const codes = await column(by);
  if (map !== mine || map.by !== by) return;
  const colours = map.colours = grouped(by, codes);
  const { groups, off, low } = colours;
  map.legend.replaceChildren(...(low === undefined ? groups.map(({ name, tone, count }, place) => {
    const sign = make('i', { class: 'dot', 'aria-hidden': 'true' });
    sign.style.background = tone;
    const tick = make('input', { type: 'checkbox', checked: true, onchange: () => { tick.checked ? off.delete(place) : off.add(place); draw(); } });
    return make('label', { class: 'check' }, tick, sign, `${name} (${whole(count)})`);
  }) : [make('span', { text: `dark ${figure(low)}, bright ${figure(colours.high)}` })]));
  draw();
}

// Which points the present query found, without the lasso itself: what else could be in one.
async function refresh() {
  if (!map?.places || !results.query) return;
  const mine = map;
  if (results.total === results.of) map.inside = null;
  else {
    const rows = await numbers(`api/query/${results.query}/index.i32`).catch(complain);
    if (!rows || map !== mine) return;
    const there = new Uint8Array(world.run.rows);
    for (const row of rows) there[row] = 1;
    map.inside = Uint8Array.from(map.rows, (row) => there[row]);
  }
  draw();
}

function draw() {
  if (!map?.colours) return;
  const { canvas, over } = map;
  const width = Math.round(canvas.clientWidth * devicePixelRatio), height = Math.round(canvas.clientHeight * devicePixelRatio);
  if (!width || !height) return;
  for (const one of [canvas, over]) Object.assign(one, { width, height });
  drawPoints(canvas, map.places, map.colours, map.view, map.inside);
  drawLasso(map.path ?? asked.filters.lasso?.polygon);
}

const unitsAt = (event) => {
  const box = map.canvas.getBoundingClientRect(), [x0, y0, x1, y1] = map.view;
  return [x0 + ((event.clientX - box.left) / box.width) * (x1 - x0), y1 - ((event.clientY - box.top) / box.height) * (y1 - y0)];
};

function drawLasso(path) {
  const { over, view: [x0, y0, x1, y1] } = map;
  const pen = over.getContext('2d');
  pen.clearRect(0, 0, over.width, over.height);
  if (!path || path.length < 2) return;
  pen.beginPath();
  for (const [x, y] of path) pen.lineTo(((x - x0) / (x1 - x0)) * over.width, ((y1 - y) / (y1 - y0)) * over.height);
  pen.closePath();
  pen.lineWidth = 2 * devicePixelRatio;
  pen.strokeStyle = colour('accent');
  pen.stroke();
  pen.globalAlpha = 0.12;
  pen.fillStyle = colour('accent');
  pen.fill();
  pen.globalAlpha = 1;
}

// The lasso as a filter, with no more corners than an outline needs.
function take(path) {
  const every = Math.ceil(path.length / MOST_CORNERS);
  narrow('lasso', { map: map.name, polygon: path.filter((_, place) => place % every === 0) });
}

function takeView() {
  const [x0, y0, x1, y1] = map.view;
  take([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]);
}

function zoom(by, [x, y] = [(map.view[0] + map.view[2]) / 2, (map.view[1] + map.view[3]) / 2]) {
  const [x0, y0, x1, y1] = map.view;
  map.view = [x + (x0 - x) * by, y + (y0 - y) * by, x + (x1 - x) * by, y + (y1 - y) * by];
  draw();
}

function move(right, up) {
  const [x0, y0, x1, y1] = map.view, x = right * (x1 - x0), y = up * (y1 - y0);
  map.view = [x0 + x, y0 + y, x1 + x, y1 + y];
  draw();
}

function pointer() {
  const { canvas } = map;
  let from = null, before = null;
  canvas.addEventListener('pointerdown', (event) => {
    canvas.setPointerCapture(event.pointerId);
    from = before = event;
    map.path = map.mode === 'lasso' && !event.shiftKey ? [unitsAt(event)] : null;
  });
  canvas.addEventListener('pointermove', (event) => {
    if (!from) return;
    if (map.path) {
      map.path.push(unitsAt(event));
      drawLasso(map.path);
    } else move((before.clientX - event.clientX) / canvas.clientWidth, (event.clientY - before.clientY) / canvas.clientHeight);
    before = event;
  });
  canvas.addEventListener('pointerup', (event) => {
    const far = from ? Math.hypot(event.clientX - from.clientX, event.clientY - from.clientY) : 0;
    const { path } = map;
    from = map.path = null;
    if (path && path.length > 3) take(path);
    else if (far < 4) click(event);
  });
  canvas.addEventListener('wheel', (event) => {
    event.preventDefault();
    zoom(event.deltaY > 0 ? 1.2 : 1 / 1.2, unitsAt(event));
  }, { passive: false });
  const arrows = { ArrowLeft: [-0.15, 0], ArrowRight: [0.15, 0], ArrowUp: [0, 0.15], ArrowDown: [0, -0.15] };
  canvas.addEventListener('keydown', (event) => {
    if (event.key in arrows) move(...arrows[event.key]);
    else if (event.key === '+' || event.key === '=') zoom(0.7);
    else if (event.key === '-') zoom(1 / 0.7);
    else return;
    event.preventDefault();
  });
}

// Open the sample of the point that was clicked: the server knows it by a small outline around the point.
async function click(event) {
  const [x0, y0, x1, y1] = map.view, [wide, high] = [((x1 - x0) * 8) / map.canvas.clientWidth, ((y1 - y0) * 8) / map.canvas.clientHeight];
  const place = map.places && nearest(map.places, unitsAt(event), [wide, high]);
  if (place === null || place === undefined) {
    if (asked.filters.lasso) narrow('lasso', null);
    return;
  }
  const [x, y] = [map.places[2 * place], map.places[2 * place + 1]], [w, h] = [wide / 100, high / 100];
  try {
    const { query } = await post('api/query', { filters: { lasso: { map: map.name, polygon: [[x - w, y - h], [x + w, y - h], [x + w, y + h], [x - w, y + h]] } } });
    const { rows } = await get(`api/query/${query}/rows?offset=0&limit=20`);
    const row = rows.find((one) => one.row === map.rows[place]) ?? rows[0];
    if (row) openId(row.id);
  } catch (error) {
    complain(error);
  }
}

const closeMap = () => { map = null; };

on('settled', () => {
  refresh();
  if (map) map.said.textContent = asked.filters.lasso ? `${many(results.total, 'image')} inside the lasso` : '';
});
on('run', () => columns.clear());
on('decided', () => columns.delete('verdict'));
drawn.add(() => { if (map?.places) recolour().catch(complain); });

export { showMap, closeMap };
