// A histogram of each measure with a threshold to drag; what it would keep is counted over the scores themselves.

function showScores() {
  if (!run.measures.length) return false;
  find('scores-lead').textContent = 'Drag the line, or use the slider, to see what another threshold would keep of the images that have the score. '
    + 'Running the recipe again with it measures nothing anew.';
  const deciding = new Set(samples.reason.values.map((reason) => reason.split(': ')[0]));
  const ordered = [...run.measures].sort((a, b) => deciding.has(b.name) - deciding.has(a.name));
  ordered.forEach((measure) => find('scores-body').append(scorePanel(measure)));
  return true;
}

// What a threshold would drop, as the gallery shows it.
EXTRAS.cut = (name, cut, origin) => {
  const measure = run.measures.find((one) => one.name === name);
  return measure && { name: `${name}: would go at ${figure(cut)}`, test: (row) => goes(measure, samples.scores[name], { cut, origin }, row) };
};

function scorePanel(measure) {
  const scores = samples.scores[measure.name];
  const low = measure.edges[0], high = measure.edges.at(-1);
  const state = { cut: startingCut(measure, scores), origin: '' };
  const said = make('p', { class: 'verdict', 'aria-live': 'polite' });
  const byClass = make('div', { class: 'bars' });
  const rule = make('code');
  const slider = make('input', {
    type: 'range', class: 'threshold', min: low, max: high, step: 'any', value: state.cut,
    'aria-label': `Threshold of ${measure.name}`, oninput: () => move(Number(slider.value)),
  });
  slider.addEventListener('keydown', (event) => {
    const way = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[event.key];
    if (!way) return;
    event.preventDefault();
    move(Math.min(high, Math.max(low, state.cut + way * (high - low) / 200)));
  });
  const number = make('input', { type: 'number', step: 'any', 'aria-label': `Threshold of ${measure.name} as a number`, onchange: () => move(Number(number.value)) });
  const plot = chart(`Histogram of ${measure.name}, stacked by what became of the images`, () => histogram(measure, scores, state), (made) => align(made, slider));
  plot.classList.add('drag');
  dragging(plot, (value) => move(Math.min(high, Math.max(low, value))));

  function move(value) {
    state.cut = value;
    slider.value = value;
    number.value = Number(value.toPrecision(5));
    slider.setAttribute('aria-valuetext', figure(value));
    plot.chart?.update('none');
    tell(measure, scores, state, said, byClass, rule);
  }
  const origins = [['', 'all images'], ...samples.origin.values.map((one) => [one, `${one} images`])];
  const controls = make('div', { class: 'row' },
    chooser(origins, (value) => { state.origin = value; plot.chart && Object.assign(plot.chart.data, histogram(measure, scores, state).data); move(state.cut); }),
    number,
    make('button', { type: 'button', text: 'Show what would go', onclick: () => showOnly(['cut', measure.name, state.cut, state.origin]) }));
  controls.firstChild.setAttribute('aria-label', 'Which images');
  const cuts = asTable('What the usual rules would keep', () => cutTable(measure));
  const panel = make('div', { class: 'panel' }, make('h3', { text: `${measure.name} (${measure.lower_is_better ? 'less' : 'more'} is better)` }),
    make('div', { class: 'split' }, make('div', {}, plot, slider), make('div', { class: 'stack' }, controls, said, rule, byClass, cuts)));
  move(state.cut);
  return panel;
}

// Where the filter of this measure has cut, as far as one number says it: the worst score that it let pass. Where the
// measure has decided nothing, where the default would cut: `outliers: 3.5`.
function startingCut(measure, scores) {
  let cut = null;
  const went = samples.reason.values.map((reason) => reason.startsWith(`${measure.name}: `));
  if (!went.includes(true)) return measure.cuts.find(({ option, value }) => option === 'outliers' && value === 3.5)?.bound ?? measure.edges[0];
  for (let row = 0; row < total; row += 1) {
    if (scores[row] === null || went[samples.reason.codes[row]]) continue;
    if (cut === null || (measure.lower_is_better ? scores[row] > cut : scores[row] < cut)) cut = scores[row];
  }
  return cut ?? measure.edges[0];
}

