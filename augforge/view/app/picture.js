// The picture of a sample with what is drawn over it, and the words that say what it is.

import { get } from './api.js';
import { make } from './shared/dom.js';
import { shapesOver } from './shared/shapes.js';
import { world } from './state.js';
import { load } from './thumbs.js';

const WITHHELD = { 1: 'flagged as unsafe: never shown', 2: 'not judged for safety: not shown' };
const SIDES = [128, 192, 256, 512];

// With the revision of the run: the browser keeps pictures, and those of an id may be others once it was written again.
const address = (kind, id, side, base = '') => `${base}${kind}/${encodeURIComponent(id)}?side=${side}&of=${world.run.revision}`;
const sideFor = (pixels) => SIDES.find((side) => side >= pixels * devicePixelRatio * 0.9) ?? 512;

function about(row) {
  return `${row.origin} image of ${row.label === null ? 'no class' : `class ${row.label}`}`;
}

// A picture as wide as its place. `side` is how many px it has on the screen.
function shot(row, side, { size = 'fill', decorative = true, kind = 'thumb', base = '' } = {}) {
  const box = make('span', { class: `shot ${size}` });
  if (row.hidden) {
    box.append(make('span', { class: 'none', text: size === 'small' ? '–' : WITHHELD[row.hidden] }));
    return box;
  }
  const picture = make('img', { alt: decorative ? '' : about(row), decoding: 'async', draggable: false });
  picture.addEventListener('load', () => picture.classList.toggle('tiny', picture.naturalWidth <= 64));
  picture.addEventListener('error', () => { if (!box.querySelector('.none')) box.append(missing(picture.src, size === 'small')); });
  load(picture, address(kind, row.id, kind === 'thumb' ? sideFor(side) : side, base));
  box.append(picture);
  if (row.shapes && row.has?.includes('mask')) {
    const mask = make('img', { class: 'over', alt: '' });
    mask.addEventListener('error', () => mask.remove());
    load(mask, address(`picture/${encodeURIComponent(row.id)}`, 'mask', sideFor(side), base));
    box.append(mask);
  }
  if (row.shapes?.length) box.append(shapesOver(row.width, row.height, row.shapes));
  return box;
}

// What stands in place of a picture that the server does not give; why comes a moment later.
function missing(source, small) {
  const told = make('span', { class: 'none', text: small ? '–' : 'its bytes are gone' });
  get(source).catch(({ message, hint = '', kind }) => {
    if (kind !== 'not-found') return;
    told.title = [message, hint].filter(Boolean).join('; ');
    if (!small) told.textContent = told.title;
  });
  return told;
}

const VERDICTS = { keep: '✓ keep', drop: '✕ drop', relabel: '✎ relabel', conflict: '! disagree' };

function fateText(row) {
  return row.kept ? 'kept' : `${row.by ?? 'dropped'}: ${row.reason ?? 'no reason given'}`;
}

// A sample in words, where its picture stands alone.
function told(row) {
  return [about(row), fateText(row), row.verdict && `verdict: ${row.verdict}`, row.marked && 'marked', row.noted && 'with a note'].filter(Boolean).join(', ');
}

function badges(row, chosen = false) {
  const said = [];
  if (chosen) said.push(make('b', { text: '● chosen' }));
  if (row.verdict) said.push(make('b', { class: `verdict-${row.verdict}`, text: VERDICTS[row.verdict] }));
  if (row.marked) said.push(make('b', { text: '★ marked' }));
  if (row.noted) said.push(make('b', { text: '✉ note' }));
  return make('span', { class: 'badges' }, ...said);
}

export { address, about, shot, fateText, told, badges };
