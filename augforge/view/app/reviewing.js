// The review: what was decided, what to look at next, where people disagree, and which thresholds the verdicts suggest.

import { complain, get } from './api.js';
import { axis, chart, colour } from './shared/charts.js';
import { asTable, field, figure, find, make, many, percent, table, tile, whole } from './shared/dom.js';
import { decideAll } from './decisions.js';
import { openId } from './detail.js';
import { goTo } from './grid.js';
import { shot, told } from './picture.js';
import { results } from './results.js';
import { narrow, on, world } from './state.js';

let tallies = null;
let openCut = () => {};
const useCut = (open) => { openCut = open; };

async function showReview(panel) {
  tallies = make('div', {});
  const count = make('input', { type: 'number', min: 1, max: 5000, value: 200 });
  const next = async () => {
    try {
      const { ids } = await get(`api/review/next?count=${Number(count.value) || 200}&by=doubt`);
      narrow('ids', ids);
      goTo(0);
    } catch (error) {
      complain(error);
    }
  };
  const precision = make('input', { type: 'number', min: 0.5, max: 1, step: 0.01, value: 0.95, onchange: () => suggestions().catch(complain) });
  const suggested = make('div', { class: 'stack' }), disputed = make('div', { class: 'stack' });
  const suggestions = async () => {
    const answer = await get(`api/review/suggestions?precision=${precision.value}`);
    suggested.replaceChildren(...(answer.suggestions.length ? answer.suggestions.map(suggestionOf) : [make('p', { class: 'lead', text: 'None yet: keep and drop some images that a filter has scored.' })]));
  };
  panel.append(tallies,
    make('h3', { text: 'What to look at next' }), make('div', { class: 'row' }, field('How many', count), make('button', { type: 'button', text: 'Show the most doubtful', onclick: next })),
    make('div', { class: 'row write' }, make('span', { text: 'All that the grid shows:' }), ...['keep', 'drop', 'mark'].map((verdict) => make('button', { type: 'button', text: verdict, onclick: () => allOf(verdict) }))),
    make('h3', { text: 'Where people disagree' }), disputed,
    make('h3', { text: 'Thresholds that the verdicts suggest' }), field('At a precision of at least', precision), suggested);
  await Promise.all([tally(), suggestions(), conflicts(disputed)]);
}

async function tally() {
  if (!tallies?.isConnected) return;
  const { file, reviewed, verdicts, marked, gone, changed, who } = await get('api/review');
  const counts = Object.entries(verdicts ?? {}).map(([name, count]) => tile(name, whole(count)));
  tallies.replaceChildren(make('dl', { class: 'tiles' }, tile('reviewed', whole(reviewed)), ...counts, tile('marked', whole(marked)), gone ? tile('gone', whole(gone), 'no longer in this run') : null, changed ? tile('changed', whole(changed), 'have other bytes now') : null),
    make('p', { class: 'lead', text: `Written to ${file}${who?.length ? ` by ${who.join(', ')}` : ''}. A stage “filter: review” applies it in the next run.` }));
}

function allOf(verdict) {
  const dialog = find('question');
  const { query, total } = results;
  const go = () => { dialog.close(); decideAll(query, verdict); };
  dialog.replaceChildren(make('h2', { id: 'question-title', text: `${verdict[0].toUpperCase()}${verdict.slice(1)} ${many(total, 'image')}?` }), make('p', { text: 'One line for each of them is written to the review.' }),
    make('div', { class: 'row' }, make('button', { type: 'button', text: `Yes, ${verdict} them`, onclick: go }), make('button', { type: 'button', class: 'quiet', text: 'Cancel', onclick: () => dialog.close() })));
  dialog.showModal();
}

async function conflicts(holder) {
  const { conflicts: found } = await get('api/review/conflicts');
  const lineOf = ({ who, verdict, label, text }) => make('li', { text: [who, verdict, label, text].filter(Boolean).join(' · ') });
  holder.replaceChildren(...(found.length ? found.slice(0, 100).map(({ sample, lines }) => make('div', { class: 'conflict' },
    sample ? make('button', { type: 'button', class: 'card', 'aria-label': told(sample), onclick: () => openId(sample.id) }, shot(sample, 80)) : make('span', { class: 'lead', text: `${lines[0]?.id?.slice(0, 12)}: gone` }), make('ul', {}, ...lines.map(lineOf)))) : [make('p', { class: 'lead', text: 'Nowhere.' })]));
}

const share = (value, ends) => (value === null || value === undefined ? '–' : `${percent(value)}${ends?.length ? ` [${percent(ends[0])}, ${percent(ends[1])}]` : ''}`);
const sharesOf = (cut) => [share(cut.precision, cut['precision-interval']), share(cut.recall, cut['recall-interval'])];

function suggestionOf(one) {
  const line = (label, tone, place, dash) => ({ label, borderColor: colour(tone), backgroundColor: colour(tone), borderDash: dash, borderWidth: 2, pointRadius: 0, data: one.curve.map((point) => ({ x: point[0], y: point[place] })).filter(({ y }) => y !== null) });
  const curve = () => chart(`Precision and recall of ${one.measure} at each cut, against the review`, () => ({
    type: 'line',
    data: { datasets: [line('precision', 'synthetic', 1, []), line('recall', 'filtered', 2, [6, 4])] },
    options: { parsing: false, scales: { x: { ...axis(`${one.option} of ${one.measure}`), type: 'linear', ticks: { maxTicksLimit: 7, callback: (value) => figure(value, 3) } }, y: { min: 0, max: 1, grid: { color: colour('line') } } } },
  }));
  const those = (title, ids) => (ids?.length ? make('button', { type: 'button', text: `${title} (${whole(ids.length)})`, onclick: () => narrow('ids', ids) }) : null);
  const { now, suggested } = one;
  const rows = [['as it is', '', ...sharesOf(now)], ...(suggested ? [['suggested', figure(suggested.at), ...sharesOf(suggested)]] : [])];
  const cuttable = suggested && world.run.stages.some((stage) => stage.title === one.stage && stage.why_no_cut === '');
  const parts = [
    make('h3', { text: `${one.measure} (${one.stage})` }), make('p', { text: `${whole(one.good)} of ${whole(one.reviewed)} reviewed images were kept by people.` }),
    make('div', { class: 'scroll', tabIndex: 0, role: 'group', 'aria-label': `Precision and recall of ${one.measure}` }, table('', [['rule', false], [one.option, true], ['precision', true], ['recall', true]], rows)),
    make('div', { class: 'row' }, cuttable ? make('button', { type: 'button', text: 'Try this cut', onclick: () => openCut({ stage: one.stage, rule: { option: one.option, value: suggested.at } }) }) : null,
      those('Kept, but people dropped them', one['wrongly-kept']), those('Dropped, but people kept them', one['wrongly-dropped'])),
  ];
  if (one.more !== null) parts.push(make('p', { class: 'lead', text: one.more ? `${many(one.more, 'more image')} to review for intervals of ±2 points.` : 'Enough is reviewed for intervals of ±2 points.' }));
  if (one.curve.length) parts.push(curve(), asTable('The curve as a table', () => table('', [['cut', true], ['precision', true], ['recall', true]], one.curve.map((point) => point.slice(0, 3).map((value) => figure(value))))));
  else parts.push(make('p', { class: 'lead', text: 'Nothing can be suggested while all that was reviewed was kept, or all dropped.' }));
  return make('div', { class: 'stack' }, ...parts);
}

on('decided', () => tally().catch(complain));

export { showReview, useCut };
