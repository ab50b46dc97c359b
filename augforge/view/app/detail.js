// One sample, closely: its picture with what is drawn over it, its life, its relatives, and what was decided.

import { complain, get } from './api.js';
import { beside } from './beside.js';
import { asTable, dot, figure, find, make, whole } from './shared/dom.js';
import { facts, mono, plain } from './shared/facts.js';
import { shapesOver } from './shared/shapes.js';
import { goTo } from './grid.js';
import { about, address, badges, fateText, shot } from './picture.js';
import { fetched, positionOf, results } from './results.js';
import { similarTo } from './search.js';
import { OUTCOME_FATES, narrow, on, world } from './state.js';

const dialog = find('detail');
let current = null; // the sample that is open
let position = null; // where it is among what was found, null if it is not
let opening = 0;
let loading = false; // a key that is pressed before the next sample is in sight must not be about it, nor about the last
let drawn = true;

async function openId(id, where = null) {
  const mine = opening += 1;
  loading = true;
  try {
    const sample = await get(`api/sample/${encodeURIComponent(id)}`);
    if (mine !== opening) return;
    current = sample;
    position = where ?? await positionOf(sample.id);
    if (mine === opening) fill();
  } catch (error) {
    complain(error);
  } finally {
    if (mine === opening) loading = false;
  }
}

async function openAt(where) {
  loading = true;
  const row = await fetched(where).catch(complain);
  if (row) await openId(row.id, where);
  else loading = false;
}

function step(by) {
  if (position === null) return;
  const there = position + by;
  if (there >= 0 && there < results.total) openAt(there);
}

function fill() {
  find('detail-title').textContent = `${current.label ?? 'no label'}, ${current.origin}`;
  find('previous').disabled = position === null || position <= 0;
  find('following').disabled = position === null || position >= results.total - 1;
  const left = make('div', { class: 'stack' }, bigPicture(), shapesSwitch(), deeds(), family('Parents', current.parents ?? [], current.parents?.length), family('Children', current.children ?? [], current.children_total));
  const right = make('div', {}, ...story().filter(Boolean));
  const pair = current.parents?.length && !current.hidden ? comparison() : null;
  const had = dialog.contains(document.activeElement) && document.activeElement.id;
  find('detail-body').replaceChildren(...[make('div', { class: 'sheet' }, left, right), pair].filter(Boolean));
  if (!dialog.open) {
    dialog.showModal();
    find('close').focus(); // Enter opens it, Enter closes it
  }
  dialog.scrollTop = 0;
  if (had) find(had)?.focus();
}

function bigPicture() {
  const box = shot({ ...current, shapes: null }, 1024, { size: 'large', decorative: false, kind: 'image' });
  box.classList.toggle('no-shapes', !drawn);
  if (current.hidden) return box;
  for (const name of Object.keys(current.pictures ?? {})) {
    if (name === 'mask' || name === 'instances') box.append(make('img', { class: 'over', alt: '', src: address(`picture/${encodeURIComponent(current.id)}`, name, 1024) }));
  }
  if (current.shapes?.length) box.append(shapesOver(current.width, current.height, current.shapes));
  box.style.aspectRatio = `${current.width} / ${current.height}`;
  return box;
}

function shapesSwitch() {
  if (!current.shapes?.length && !Object.keys(current.pictures ?? {}).length) return null;
  const tick = make('input', { type: 'checkbox', checked: drawn, id: 'drawn', onchange: () => showDrawn(tick.checked) });
  return make('label', { class: 'check' }, tick, 'annotations');
}

function showDrawn(wish) {
  drawn = wish;
  dialog.querySelector('.shot.large')?.classList.toggle('no-shapes', !drawn);
  if (find('drawn')) find('drawn').checked = drawn;
}
const toggleDrawn = () => showDrawn(!drawn);

// The same as the keys do, for the mouse.
function deeds() {
  const press = (key) => () => document.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
  const button = (id, text, key) => make('button', { type: 'button', id: `deed-${id}`, onclick: press(key) }, text, ' ', make('kbd', { text: key }));
  const writes = [['keep', 'Keep', 'k'], ['drop', 'Drop', 'd'], ['relabel', 'Relabel', 'r'], ['mark', 'Mark', 'm'], ['note', 'Note', 'n'], ['undo', 'Undo', 'u']];
  return make('div', { class: 'stack' }, badges(current),
    make('div', { class: 'row write' }, ...writes.map((one) => button(...one))),
    make('div', { class: 'row' }, world.search.image ? make('button', { type: 'button', id: 'deed-similar', onclick: () => { dialog.close(); similarTo(current); } }, 'Similar', ' ', make('kbd', { text: 's' })) : null,
      current.group === null || current.group === undefined ? null : make('span', { class: 'lead', text: 'one of a group of near-duplicates' })));
}

