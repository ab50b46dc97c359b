// What the selections are worth: their curves and certificates.

function showSelection() {
  const certified = Object.entries(run.certificates);
  if (!certified.length) {
    find('selection-body').append(make('p', { class: 'lead', text: hasSelector ? 'The selector of this run maximises nothing that could be certified.' : 'This run selects nothing.' }));
    return;
  }
  certified.forEach(([title, facts]) => find('selection-body').append(certificatePanel(title, facts)));
}

function certificatePanel(title, facts) {
  const { curve } = facts;
  const ways = [['chosen', 'synthetic', []], ['k-center', 'real', [7, 4]], ['random', 'filtered', [2, 3]]].filter(([name]) => curve[name]);
  const configure = () => ({
    type: 'line',
    data: {
      datasets: [...ways.map(([name, tone, dash]) => ({
        label: name, borderColor: colour(tone), backgroundColor: colour(tone), borderDash: dash, borderWidth: 2.2, pointRadius: 0, pointHitRadius: 8,
        data: curve.budget.map((budget, place) => ({ x: budget, y: curve[name][place] })),
      })), {
        label: 'upper bound at the whole budget', borderColor: colour('soft'), backgroundColor: colour('soft'), borderWidth: 1.2, pointRadius: 0,
        data: [{ x: curve.budget[0], y: facts['upper-bound'] }, { x: curve.budget.at(-1), y: facts['upper-bound'] }],
      }],
    },
    options: {
      interaction: { mode: 'index', intersect: false },
      plugins: { legend: { labels: { usePointStyle: true, pointStyle: 'line', pointStyleWidth: 28 } } },
      scales: { x: axis('images chosen', { type: 'logarithmic', min: curve.budget[0], max: curve.budget.at(-1), ticks: { maxTicksLimit: 10 } }), y: axis('objective', { beginAtZero: true }) },
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
    make('div', { class: 'split' }, chart(`Objective of ${title} against the number of images, beside random and k-center`, configure), told));
}
