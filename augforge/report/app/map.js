// Where the images lie: two principal components of the embeddings; a click opens the image.

function showMap() {
  const { map } = run;
  if (!map) {
    find('map-lead').textContent = 'There is no map: no embeddings of the images are stored in this run (a filter or selector that looks at embeddings stores them).';
    return;
  }
  const [first, second] = map.explained;
  find('map-lead').textContent = `${whole(map.rows.length)} of ${many(total, 'image')}, embedded by ${map.model}; the two axes hold ${percent(first)} and ${percent(second)} of the variance. Click a point to see its image.`;
  const state = { by: 'fate', off: new Set() };
  const box = chart('Map of the embeddings; the images themselves are in the gallery above', () => scatter(map, state));
  const [width, height] = [spanOf(map.x), spanOf(map.y)].map(([low, high]) => high - low);
  box.style.height = 'auto';
  box.style.aspectRatio = String(Math.min(2.2, Math.max(0.9, width / height)));
  box.style.maxHeight = '80vh';
  const legend = make('div', { class: 'legend', role: 'group', 'aria-label': 'Shown on the map' });
  const redraw = () => {
    if (!box.chart) return;
    Object.assign(box.chart.data, scatter(map, state).data);
    box.chart.update('none');
  };
  const fill = () => legend.replaceChildren(...groupsOf(map, state).map((group) => {
    const tick = make('input', { type: 'checkbox', checked: !state.off.has(group.key), onchange: () => { tick.checked ? state.off.delete(group.key) : state.off.add(group.key); redraw(); } });
    const sign = make('i', { class: 'dot', 'aria-hidden': 'true' });
    sign.style.background = group.fate ? `var(--${group.fate})` : group.tone;
    return make('label', { class: 'check' }, tick, sign, `${group.name} (${whole(group.places.length)})`);
  }));
  const colouring = chooser([['fate', 'by what became of them'], ['class', 'by class']], (value) => { state.by = value; state.off.clear(); fill(); redraw(); });
  colouring.setAttribute('aria-label', 'Colour of the points');
  fill();
  find('map-body').append(make('div', { class: 'row' }, make('span', { text: 'Colour' }), colouring), legend, box);
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

const MOST_HUES = 12;
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
  const ordered = [...groups].sort((a, b) => b[1].length - a[1].length);
  const named = ordered.slice(0, MOST_HUES).map(([key, places], number) => ({
    key, places, name: key === '-1' ? 'no label' : samples.label.values[key], tone: `hsl(${(number * 137.5) % 360} 62% 52%)`,
  }));
  const others = ordered.slice(MOST_HUES).flatMap(([, places]) => places).sort((a, b) => map.x[a] - map.x[b]);
  return others.length ? [...named, { key: 'others', places: others, name: 'other classes', tone: colour('unchosen') }] : named;
}

function scatter(map, state) {
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
      scales: { x: side('first component', map.x), y: side('second component', map.y) },
      plugins: { legend: { display: false }, tooltip: { enabled: false } },
    },
  };
}
