// The grid: only the cards in sight are elements, whether there are a hundred samples or a million.
//
// A browser draws no element that is higher than some millions of px. The scrolled element is never higher than
// MOST_PIXELS; `top`, the place in the whole grid, moves px by px with small movements and in proportion with large
// ones, and the scroll bar is put right when it rests.

import { dot, figure, find, make, many, whole } from './shared/dom.js';
import { badges, fateText, shot } from './picture.js';
import { fetched, results, rowAt, want } from './results.js';
import { OUTCOME_FATES, emit, on } from './state.js';

const MOST_PIXELS = 8_000_000;
const GAP = 10, BELOW = 58;
const SIZES = { small: 116, medium: 176, large: 300 };

const scroller = find('scroller'), extent = find('extent'), grid = find('grid');
const shape = { size: 'medium', columns: 1, width: 100, height: 100, whole: 0, view: 0 };
const cards = new Map(); // position -> its element
const chosen = new Set(); // ids that were chosen with Space
let top = 0, last = 0, current = 0, resting = 0, planned = false, held = false;

const range = () => Math.max(0, shape.whole - shape.view);
const path = () => Math.max(0, scroller.scrollHeight - scroller.clientHeight);
const scaled = () => shape.whole > MOST_PIXELS;

function measure() {
  const width = scroller.clientWidth - 2 * GAP;
  shape.columns = Math.max(width < 420 ? 2 : 1, Math.floor((width + GAP) / (SIZES[shape.size] + GAP)));
  shape.width = (width - GAP * (shape.columns - 1)) / shape.columns;
  shape.height = shape.width + BELOW + GAP;
  shape.view = scroller.clientHeight;
  shape.whole = Math.ceil(results.total / shape.columns) * shape.height + GAP;
  extent.style.height = `${Math.min(shape.whole, MOST_PIXELS)}px`;
  grid.style.height = `${Math.min(shape.view, Math.max(shape.whole, 1))}px`;
}

// After a change of the window or of the size of the cards, the first card in sight stays in sight.
function reshape() {
  const first = Math.round(top / shape.height) * shape.columns;
  measure();
  empty();
  place(Math.floor(first / shape.columns) * shape.height);
}

function restart(same = false) {
  measure();
  empty();
  if (!same) current = 0;
  place(same ? top : 0);
  const limit = results.total < results.of ? ` of ${whole(results.of)}` : '';
  const notes = results.notes.length ? ` ${results.notes.join(' ')}` : '';
  find('found').textContent = `${results.total ? `${many(results.total, 'image')}${limit}` : 'No image is like that.'}${notes}`;
}

function empty() {
  held ||= grid.contains(document.activeElement);
  cards.clear();
  grid.replaceChildren();
}

function place(wanted) {
  top = Math.min(Math.max(0, wanted), range());
  rest();
  draw();
}

// Put the scroll bar where `top` is.
function rest() {
  last = scaled() ? Math.round((top / range()) * path()) : Math.min(top, path());
  scroller.scrollTop = last;
  last = scroller.scrollTop;
}

function scrolled() {
  const now = scroller.scrollTop, moved = now - last;
  if (!moved) return;
  last = now;
  if (!scaled()) top = now;
  else if (Math.abs(moved) <= 2 * shape.view) top = Math.min(Math.max(0, top + moved), range());
  else top = (now / path()) * range();
  plan();
  clearTimeout(resting);
  const early = scaled() && (now <= 0 || now >= path() - 1);
  if (early) rest();
  else resting = setTimeout(rest, 150);
}

function plan() {
  if (planned) return;
  planned = true;
  requestAnimationFrame(() => {
    planned = false;
    draw();
  });
}

function inSight(extra = 0) {
  const first = Math.max(0, Math.floor(top / shape.height) - extra) * shape.columns;
  const rows = Math.ceil((top + shape.view) / shape.height) + extra;
  return [first, Math.min(results.total, rows * shape.columns) - 1];
}

function draw() {
  const [first, end] = inSight(1);
  for (const [position, element] of cards) {
    if (position >= first && position <= end) continue;
    held ||= element.contains(document.activeElement);
    element.remove();
    cards.delete(position);
  }
  for (let position = first; position <= end; position += 1) {
    const row = rowAt(position);
    let element = cards.get(position);
    if (!element || element.row !== row) {
      const made = item(position, row);
      if (element) {
        held ||= element.contains(document.activeElement);
        element.replaceWith(made);
      } else grid.append(made);
      cards.set(position, element = made);
    }
    const column = position % shape.columns, line = Math.floor(position / shape.columns);
    element.style.transform = `translate(${GAP + column * (shape.width + GAP)}px, ${GAP + line * shape.height - top}px)`;
  }
  if (!held && (current < first || current > end) && end >= first) setCurrent(inSight()[0]); // Tab leads to a card in sight
  const [near, far] = inSight(3);
  want(near, far);
  if (held && cards.get(current)?.row) focusCurrent();
}

