// A threshold to drag: who would come and who would go, class by class, what the refill would cost, and the recipe.

import { complain, get, latest, post } from './api.js';
import { axis, chart, colour } from './shared/charts.js';
import { align, dragging, drawCut } from './shared/cut.js';
import { asTable, chooser, field, figure, make, many, table, whole } from './shared/dom.js';
import { saveButton } from './recipe.js';
import { asked, narrow, on, world } from './state.js';

const RULES = ['min', 'max', 'keep', 'outliers', 'mean-minus-std'];
const BINS = 60;
const CLASSES_SHOWN = 40;
let state = null; // of the view, while it is open

const cuttable = () => world.run.stages.filter((stage) => stage.why_no_cut === '');

async function showCut(panel, wanted = null) {
  const stages = cuttable();
  if (!stages.length) {
    const reasons = world.run.stages.filter((stage) => stage.why_no_cut && stage.verb === 'filter').map((stage) => `${stage.title}: ${stage.why_no_cut}`);
    panel.append(make('p', { class: 'lead', text: 'No filter of this run has a threshold that could be moved.' }), ...reasons.map((text) => make('p', { class: 'lead', text })));
    return;
  }
  const choice = chooser(stages.map(({ title }) => [title, title]), (title) => open(title).catch(complain));
  choice.value = wanted?.stage ?? stages[0].title;
  const body = make('div', { class: 'stack' });
  panel.append(field('Filter', choice), body);
  state = { body };
  await open(choice.value, wanted?.rule);
}

async function open(title, rule = null) {
  const stage = cuttable().find((one) => one.title === title);
  const { body } = state;
  const [cut, { query }] = await Promise.all([get(`api/cut?stage=${encodeURIComponent(title)}`), post('api/query', {})]);
  const histogram = await get(`api/query/${query}/histogram?score=${encodeURIComponent(cut.measure)}&bins=${BINS}`);
  if (state?.body !== body) return; // closed, or opened again, meanwhile
  const low = histogram.edges[0], high = histogram.edges.at(-1);
  const rules = Object.keys(cut.options).filter((name) => RULES.includes(name));
  const [[option, value]] = [...Object.entries(cut.rule ?? {}), [cut.lower_is_better ? 'max' : 'min', low]];
  state = { body, stage, cut, histogram, low, high, rules, rule: rule ?? { option, value }, wanted: 'go' };
  fill();
  ask();
}

function fill() {
  const { cut, rules, rule, body } = state;
  const ruleChoice = chooser(rules.map((name) => [name, name]), (option) => setRule(option, defaultOf(option)));
  ruleChoice.value = rule.option;
  const number = make('input', { type: 'number', step: 'any', value: shortened(rule.value), onchange: () => setRule(state.rule.option, Number(number.value)) });
  const slider = make('input', { type: 'range', class: 'threshold', min: state.low, max: state.high, step: 'any', value: placeOf(), 'data-arrows': '', 'aria-label': `Threshold of ${cut.measure}`, oninput: () => moveTo(Number(slider.value)) });
  slider.addEventListener('keydown', (event) => {
    const way = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[event.key];
    if (!way) return;
    event.preventDefault();
    moveTo(Math.min(state.high, Math.max(state.low, placeOf() + (way * (state.high - state.low)) / 200)));
  });
  const plot = chart(`Histogram of ${cut.measure}: kept and dropped`, bars, (made) => align(made, slider));
  plot.classList.add('drag');
  dragging(plot, (value) => moveTo(Math.min(state.high, Math.max(state.low, value))));
  const said = make('div', { class: 'stack', role: 'status' }), details = make('div', { class: 'stack' });
  Object.assign(state, { plot, slider, number, ruleChoice, said, details });
  const notes = cut.exact === false && cut.off ? [make('p', { class: 'note', text: `${many(cut.off, 'image')} would be judged otherwise than the run did even without a change: the preview is not exact.` })] : [];
  body.replaceChildren(plot, slider, make('div', { class: 'row' }, field('Rule', ruleChoice), field('Value', number)), ...notes, said, make('div', { class: 'row write' }, saveButton(() => [state.stage.title, options()])), details);
}

const shortened = (value) => (value === null || value === undefined ? '' : Number(Number(value).toPrecision(6)));
const isBound = (option) => option === 'min' || option === 'max';
const boundOption = () => (state.cut.lower_is_better ? 'max' : 'min');
const placeOf = () => (isBound(state.rule.option) && state.rule.value !== null ? state.rule.value : (state.cut.lower_is_better ? state.high : state.low));
const defaultOf = (option) => ({ keep: 0.8, outliers: 3.5, 'mean-minus-std': 1 })[option] ?? shortened(placeOf());
const options = () => ({ [state.rule.option]: state.rule.value });

