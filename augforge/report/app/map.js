// Where the images lie: two principal components of the embeddings, and UMAP; a click opens the image.

function showMap() {
  const { map } = run;
  if (!map) return false;
  find('map-lead').textContent = mapLead(map);
  const state = { by: 'fate', off: new Set() };
  const plots = [mapPlot('First two principal components (PCA)', map.pca, ['first component', 'second component'], state)];
  if (map.umap) plots.push(mapPlot('UMAP', map.umap, ['', ''], state));
  const legend = make('div', { class: 'legend', role: 'group', 'aria-label': 'Shown on the map' });
  const redraw = () => plots.forEach((plot) => plot.redraw());
  const fill = () => legend.replaceChildren(...groupsOf(map.pca, state).map((group) => {
    const tick = make('input', { type: 'checkbox', checked: !state.off.has(group.key), onchange: () => { tick.checked ? state.off.delete(group.key) : state.off.add(group.key); redraw(); } });
    const sign = make('i', { class: 'dot', 'aria-hidden': 'true' });
    sign.style.background = group.fate ? `var(--${group.fate})` : group.tone;
    return make('label', { class: 'check' }, tick, sign, `${group.name} (${whole(group.places.length)})`);
  }));
  const colouring = chooser([['fate', 'by what became of them'], ['class', 'by class']], (value) => { state.by = value; state.off.clear(); fill(); redraw(); });
  colouring.setAttribute('aria-label', 'Colour of the points');
  fill();
  find('map-body').append(make('div', { class: 'row' }, make('span', { text: 'Colour' }), colouring), legend, make('div', { class: map.umap ? 'maps' : '' }, ...plots.map((plot) => plot.element)));
  return true;
}

// Which projections are shown, and what each of them keeps.
function mapLead({ model, explained: [first, second], pca, umap, without_umap: withoutUmap }) {
  const told = [`${whole(pca.rows.length)} of ${many(total, 'image')}, embedded by ${model}.`, `PCA: the two axes hold ${percent(first)} and ${percent(second)} of the variance.`];
  if (umap) {
    const part = umap.rows.length < pca.rows.length ? ` of ${whole(umap.rows.length)} of them, chosen by a hash` : '';
    told.push(`UMAP${part}: neighbours lie near each other; distances between groups, and their sizes, mean little.`);
  } else told.push(`There is no map by UMAP: ${withoutUmap}.`);
  return [...told, 'Click a point to see its image.'].join(' ');
}

function mapPlot(title, places, sides, state) {
  const box = chart(`${title} of the embeddings; the images themselves are in the gallery above`, () => scatter(places, sides, state));
  const [width, height] = [spanOf(places.x), spanOf(places.y)].map(([low, high]) => high - low);
  box.style.height = 'auto';
  box.style.aspectRatio = String(Math.min(2.2, Math.max(0.9, width / height)));
  box.style.maxHeight = '80vh';
  const redraw = () => {
    if (!box.chart) return;
    Object.assign(box.chart.data, scatter(places, sides, state).data);
    box.chart.update('none');
  };
  return { element: make('div', {}, make('h3', { text: title }), box), redraw };
}

// The range of a coordinate, with some room around it.
function spanOf(values) {
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const room = Math.max(1, (high - low) * 0.03);
  return [low - room, high + room];
}

function side(title, values) {
  const [min, max] = spanOf(values);
  return axis(title, { min, max, ticks: { display: false }, grid: { display: false } });
}

// The points from left to right: what Chart.js is given without parsing, it takes to be sorted when it looks for one.
function inOrder(map) {
  map.order ??= map.rows.map((_, place) => place).sort((a, b) => map.x[a] - map.x[b]);
  return map.order;
}

// The classes that have a colour of their own, the same on every map.
const MOST_HUES = 12;
let hued = null;
function largestClasses() {
  if (!hued) {
    const counts = new Map();
    for (const row of run.map.pca.rows) counts.set(String(samples.label.codes[row]), (counts.get(String(samples.label.codes[row])) ?? 0) + 1);
    hued = [...counts].sort((a, b) => b[1] - a[1]).slice(0, MOST_HUES).map(([key]) => key);
  }
  return hued;
}

function groupsOf(map, { by }) {
  const groups = new Map();
  inOrder(map).forEach((place) => {
    const row = map.rows[place];
    const key = by === 'fate' ? outcomes[row] : String(samples.label.codes[row]);
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(place);
  });
  if (by === 'fate') {
    return FATES.filter((fate) => groups.has(fate)).map((fate) => ({ key: fate, fate, name: FATE_NAMES[fate], places: groups.get(fate), tone: colour(fate) }));
  }
  const largest = largestClasses();
  const named = largest.filter((key) => groups.has(key)).map((key) => ({
    key, places: groups.get(key), name: key === '-1' ? 'no label' : samples.label.values[key], tone: `hsl(${(largest.indexOf(key) * 137.5) % 360} 62% 52%)`,
  }));
  const others = [...groups].filter(([key]) => !largest.includes(key)).flatMap(([, places]) => places).sort((a, b) => map.x[a] - map.x[b]);
  return others.length ? [...named, { key: 'others', places: others, name: 'other classes', tone: colour('unchosen') }] : named;
}

function scatter(map, [across, up], state) {
  const radius = map.rows.length > 20000 ? 1.2 : map.rows.length > 3000 ? 2 : 3.5;
  const datasets = groupsOf(map, state).filter((group) => !state.off.has(group.key)).reverse().map((group) => ({
    label: group.name, places: group.places, backgroundColor: group.tone, pointRadius: radius, pointHitRadius: 6, borderWidth: 0, pointBorderWidth: 0,
    data: group.places.map((place) => ({ x: map.x[place], y: map.y[place] })),
  }));
  const rowAt = (made, item) => map.rows[made.data.datasets[item.datasetIndex].places[item.index]];
  return {
    type: 'scatter', data: { datasets },
    options: {
      parsing: false, normalized: true, events: ['click'],
      onClick: (event, items, made) => {
        const hit = made.getElementsAtEventForMode(event, 'nearest', { intersect: true }, true);
        if (hit.length) openDetail(rowAt(made, hit[0]), hit.map((item) => rowAt(made, item)));
      },
      scales: { x: side(across, map.x), y: side(up, map.y) },
      plugins: { legend: { display: false }, tooltip: { enabled: false } },
    },
  };
}