// The focus is taken from no control that has got it meanwhile.
const mayFocus = () => document.activeElement === document.body || grid.contains(document.activeElement);

function item(position, row) {
  const element = make('li', { class: 'cell-of-grid', 'aria-setsize': results.total, 'aria-posinset': position + 1 });
  element.style.width = `${shape.width}px`;
  element.style.height = `${shape.height - GAP}px`;
  element.row = row;
  element.append(row ? card(position, row) : make('div', { class: 'card waiting' }, make('span', { class: 'shot fill' })));
  return element;
}

function card(position, row) {
  const number = row.similarity ?? row.score;
  const what = number === undefined || number === null ? row.kept ? `${row.origin}, kept` : row.reason ?? `${row.origin}, dropped` : `${figure(number)} · ${row.origin}`;
  const button = make('button', {
    type: 'button', class: `card${chosen.has(row.id) ? ' chosen' : ''}`, tabIndex: position === current ? 0 : -1, title: fateText(row),
    onclick: (event) => (event.shiftKey || event.ctrlKey || event.metaKey ? pick(position, event.shiftKey) : open(position)),
    onfocus: () => setCurrent(position),
  }, shot(row, shape.width), badges(row, chosen.has(row.id)), make('span', { class: 'card-label', text: row.label ?? 'no label' }),
  make('span', { class: 'fate' }, dot(OUTCOME_FATES[row.outcome]), make('span', { text: what })));
  button.dataset.id = row.id;
  return button;
}

function setCurrent(position) {
  const before = cards.get(current)?.querySelector('button');
  current = position;
  if (before) before.tabIndex = -1;
  const now = cards.get(current)?.querySelector('button');
  if (now) now.tabIndex = 0;
}

function focusCurrent() {
  held = false;
  if (mayFocus()) cards.get(current)?.querySelector('button')?.focus({ preventScroll: true });
}

// Bring a card into sight and give it the focus as soon as it is there.
function goTo(position, focus = true) {
  if (!results.total) return;
  setCurrent(Math.min(Math.max(0, position), results.total - 1));
  const line = Math.floor(current / shape.columns) * shape.height;
  held = focus;
  if (focus && !mayFocus()) document.activeElement.blur();
  if (line < top) place(line);
  else if (line + shape.height + GAP > top + shape.view) place(line + shape.height + GAP - shape.view);
  else draw();
}

function open(position) {
  setCurrent(position);
  emit('open', position);
}

// Choose a card, or all of them between the present one and it.
async function pick(position, through = false) {
  const from = through ? Math.min(current, position) : position, to = through ? Math.max(current, position) : position;
  for (let one = from; one <= to; one += 1) {
    const row = await fetched(one);
    if (row && (through || !chosen.has(row.id))) chosen.add(row.id);
    else if (row) chosen.delete(row.id);
  }
  setCurrent(position);
  reselect();
}

function reselect() {
  for (const element of cards.values()) element.row = null; // drawn again
  draw();
  emit('chosen', chosen.size);
}

function unpick() {
  chosen.clear();
  reselect();
}

function setSize(size) {
  shape.size = size;
  reshape();
}

const STEPS = {
  ArrowRight: () => 1, ArrowLeft: () => -1, ArrowDown: () => shape.columns, ArrowUp: () => -shape.columns,
  Home: () => -current, End: () => results.total - 1 - current,
  PageDown: () => shape.columns * Math.max(1, Math.floor(shape.view / shape.height)),
  PageUp: () => -shape.columns * Math.max(1, Math.floor(shape.view / shape.height)),
};
function walk(key) {
  if (!(key in STEPS)) return false;
  const step = STEPS[key](), there = current + step;
  const beyond = Math.abs(step) > 1 && (there < 0 || there >= results.total);
  goTo(beyond && key.startsWith('Arrow') ? current : there);
  return true;
}

const state = { get current() { return current; }, get size() { return shape.size; }, chosen };

scroller.addEventListener('scroll', scrolled, { passive: true });
new ResizeObserver(() => reshape()).observe(scroller);
on('results', restart);
on('rows', plan);

export { state, goTo, walk, open, pick, unpick, setSize };