function family(title, rows, count) {
  if (!rows.length) return null;
  const shots = rows.slice(0, 12).map((row) => make('button', { type: 'button', 'aria-label': `${title}: ${about(row)}, ${fateText(row)}`, onclick: () => openId(row.id) }, shot(row, 44, { size: 'small' })));
  const all = count > 12 ? make('button', { type: 'button', class: 'quiet', text: `All ${whole(count)}`, onclick: () => { dialog.close(); narrow(title.toLowerCase(), current.id); } }) : null;
  return make('div', {}, make('h3', { text: title }), make('div', { class: 'kin' }, ...shots), all);
}

function comparison() {
  const parents = current.parents.filter((row) => !row.hidden);
  if (!parents.length) return null;
  const holder = make('div', {});
  const show = (row) => holder.replaceChildren(beside(['parent', address('image', row.id, 1024)], ['this one', address('image', current.id, 1024)]));
  const choice = parents.length > 1 ? make('div', { class: 'row', role: 'group', 'aria-label': 'With which parent' },
    ...parents.slice(0, 6).map((row, number) => make('button', { type: 'button', text: `parent ${number + 1}`, onclick: () => show(row) }))) : null;
  show(parents[0]);
  return make('div', { class: 'stack' }, make('h3', { text: 'Beside its parent' }), choice, holder);
}

function story() {
  const one = current;
  const fate = make('span', { class: 'fate' }, dot(OUTCOME_FATES[one.outcome]), make('span', { text: fateText(one) }));
  const told = one.annotations_told ?? {};
  const parts = [facts([
    ['Fate', fate], ['Id', mono(one.id)], ['Made by', one.stage], ['File', one.source ?? one.file], ['Split', one.split], ['Caption', one.caption],
    ...Object.entries(told), ['Label by', one.labelled_by], ['Note', one.note], ['Size', `${whole(one.width)} × ${whole(one.height)} px`],
    ['Weight', one.weight === 1 ? null : figure(one.weight)], ['SHA-256', one.digest ? mono(one.digest) : null],
  ])];
  const scores = Object.entries(one.scores ?? {}).filter(([, value]) => value !== null);
  if (scores.length) parts.push(make('h3', { text: 'Scores' }), facts(scores.map(([name, value]) => [name, figure(value)])));
  if (one.decisions?.length) parts.push(make('h3', { text: 'Decided' }), facts(one.decisions.map((line) => [line.verdict, [line.who, line.when?.slice(0, 16).replace('T', ' '), line.label, line.text].filter(Boolean).join(' · ')])));
  for (const note of one.review_notes ?? []) parts.push(make('p', { class: 'lead', text: note }));
  const near = (one.nearest ?? []).filter(({ id }) => id);
  if (near.length) parts.push(make('h3', { text: 'Nearest' }), make('ul', {}, ...near.map(({ id, relation, similarity, stage }) => make('li', {}, make('button', { type: 'button', class: 'link', text: id.slice(0, 12), onclick: () => openId(id) }), ` ${relation ?? ''} ${similarity === null || similarity === undefined ? '' : figure(similarity)} (${stage})`))));
  if (one.generation_config) parts.push(...making(one));
  for (const [title, judged] of Object.entries(one.judged ?? {})) if (judged && Object.keys(judged).length) parts.push(make('h3', { text: title }), facts(Object.entries(judged).map(([name, value]) => [name, value === null ? null : plain(value)])));
  return parts;
}

// Seed and sampled parameters, and what else decided how it looks, folded.
function making({ generation_config: { generator, model, ...options }, sampled_params: params, seed }) {
  const told = [['generator', generator], ['model', model?.name ?? model], ['seed', seed], ...Object.entries(params ?? {})];
  const listed = (pairs) => facts(pairs.filter(([, value]) => value !== null && value !== undefined && value !== '').map(([name, value]) => [name, plain(value)]));
  return [make('h3', { text: 'How it was made' }), listed(told), asTable('Every option, versions, and the machine', () => listed(Object.entries(options)))];
}

function prepareDetail() {
  find('close').addEventListener('click', () => dialog.close());
  find('previous').addEventListener('click', () => step(-1));
  find('following').addEventListener('click', () => step(1));
  dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener('close', () => {
    opening += 1;
    current = null;
    if (position !== null) goTo(position);
  });
  on('open', openAt);
  on('decided', ({ ids }) => { if (current && !loading && (!ids || ids.includes(current.id))) openId(current.id, position); });
}

const opened = { get loading() { return dialog.open && loading; }, get id() { return dialog.open ? current?.id : null; }, get sample() { return dialog.open ? current : null; } };

export { opened, openId, step, toggleDrawn, prepareDetail };
