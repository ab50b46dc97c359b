// Two runs beside each other: counts, scores, what moved; a number leads to the samples.

import { complain, get, post } from './api.js';
import { axis, chart, colour } from './shared/charts.js';
import { asTable, figure, make, table, whole } from './shared/dom.js';
import { besideInDialog } from './beside.js';
import { say } from './decisions.js';
import { state as grid } from './grid.js';
import { address, shot } from './picture.js';
import { fetched } from './results.js';
import { narrow } from './state.js';

const SHOWN = 60;
const KINDS = { 'only-here': 'only here', 'only-there': 'only in the other', 'kept-here': 'kept here, not there', 'kept-there': 'kept there, not here', changed: 'other picture', relabelled: 'other label' };

async function showCompare(panel) {
  const told = await get('api/compare');
  const names = [told.a, told.b];
  const others = make('div', {});
  const show = (kind) => (kind === 'only-there' ? onlyThere(others, names[1]).catch(complain) : narrow('compare', [kind]));
  const kinds = Object.entries(told.moved).map(([kind, count]) => make('button', { type: 'button', disabled: !count, text: `${KINDS[kind] ?? kind} (${whole(count)})`, onclick: () => show(kind) }));
  const both = make('button', { type: 'button', text: 'The image with the focus, in both', onclick: async () => {
    const row = await fetched(grid.current);
    if (row && !row.hidden) besideInDialog('The same id in both runs', [names[1], address('image', row.id, 1024, 'b/')], [names[0], address('image', row.id, 1024)]);
    else say('There is no picture of it to compare.');
  } });
  panel.append(
    make('div', { class: 'scroll', tabIndex: 0, role: 'group', 'aria-label': 'How many' }, table('', [['number of', false], [`here: ${told.a}`, true], [`there: ${told.b}`, true]], [['samples', ...told.rows.map(whole)], ['kept', ...told.kept.map(whole)]])),
    make('div', { class: 'row', role: 'group', 'aria-label': 'What moved' }, ...kinds), make('div', { class: 'row' }, both), others,
    asTable('Class by class', () => table('Kept', [['class', false], ['here', true], ['there', true]], told.counts.map((one) => [one.label ?? 'no label', whole(one.a), whole(one.b)]))),
    ...told.histograms.map((histogram) => histogramOf(histogram, names)));
}

// The grid is of this run; what only the other one has is shown here.
async function onlyThere(holder, name) {
  const { query, total } = await post('b/api/query', { filters: { compare: ['only-here'] } });
  const { rows } = await get(`b/api/query/${query}/rows?offset=0&limit=${SHOWN}`);
  holder.replaceChildren(make('h3', { text: `Only in ${name}: ${rows.length < total ? `the first ${whole(rows.length)} of ${whole(total)}` : whole(total)}` }),
    make('ul', { class: 'group' }, ...rows.map((row) => make('li', { class: 'stack' }, shot(row, 130, { base: 'b/', decorative: false }), make('p', { class: 'card-label', text: row.label ?? 'no label' })))));
}

function histogramOf({ score, edges, a, b }, [here, there]) {
  const middle = (bin) => (edges[bin] + edges[bin + 1]) / 2;
  const line = (label, tone, values, dash) => ({ label, borderColor: colour(tone), backgroundColor: colour(tone), borderDash: dash, borderWidth: 2, pointRadius: 0, stepped: 'middle', data: values.map((count, bin) => ({ x: middle(bin), y: count })) });
  return make('div', {}, make('h3', { text: score }), chart(`Histogram of ${score} in both runs`, () => ({
    type: 'line',
    data: { datasets: [line(`here: ${here}`, 'real', a, []), line(`there: ${there}`, 'filtered', b, [6, 4])] },
    options: { parsing: false, scales: { x: { type: 'linear', min: edges[0], max: edges.at(-1), grid: { display: false }, ticks: { maxTicksLimit: 7, callback: (value) => figure(value, 3) } }, y: axis('images', { beginAtZero: true, ticks: { precision: 0 } }) } },
  })));
}

export { showCompare };
