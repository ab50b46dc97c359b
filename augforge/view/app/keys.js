// What each key does; the help lists this table, so that it cannot say anything else.

import { nextWay } from './beside.js';
import { decide, question, say, undo } from './decisions.js';
import { opened, step, toggleDrawn } from './detail.js';
import { find, make } from './shared/dom.js';
import { goTo, open, pick, state as grid, unpick, walk } from './grid.js';
import { fetched, positionOf, rowAt } from './results.js';
import { similarTo } from './search.js';
import { world } from './state.js';

const TOOL_KEYS = {}; // digit -> opens a view; filled by main

// The samples that a key is about: the one that is open, else the chosen ones, else the card with the focus.
async function meant() {
  if (opened.loading) return [];
  if (opened.id) return [opened.id];
  if (grid.chosen.size) return [...grid.chosen];
  const focused = document.activeElement?.closest?.('[data-id]')?.dataset.id;
  if (focused) return [focused];
  const row = rowAt(grid.current); // not waited for: two keys would both be about it, and the next one be passed over
  return row ? [row.id] : [];
}

async function verdict(name, given = {}) {
  const ids = await meant();
  if (!ids.length) return;
  decide(name, ids, given);
  if (name === 'mark' || name === 'note') return;
  const outside = document.activeElement?.closest?.('[data-id]') && !find('grid').contains(document.activeElement);
  if (opened.id) step(1);
  else if (grid.chosen.size) unpick();
  else if (!outside) goTo(grid.current + 1);
}

async function withReason(name) {
  if (refused()) return;
  const text = await question(name === 'keep' ? 'Keep it' : 'Drop it', 'Why', { needed: false });
  if (text !== null) verdict(name, { text });
}

async function relabel() {
  if (refused()) return;
  const label = await question('Relabel', 'The class that it shows', { values: world.run.columns.label.slice(0, 2000) });
  if (label !== null) verdict('relabel', { label });
}

async function note() {
  if (refused()) return;
  const text = await question('A note', 'What should be known about it');
  if (text !== null) verdict('note', { text });
}

function refused() {
  if (world.session.read_only) say('This page is read-only: nothing can be decided here.');
  return world.session.read_only;
}

async function takeBack() {
  if (refused()) return;
  const ids = await undo(await meant());
  if (!ids || opened.id) return;
  const position = await positionOf(ids[0]);
  if (position !== null) goTo(position);
}

async function similar() {
  const sample = opened.sample ?? await fetched(grid.current);
  if (!sample || !world.search.image) return;
  if (find('detail').open) find('detail').close();
  similarTo(sample);
}

function escape() {
  if (find('detail').open) find('detail').close();
  else if (find('filters').classList.contains('out')) find('filters').classList.remove('out');
  else if (grid.chosen.size) unpick();
  else return false;
  return true;
}

function focusSearch() {
  if (find('detail').open) find('detail').close();
  find('words').focus();
  find('words').select();
}

const inDialog = () => find('detail').open;
const arrows = (key) => (inDialog() ? (key === 'ArrowLeft' || key === 'ArrowRight') && (step(key === 'ArrowLeft' ? -1 : 1), true) : walk(key));
const walkKeys = ['ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown', 'Home', 'End', 'PageUp', 'PageDown'];