function moveTo(value) {
  setRule(boundOption(), shortened(value));
}

function setRule(option, value) {
  if (!Number.isFinite(value)) return;
  state.rule = { option, value };
  state.ruleChoice.value = option;
  state.number.value = value;
  state.slider.value = placeOf();
  state.slider.setAttribute('aria-valuetext', `${option} ${figure(value)}`);
  state.plot.chart?.update('none');
  ask();
}

// One question at a time; of the places that the line passed meanwhile, only the last is asked.
const ask = latest(async () => {
  const mine = state;
  if (!mine) return;
  const answer = await post('api/cut', { stage: mine.stage.title, options: options() });
  if (state !== mine) return;
  mine.answer = answer;
  showPictures();
});

// Those that would go, or those that would come back: the wanted ones, or the others where there are none of them.
function showPictures() {
  const { answer, wanted } = state;
  const other = wanted === 'go' ? 'come' : 'go';
  const which = answer[wanted] || !answer[other] ? wanted : other;
  tell(answer, which);
  if (answer[which]) narrow('cut', { stage: state.stage.title, options: options(), which });
  else if (asked.filters.cut) narrow('cut', null);
}

function tell(answer, shown) {
  const { said, details } = state;
  const show = (which, text) => make('button', { type: 'button', disabled: !answer[which], 'aria-pressed': String(shown === which), text: `${text} (${whole(answer[which])})`, onclick: () => { state.wanted = which; showPictures(); } });
  said.replaceChildren(
    make('p', { class: 'verdict' }, make('strong', { text: whole(answer.stays) }), ` of ${whole(answer.seen)} stay; ${whole(answer.go)} more go than in the run (${whole(answer.go_kept)} of them are kept now), ${whole(answer.come)} come back.`),
    make('div', { class: 'row' }, show('go', 'Would go'), show('come', 'Would come back')));
  const classes = [...answer.classes].sort((a, b) => b.go + b.come - a.go - a.come).slice(0, CLASSES_SHOWN);
  const perClass = table('Class by class', [['class', false], ['was', true], ['stays', true], ['comes', true], ['goes', true]],
    classes.map((one) => [one.label ?? 'no label', whole(one.was), whole(one.stays), one.come ? `+${whole(one.come)}` : '', one.go ? `−${whole(one.go)}` : '']));
  details.replaceChildren(make('div', { class: 'scroll', tabIndex: 0, role: 'group', 'aria-label': 'Class by class' }, perClass), ...(answer.refill ?? []).map(refillOf), ...(answer.notes ?? []).map((text) => make('p', { class: 'lead', text })));
}

function refillOf({ stage, lost, tries, seconds, device, made, accepted, accepted_then: then, classes }) {
  const time = seconds === null || seconds === undefined ? '' : `, about ${duration(seconds)}${device ? ` on ${device}` : ''}`;
  return make('div', {}, make('h3', { text: `To fill up again: ${stage}` }),
    make('p', {}, lost ? `${many(lost, 'image')} fewer are accepted (${whole(accepted)} → ${whole(then)} of ${whole(made)} made): ${many(tries, 'more try', 'more tries')}${time}.` : 'Nothing that it made is lost.'),
    classes?.length ? asTable('Class by class', () => table('', [['class', false], ['lost', true], ['tries', true], ['time', true]], classes.map((one) => [one.label ?? 'no label', whole(one.lost), whole(one.tries), one.seconds ? duration(one.seconds) : '']))) : null);
}

function duration(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

function bars() {
  const { histogram: { edges, counts, kept }, cut } = state;
  const width = edges[1] - edges[0];
  const set = (label, tone, values) => ({ label, backgroundColor: colour(tone), barPercentage: 1, categoryPercentage: 0.94, data: values.map((count, bin) => ({ x: edges[bin] + width / 2, y: count })) });
  return {
    type: 'bar', data: { datasets: [set('kept', 'synthetic', kept), set('dropped', 'filtered', counts.map((count, bin) => count - kept[bin]))] },
    options: {
      parsing: false,
      scales: {
        x: { type: 'linear', stacked: true, offset: false, min: edges[0], max: edges.at(-1), grid: { display: false }, ticks: { maxTicksLimit: 7, callback: (value) => figure(value, 3) } },
        y: axis('images', { stacked: true, beginAtZero: true, ticks: { precision: 0 } }),
      },
      interaction: { mode: 'index', intersect: false },
    },
    plugins: [{ id: 'threshold', afterDatasetsDraw: (made) => { if (isBound(state?.rule.option)) drawCut(made, cut, placeOf()); } }],
  };
}

function closeCut() {
  state = null;
  if (asked.filters.cut) narrow('cut', null);
}

on('run', () => { state = null; });

export { showCut, closeCut };
