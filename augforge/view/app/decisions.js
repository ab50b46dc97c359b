// Verdicts of the person who looks. They are written one after the other, in the order in which they were given.

import { complain, get, post } from './api.js';
import { find, make, many } from './shared/dom.js';
import { patch } from './results.js';
import { emit, world } from './state.js';

const DONE = { keep: 'Keep', drop: 'Drop', relabel: 'Relabel', mark: 'Mark', note: 'Note', undo: 'Taken back' };
const done = []; // the ids of each decision of this page, the last one at the end
let writing = Promise.resolve();
let unwritten = 0;

const say = (text) => { find('said').textContent = text; };

const CHANGES = {
  keep: () => ({ verdict: 'keep' }), drop: () => ({ verdict: 'drop' }), relabel: () => ({ verdict: 'relabel' }),
  mark: () => ({ marked: true }), note: () => ({ noted: true }), undo: () => ({}),
};

// Write a verdict on some samples. They show it at once, and no longer if it could not be written.
function decide(verdict, ids, { label, text } = {}) {
  if (world.session.read_only) {
    say('This page is read-only: nothing can be decided here.');
    return Promise.resolve(false);
  }
  const given = { ids, verdict, ...(label === undefined ? {} : { label }), ...(text ? { text } : {}) };
  patch(ids, CHANGES[verdict]);
  unwritten += 1;
  writing = writing.then(() => write(given)).finally(() => { unwritten -= 1; });
  return writing;
}

// Who leaves the page while something is still to be written is asked first.
addEventListener('beforeunload', (event) => { if (unwritten) event.preventDefault(); });

async function write(given) {
  try {
    const { written, file } = await post('api/review', given);
    if (given.verdict === 'undo') await refresh(given.ids);
    else done.push(given.ids);
    const what = given.verdict === 'relabel' ? `Relabel to ${given.label}` : DONE[given.verdict];
    say(`${what}: ${written === 1 && given.ids ? given.ids[0].slice(0, 12) : many(written, 'image')}, written to ${file}.`);
    emit('decided', given);
    return true;
  } catch (error) {
    complain(error);
    await refresh(given.ids).catch(complain);
    return false;
  }
}

// What the server knows of some samples, where it is not known for certain here.
async function refresh(ids) {
  for (const id of ids.slice(0, 50)) {
    const { verdict, marked, noted } = await get(`api/sample/${encodeURIComponent(id)}`);
    patch([id], () => ({ verdict, marked, noted }));
  }
}

// Take the last decision of this page back, or else the last one on a sample. Says which samples it was about.
async function undo(otherwise) {
  await writing;
  const ids = done.pop() ?? otherwise;
  return ids?.length && (await decide('undo', ids)) ? ids : null;
}

// Decide about everything that a query found.
async function decideAll(query, verdict) {
  try {
    const { written, file } = await post('api/review', { query, verdict });
    say(`${DONE[verdict]}: ${many(written, 'image')}, written to ${file}.`);
    emit('decided', { verdict });
    emit('asked');
  } catch (error) {
    complain(error);
  }
}

// A small dialog with one text; gives null where it is closed without one.
function question(title, label, { values = [], needed = true, button = 'Save' } = {}) {
  const dialog = find('question');
  const options = make('datalist', { id: 'question-values' }, ...values.map((value) => make('option', { value })));
  const box = make('input', { type: 'text', id: 'question-text', autocomplete: 'off', maxLength: 1000 });
  box.setAttribute('list', 'question-values');
  return new Promise((answered) => {
    let answer = null;
    const form = make('form', { method: 'dialog', class: 'stack', onsubmit: (event) => {
      event.preventDefault();
      const text = box.value.trim();
      if (needed && !text) return;
      answer = text;
      dialog.close();
    } }, make('h2', { id: 'question-title', text: title }), make('label', { htmlFor: 'question-text', text: label }), box, options,
    make('div', { class: 'row' }, make('button', { type: 'submit', text: button }), make('button', { type: 'button', class: 'quiet', text: 'Cancel', onclick: () => dialog.close() })));
    const before = document.activeElement;
    dialog.replaceChildren(form);
    dialog.addEventListener('close', () => {
      if (before?.isConnected) before.focus({ preventScroll: true });
      answered(answer);
    }, { once: true });
    dialog.showModal();
    box.focus();
  });
}

export { decide, undo, decideAll, question, say };