const KEYS = [
  { keys: walkKeys, shown: ['←', '→', '↑', '↓'], about: 'go to another image; with one open, to its neighbours', run: arrows },
  { keys: [], shown: ['Home', 'End', 'PgUp', 'PgDn'], about: 'the first, the last, a page on or back' },
  { keys: ['Enter'], about: 'open the image', run: () => !inDialog() && openCurrent() },
  { keys: ['Escape'], shown: ['Esc'], about: 'close what is open; choose nothing', run: escape },
  { keys: ['k'], about: 'keep, and go on', run: () => verdict('keep'), write: true },
  { keys: ['d'], about: 'drop, and go on', run: () => verdict('drop'), write: true },
  { keys: ['K'], shown: ['Shift', 'K'], about: 'keep, and say why', run: () => withReason('keep'), write: true },
  { keys: ['D'], shown: ['Shift', 'D'], about: 'drop, and say why', run: () => withReason('drop'), write: true },
  { keys: ['r'], about: 'relabel', run: relabel, write: true },
  { keys: ['m'], about: 'mark', run: () => verdict('mark'), write: true },
  { keys: ['n'], about: 'write a note', run: note, write: true },
  { keys: ['u'], about: 'take the last decision back', run: takeBack, write: true },
  { keys: [' '], shown: ['Space'], about: 'choose the image; a verdict is then about all chosen ones (with the mouse: Ctrl and Shift)', run: () => !inDialog() && (pick(grid.current), true) },
  { keys: ['s'], about: 'what looks similar', run: similar },
  { keys: ['c'], about: 'beside its parent: side by side, blink, difference', run: () => (inDialog() ? (nextWay(), true) : false) },
  { keys: ['a'], about: 'annotations over the pictures', run: () => (inDialog() ? toggleDrawn() : find('shapes')?.click()) },
  { keys: ['/'], about: 'search', run: focusSearch },
  { keys: ['f'], about: 'filters', run: () => { if (inDialog()) return false; find('filters').classList.add('out'); find('filters').querySelector('summary')?.focus(); return true; } },
  { keys: ['g'], about: 'back to the grid', run: () => !inDialog() && (goTo(grid.current), true) },
  { keys: [...'123456789'], shown: ['1', '…', '7'], about: 'the views, from left to right', run: (key) => !inDialog() && TOOL_KEYS[key] && (TOOL_KEYS[key](), true) },
  { keys: ['?'], about: 'these keys', run: () => help() },
];
const BY_KEY = new Map(KEYS.flatMap((entry) => entry.keys.map((key) => [key, entry])));

function openCurrent() {
  if (!find('grid').contains(document.activeElement) && document.activeElement !== document.body) return false; // Enter presses a button
  open(grid.current);
  return true;
}

const typing = (target) => target.matches?.('input:not([type=checkbox]), select, textarea, [contenteditable]');
const presses = (target) => target.matches?.('button, summary, a, [role=button], input[type=checkbox]');

function heard(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  const target = event.target;
  if (target.closest?.('#question, #help')) return;
  if (typing(target)) {
    if (event.key === 'Escape' && target.id === 'words') goTo(grid.current);
    return;
  }
  const inGrid = find('grid').contains(target);
  if ((event.key === ' ' || event.key === 'Enter') && presses(target) && !inGrid) return;
  if (walkKeys.includes(event.key) && target.closest?.('[data-arrows]')) return; // it has arrows of its own
  const entry = BY_KEY.get(event.key);
  if (!entry?.run || (entry.write && event.repeat)) return;
  if (entry.run(event.key) !== false) event.preventDefault();
}

function help() {
  const dialog = find('help');
  const lines = KEYS.filter((entry) => !(entry.write && world.session.read_only)).map(({ keys, shown, about }) => make('tr', {},
    make('th', { scope: 'row' }, ...(shown ?? keys).flatMap((key) => [make('kbd', { text: key }), ' '])), make('td', { text: about })));
  dialog.replaceChildren(make('div', { class: 'row between' }, make('h2', { id: 'help-title', text: 'Keys' }), make('button', { type: 'button', text: 'Close', onclick: () => dialog.close() })),
    make('table', {}, make('tbody', {}, ...lines)));
  const before = document.activeElement;
  dialog.addEventListener('close', () => { if (before?.isConnected) before.focus({ preventScroll: true }); }, { once: true });
  dialog.showModal();
}

function prepareKeys() {
  document.addEventListener('keydown', heard);
  find('help-button').addEventListener('click', help);
}

export { TOOL_KEYS, prepareKeys };
