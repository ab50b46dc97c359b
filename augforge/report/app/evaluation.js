// What training on each arm gave, with 95 % intervals.

// No interval where there is a single seed, or where it would have no width: there all seeds gave the same.
const ends = (score, told) => (score.low === null || score.high === null || told(score.low) === told(score.high) ? '' : ` [${told(score.low)}, ${told(score.high)}]`);
const called = (measure) => run.evaluation.measures[measure];
const measured = (arm, name) => (run.evaluation.nats.includes(name) ? figure(arm.scores[name].mean) : interval(arm.scores[name]));
const hundredth = (share) => (100 * share).toFixed(1);
const interval = (score) => (score ? `${hundredth(score.mean)}${ends(score, hundredth)}` : '–');
const signed = (share) => `${share > 0 ? '+' : share < 0 ? '−' : ''}${Math.abs(100 * share).toFixed(1)}`;

function showEvaluation() {
  const { evaluation } = run;
  if (!evaluation) return false;
  find('evaluation-lead').textContent = `Tested on ${evaluation.test}${testSet(evaluation.tested)} with the learner ${evaluation.learner}, ${many(evaluation.seeds, 'seed')}; means and 95 % intervals in percent, paired against ${evaluation.arms[0]?.name ?? 'the first arm'}.${allAlike(evaluation)}`;
  if (evaluation.caution) find('evaluation-body').append(make('p', { class: 'note', text: evaluation.caution }));
  const runs = evaluation.runs.length ? evaluation.runs : [evaluation];
  runs.forEach((one) => find('evaluation-body').append(comparison(one)));
  return true;
}

// What to think of numbers without an interval, where there are some though there are several seeds.
function allAlike(evaluation) {
  const scores = evaluation.arms.flatMap((arm) => Object.entries(arm.scores)).filter(([name]) => !evaluation.nats.includes(name));
  const none = evaluation.seeds > 1 && scores.some(([, score]) => !ends(score, hundredth));
  return none ? ' Where there is no interval every seed gave the same, which says nothing of other test images.' : '';
}

// How many test images there were, and of which splits; an older file does not say.
function testSet(tested) {
  if (!tested) return '';
  const splits = Object.entries(tested.splits).map(([name, count]) => `${name} ${whole(count)}`);
  return ` (${[many(tested.images, 'image'), ...splits].join(', ')})`;
}

function comparison(one) {
  const measures = Object.keys(run.evaluation.measures).filter((name) => one.arms.every((arm) => arm.scores[name]));
  const subsampled = one.shots !== null ? `${many(one.shots, 'real image')} per class` : one.imbalance !== null ? `Long tail of ${one.imbalance}` : '';
  const title = subsampled ? make('h3', { text: subsampled }) : null;
  const box = chart(`${capital(called(measures[0]))} of each arm with its 95 % interval${title ? `, ${title.textContent}` : ''}`, () => arms(one, measures));
  box.style.height = `${90 + 46 * one.arms.length}px`;
  return make('div', { class: title ? 'panel' : '' }, title, box, make('div', { class: 'scroll', tabIndex: 0 }, armTable(one, measures)), ...evaluationTables(one));
}

const capital = (text) => text[0].toUpperCase() + text.slice(1);

function armTable(evaluation, measures) {
  const columns = [['arm', false], ['images', true], ...measures.map((name) => [called(name), true]), ['difference', true], ['verdict', false]];
  return table('', columns, evaluation.arms.map((arm) => {
    const { difference } = arm;
    const word = difference ? make('span', { class: `badge ${difference.verdict === 'within noise' ? 'noise' : difference.verdict}`, text: difference.verdict }) : '';
    const by = difference ? `${signed(difference.mean)}${ends(difference, signed)}` : '';
    return [arm.name, whole(arm.images), ...measures.map((name) => measured(arm, name)), by, word];
  }));
}

function arms({ arms: rows }, measures) {
  const [first, second] = measures.filter((name) => !run.evaluation.nats.includes(name));
  const sets = second ? [[first, 'real', -0.13], [second, 'synthetic', 0.13]] : [[first, 'real', 0]];
  const datasets = sets.flatMap(([name, tone, by]) => {
    const common = { borderColor: colour(tone), backgroundColor: colour(tone) };
    const whiskers = rows.flatMap((arm, place) => [{ x: 100 * (arm.scores[name].low ?? arm.scores[name].mean), y: place + by }, { x: 100 * (arm.scores[name].high ?? arm.scores[name].mean), y: place + by }, { x: null, y: null }]);
    return [
      { ...common, label: called(name), data: rows.map((arm, place) => ({ x: 100 * arm.scores[name].mean, y: place + by })), pointRadius: 5.5, showLine: false },
      { ...common, label: `${called(name)}, interval`, data: whiskers, showLine: true, spanGaps: false, borderWidth: 2.5, pointRadius: 5, pointStyle: 'line', pointRotation: 90, pointBorderWidth: 2.5, tooltip: false },
    ];
  });
  return {
    type: 'scatter', data: { datasets },
    options: {
      scales: {
        x: axis('percent'),
        y: bare({ reverse: true, min: -0.6, max: rows.length - 0.4, afterBuildTicks: (scale) => { scale.ticks = rows.map((_, value) => ({ value })); }, ticks: { callback: (value) => rows[value]?.name ?? '' } }),
      },
      plugins: {
        legend: { labels: { filter: (item) => !item.text.endsWith('interval'), usePointStyle: true, boxHeight: 7 } },
        tooltip: { filter: (item) => item.datasetIndex % 2 === 0, callbacks: { label: (item) => `${rows[item.dataIndex].name}: ${interval(rows[item.dataIndex].scores[sets[item.datasetIndex / 2][0]])}` } },
      },
    },
  };
}

function evaluationTables(evaluation) {
  const made = [];
  const names = evaluation.arms.map((arm) => arm.name);
  if (evaluation.arms.some((arm) => Object.keys(arm['per-class']).length)) {
    const classes = [...evaluation.classes].sort((a, b) => (evaluation.counts[a] ?? 0) - (evaluation.counts[b] ?? 0));
    made.push(asTable('Class by class, rare ones first', () => table('Percent, with the interval', [['class', false], ['real images', true], ...names.map((name) => [name, true])],
      classes.map((label) => [label, figure(evaluation.counts[label]), ...evaluation.arms.map((arm) => interval(arm['per-class'][label]))]))));
  }
  const metrics = Object.entries(evaluation.metrics).flatMap(([name, value]) => (
    value && typeof value === 'object' ? Object.entries(value).map(([arm, one]) => [`${name}, ${arm}`, one]) : [[name, value]]));
  if (metrics.length) made.push(asTable('The dataset in numbers', () => table('', [['metric', false], ['value', true]], metrics.map(([name, value]) => [name, figure(value)]))));
  const shifts = Object.entries(evaluation.shifts);
  if (shifts.length) {
    made.push(asTable('Under shift', () => table('Mean in percent by family of shifts', [['family', false], ...names.map((name) => [name, true])],
      shifts.map(([family, means]) => [family, ...names.map((name) => (name in means ? (100 * means[name]).toFixed(1) : '–'))]))));
  }
  return made;
}
