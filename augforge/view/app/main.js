// Put everything in its place: who asks, which run, which view.

import { complain, get, useToken } from './api.js';
import { showChips } from './chips.js';
import { showCompare } from './compare.js';
import { closeCut, showCut } from './cut.js';
import { prepareDetail } from './detail.js';
import { showDuplicates } from './duplicates.js';
import './filters.js';
import { watch } from './job.js';
import { TOOL_KEYS, prepareKeys } from './keys.js';
import { closeMap, showMap } from './map.js';
import { look } from './results.js';
import { showRun } from './recipe.js';
import { showReview, useCut } from './reviewing.js';
import { goTo } from './grid.js';
import { offerLikeness, prepareSearch, prepareSwitches } from './search.js';
import { find, make } from './shared/dom.js';
import { asked, changed, emit, on, openTool, readAddress, world } from './state.js';

const TOOLS = [
  ['images', 'Images', null], ['map', 'Map', showMap], ['duplicates', 'Duplicates', showDuplicates], ['cut', 'Thresholds', showCut],
  ['review', 'Review', showReview], ['run', 'Recipe', showRun], ['compare', 'Compare', showCompare],
];
const CLOSE = { map: closeMap, cut: closeCut };
let shown = 'images';
let given = null; // what the next view is opened with

const there = () => TOOLS.filter(([name]) => name !== 'compare' || world.session.compare);

function showTool(name, again = false) {
  if (name === shown && !again && name !== 'images' && !given) return;
  if (shown !== name) CLOSE[shown]?.();
  const [, title, show] = there().find(([one]) => one === name) ?? TOOLS[0];
  shown = show ? name : 'images';
  for (const button of find('tools').children) button.setAttribute('aria-pressed', String(button.dataset.tool === shown));
  const panel = find('panel');
  panel.hidden = !show;
  find('work').dataset.tool = shown;
  if (!show) {
    panel.replaceChildren();
    return;
  }
  const body = make('div', { class: 'panel-body' });
  panel.setAttribute('aria-label', title);
  panel.replaceChildren(make('div', { class: 'row between' }, make('h2', { text: title }), make('button', { type: 'button', class: 'quiet', text: 'Close', onclick: () => openTool('images') })), body);
  Promise.resolve(show(body, given)).catch(complain);
  given = null;
}

function prepareTools() {
  find('tools').replaceChildren(...there().map(([name, title], place) => {
    TOOL_KEYS[place + 1] = () => openTool(name);
    const button = make('button', { type: 'button', class: 'tool', text: title, onclick: () => openTool(name) });
    button.dataset.tool = name;
    return button;
  }));
}

function prepareFilters() {
  const button = find('filters-button');
  button.addEventListener('click', () => find('filters').classList.toggle('out'));
  new MutationObserver(() => button.setAttribute('aria-expanded', String(find('filters').classList.contains('out')))).observe(find('filters'), { attributes: true });
}

async function reread() {
  const run = await get('api/run');
  world.run = run;
  find('name').textContent = run.name;
  document.title = `${run.name} · augforge view`;
}

// When the first cards are there, for those who measure it.
function firstCards() {
  if (!performance.getEntriesByName('first-cards').length) requestAnimationFrame(() => performance.mark('first-cards'));
}

// What takes its time, and the first cards need not.
async function later() {
  watch(await get('api/job'));
  world.search = await get('api/search');
  offerLikeness();
}

async function begin() {
  readAddress();
  const [session] = await Promise.all([get('api/session'), reread()]);
  world.session = session;
  useToken(session.write_token);
  document.documentElement.dataset.readOnly = String(session.read_only);
  prepareTools();
  prepareFilters();
  prepareSearch();
  prepareSwitches();
  prepareDetail();
  prepareKeys();
  useCut((wanted) => { given = wanted; openTool('cut'); });
  on('tool', showTool);
  on('again', () => reread().then(() => { emit('run'); prepareSwitches(); showTool(shown, true); world.maps = null; return look(); }).catch(complain));
  find('skip').addEventListener('click', (event) => { event.preventDefault(); goTo(0); });
  addEventListener('hashchange', () => { readAddress(); changed(); showTool(world.tool); });
  if (asked.filters.cut) delete asked.filters.cut;
  showChips();
  find('said').textContent = session.read_only ? 'Read-only: nothing can be decided here. ? lists the keys.' : 'Keys: k keep, d drop, r relabel, u take back; ? lists all.';
  on('rows', firstCards);
  await look();
  showTool(world.tool);
  later().catch(complain);
  document.documentElement.dataset.ready = 'true';
}

begin().catch(complain);
