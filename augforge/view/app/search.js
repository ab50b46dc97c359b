// The search box: words of ids, files and captions, or what a picture looks like, in words or by an example.

import { complain, upload } from './api.js';
import { chooser, find, make } from './shared/dom.js';
import { setSize, state as grid } from './grid.js';
import { results, showShapes } from './results.js';
import { asked, changed, on, world } from './state.js';

const QUIET = 120; // ms without a key before it is asked
const controls = {};
let waiting = 0;

function lookLike(question, name) {
  asked.like = { question, name };
  asked.sort = null;
  changed();
}

// The pictures nearest to a sample.
const similarTo = (row) => lookLike({ id: row.id }, `similar to ${row.id.slice(0, 8)}`);

async function byPicture(file) {
  if (!file) return;
  try {
    const { image } = await upload(await file.arrayBuffer());
    lookLike({ image }, `like ${file.name}`);
  } catch (error) {
    complain(error);
  }
}

function submit() {
  clearTimeout(waiting);
  const words = controls.words.value.trim();
  if (controls.kind.value === 'words') {
    asked.search = words;
    changed();
  } else if (words) lookLike({ text: words }, `looks like “${words}”`);
  else if (asked.like) {
    asked.like = null;
    changed();
  }
}

function prepareSearch() {
  controls.words = make('input', { type: 'search', id: 'words', 'aria-label': 'Search', placeholder: 'id, file, caption', autocomplete: 'off', spellcheck: false });
  controls.kind = chooser([['words', 'by words']], (kind) => {
    controls.words.placeholder = kind === 'words' ? 'id, file, caption' : 'what it shows';
    if (controls.words.value) submit();
  });
  controls.kind.setAttribute('aria-label', 'How to search');
  controls.words.addEventListener('input', () => {
    clearTimeout(waiting);
    waiting = setTimeout(submit, QUIET);
  });
  controls.file = make('input', { type: 'file', accept: 'image/*', hidden: true, onchange: () => byPicture(controls.file.files[0]) });
  controls.file.setAttribute('aria-label', 'An example picture');
  controls.example = make('button', { type: 'button', text: 'Picture …', title: 'Find what looks like a picture of yours', onclick: () => controls.file.click(), hidden: true });
  find('search').append(controls.words, controls.kind, controls.example, controls.file);
  find('search').addEventListener('submit', (event) => { event.preventDefault(); submit(); });
  addEventListener('dragover', (event) => event.preventDefault());
  addEventListener('drop', (event) => {
    event.preventDefault();
    if (world.search.image) byPicture(event.dataTransfer.files[0]);
  });
  restore();
}

// By likeness, too, where the run has what that needs.
function offerLikeness() {
  const { text, image, why_not: whyNot } = world.search;
  if (text && controls.kind.options.length < 2) controls.kind.append(make('option', { value: 'like', text: 'by likeness' }));
  controls.example.hidden = !image;
  controls.kind.title = whyNot ?? '';
}

function restore() {
  if (!controls.words || document.activeElement === controls.words) return;
  if (controls.kind.value === 'words') controls.words.value = asked.search;
  else if (!asked.like) controls.words.value = '';
}

function sortOptions() {
  const named = [['ledger', 'as in the run'], ['doubt', 'doubtful first'], ['random', 'shuffled'], ['label', 'by class'], ['file', 'by file'], ['size', 'largest first'], ['weight', 'by weight']];
  const scores = world.run.scores.filter((one) => one.count).flatMap(({ name }) => [[`score:${name}`, `${name}, lowest first`, 'by a score'], [`-score:${name}`, `${name}, highest first`, 'by a score']]);
  return [...named, ...scores];
}

// What stands above the grid at the right: the order, the size of the cards, and whether annotations are drawn.
function prepareSwitches() {
  const order = chooser([['', 'as it comes'], ...sortOptions()], (value) => {
    asked.sort = value ? { by: value.replace(/^-/, ''), descending: value.startsWith('-') || value === 'size' || value === 'doubt' } : null;
    changed();
  });
  order.setAttribute('aria-label', 'Sort');
  if (asked.sort) order.value = (asked.sort.descending && asked.sort.by.startsWith('score:') ? '-' : '') + asked.sort.by;
  const size = chooser([['small', 'small'], ['medium', 'medium'], ['large', 'large']], setSize);
  size.value = grid.size;
  size.setAttribute('aria-label', 'Size of the pictures');
  const shapes = make('input', { type: 'checkbox', id: 'shapes', onchange: () => showShapes(shapes.checked) });
  find('switches').replaceChildren(make('label', { class: 'check', id: 'shapes-switch', hidden: true }, shapes, 'annotations'), order, size);
  if (results.shapes) shapes.checked = true;
}

on('asked', restore);

export { lookLike, similarTo, offerLikeness, prepareSearch, prepareSwitches };