const looksAt = (scores, state, row) => scores[row] !== null && (!state.origin || text(samples.origin, row) === state.origin);
const goes = (measure, scores, state, row) => looksAt(scores, state, row) && !stays(measure, state.cut, scores[row]);

function histogram(measure, scores, state) {
  const bins = measure.edges.length - 1;
  const low = measure.edges[0], width = (measure.edges.at(-1) - low) / bins || 1;
  const counts = Object.fromEntries(FATES.map((fate) => [fate, new Array(bins).fill(0)]));
  for (let row = 0; row < total; row += 1) {
    if (!looksAt(scores, state, row)) continue;
    counts[outcomes[row]][Math.min(bins - 1, Math.max(0, Math.floor((scores[row] - low) / width)))] += 1;
  }
  const datasets = FATES.filter((fate) => counts[fate].some(Boolean)).map((fate) => ({
    label: FATE_NAMES[fate], backgroundColor: colour(fate), barPercentage: 1, categoryPercentage: 0.94,
    data: counts[fate].map((count, bin) => ({ x: low + (bin + 0.5) * width, y: count })),
  }));
  return {
    type: 'bar', data: { datasets },
    options: {
      parsing: false,
      scales: {
        x: { type: 'linear', stacked: true, offset: false, min: low, max: low + bins * width, grid: { display: false }, ticks: { maxTicksLimit: 8, callback: (value) => figure(value, 3) } },
        y: axis('images', { stacked: true, beginAtZero: true, ticks: { precision: 0 } }),
      },
      interaction: { mode: 'index', intersect: false },
      plugins: { tooltip: { callbacks: { title: (items) => `about ${figure(items[0].parsed.x)}` } } },
    },
    plugins: [{ id: 'threshold', afterDatasetsDraw: (made) => drawCut(made, measure, state.cut) }],
  };
}

function tell(measure, scores, state, said, byClass, rule) {
  const of = new Map();
  let stay = 0, all = 0;
  for (let row = 0; row < total; row += 1) {
    if (!looksAt(scores, state, row)) continue;
    const code = samples.label.codes[row], here = stays(measure, state.cut, scores[row]);
    const count = of.get(code) ?? [0, 0];
    of.set(code, [count[0] + here, count[1] + 1]);
    stay += here;
    all += 1;
  }
  said.replaceChildren(make('strong', { text: whole(stay) }), ` of ${whole(all)} stay (${percent(all ? stay / all : 0)}), ${whole(all - stay)} go`);
  rule.textContent = `${measure.lower_is_better ? 'max' : 'min'}: ${figure(state.cut, 5)}`;
  const least = [...of].sort((a, b) => a[1][0] / a[1][1] - b[1][0] / b[1][1]).slice(0, 60);
  byClass.replaceChildren(...least.flatMap(([code, [kept, count]]) => {
    const fill = make('div', { class: 'fill' });
    fill.style.width = `${100 * kept / count}%`;
    const who = code < 0 ? 'no label' : samples.label.values[code];
    return [make('span', { class: 'who', text: who, title: who }), make('div', { class: 'track' }, fill), make('span', { class: 'number', text: `${whole(kept)} / ${whole(count)}` })];
  }));
  byClass.tabIndex = least.length > 8 ? 0 : -1;
}

function cutTable(measure) {
  const rows = measure.cuts.map((cut) => [`${cut.option}: ${figure(cut.value)}`, whole(cut.kept), whole(cut.kept_by_class), cut.bound === null ? '–' : figure(cut.bound)]);
  return table(`Of ${whole(measure.count)} images that have the score`, [['rule', false], ['keeps over all', true], ['class by class', true], ['worst kept', true]], rows);
}
