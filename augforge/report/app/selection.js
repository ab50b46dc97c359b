// What the selections are worth: their curves and certificates.

function showSelection() {
  const certified = Object.entries(run.certificates);
  certified.forEach(([title, facts]) => find('selection-body').append(certificatePanel(title, facts)));
  return certified.length > 0;
}

// Each way of choosing by how much more it reaches than random does: the curves themselves lie on each other.
function advantages(facts, ways) {
  const { curve } = facts;
  const more = (values) => curve.budget.map((budget, place) => ({ x: budget, y: values[place] - (curve.random?.[place] ?? 0) }));
  const lines = ways.map(([name, tone, dash]) => ({
    label: name, borderColor: colour(tone), backgroundColor: colour(tone), borderDash: dash, borderWidth: 2.2, pointRadius: 0, pointHitRadius: 8, pointStyle: 'line',
    data: more(curve[name]),
  }));
  const bound = { x: curve.budget.at(-1), y: facts['upper-bound'] - (curve.random?.at(-1) ?? 0) };
  return [...lines, { label: 'no choice is over', borderColor: colour('soft'), backgroundColor: colour('soft'), showLine: false, pointStyle: 'triangle', pointRadius: 6, pointRotation: 180, clip: 12, data: [bound] }];
}

function certificatePanel(title, facts) {
  const { curve } = facts;
  const ways = [['chosen', 'synthetic', []], ['k-center', 'real', [7, 4]], ['random', 'filtered', [2, 3]]].filter(([name]) => curve[name]);
  const configure = () => ({
    type: 'line',
    data: { datasets: advantages(facts, ways) },
    options: {
      interaction: { mode: 'index', intersect: false },
      layout: { padding: { right: 12 } },
      plugins: {
        legend: { labels: { usePointStyle: true, pointStyleWidth: 28 } },
        tooltip: { callbacks: { title: (items) => many(items[0].parsed.x, 'image'), label: (item) => `${item.dataset.label}: ${item.parsed.y >= 0 ? '+' : '−'}${figure(Math.abs(item.parsed.y))}` } },
      },
      scales: { x: axis('images chosen', { type: 'logarithmic', min: curve.budget[0], max: curve.budget.at(-1), ticks: { maxTicksLimit: 8, callback: (value) => whole(value) } }), y: axis(curve.random ? 'objective over that of random' : 'objective', { beginAtZero: true, ticks: { maxTicksLimit: 6 } }) },
    },
  });
  const rows = curve.budget.map((budget, place) => [whole(budget), ...ways.map(([name]) => figure(curve[name][place], 6))]);
  const seen = facts.rows < facts.of ? `${whole(facts.rows)} of ${whole(facts.of)} rows were looked at; the bound holds with a probability of at least ${facts.confidence}.` : 'The bound holds for every choice with the same class budgets.';
  const told = make('div', { class: 'stack' },
    make('p', { class: 'verdict' }, 'Within ', make('strong', { text: `${(100 * facts.gap).toFixed(2)} %` }), ' of the best choice there can be'),
    table('Objective of as many images', [['choice', false], ['objective', true]], [
      ['chosen', figure(facts.objective, 6)], ['k-center', figure(facts['k-center'], 6)], ['random', figure(facts.random, 6)], ['no choice is over', figure(facts['upper-bound'], 6)]]),
    make('p', { class: 'lead', text: seen }), ...facts.notes.map((note) => make('p', { class: 'lead', text: note })),
    asTable('The curve as a table', () => table('', [['images', true], ...ways.map(([name]) => [name, true])], rows)));
  return make('div', { class: 'panel' }, make('h3', { text: title }),
    make('div', { class: 'split' }, chart(`How much more ${title} reaches than a random choice of as many images, beside k-center`, configure), told));
}
