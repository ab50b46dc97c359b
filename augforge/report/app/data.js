// The data of the report: JSON in this file. Blocks of pictures and provenance are read when they are first needed.

const parsed = new Map();

function block(name) {
  if (!parsed.has(name)) {
    const element = document.getElementById(`data-${name}`);
    parsed.set(name, element ? JSON.parse(element.textContent) : null);
  }
  return parsed.get(name);
}

const run = block('overview');
const samples = block('samples');
const total = samples.id.length;
const PICTURES_IN_A_BLOCK = 250;

const text = (column, row) => (column.codes[row] < 0 ? null : column.values[column.codes[row]]);
const shared = (column, place) => ('one' in column ? column.one : column.each[place]);
const isKept = (row) => samples.by.codes[row] < 0;
const isReal = (row) => text(samples.origin, row) === 'real';
const labelOf = (row) => text(samples.label, row) ?? 'no label';
const hasSelector = samples.stage.values.some((title) => /^\d+-select-/.test(title));

// What became of a sample, as the charts tell it.
const FATES = ['real', 'synthetic', 'unchosen', 'filtered'];
const FATE_NAMES = {
  real: 'real, kept',
  synthetic: hasSelector ? 'synthetic, selected' : 'synthetic, kept',
  unchosen: 'not chosen',
  filtered: 'dropped',
};
function fateOf(row) {
  if (isKept(row)) return isReal(row) ? 'real' : 'synthetic';
  return /^\d+-select-/.test(text(samples.by, row)) ? 'unchosen' : 'filtered';
}
const outcomes = Array.from({ length: total }, (_, row) => fateOf(row));

function places(rows) {
  const found = new Map();
  rows.forEach((row, place) => found.set(row, place));
  return found;
}
const pictured = places(samples.pictured);
const masked = places(samples.masked);
const outlined = places(samples.drawn);
const accompanied = places(samples.beside);

function stored(where, prefix, row) {
  const place = where.get(row);
  if (place === undefined) return null;
  return block(`${prefix}-${Math.floor(place / PICTURES_IN_A_BLOCK)}`)[place % PICTURES_IN_A_BLOCK];
}
const webp = (data) => (data === null ? null : `data:image/webp;base64,${data}`);
const pictureOf = (row) => webp(stored(pictured, 'picture', row));
const maskOf = (row) => webp(stored(masked, 'mask', row));
const stripOf = (row) => JSON.parse(stored(accompanied, 'strip', row) ?? 'null');
const shapesOf = (row) => JSON.parse(stored(outlined, 'shape', row) ?? '[]');

function whyNoPicture(row) {
  if (samples.hidden[row] === 1) return 'flagged as unsafe: never shown';
  if (samples.hidden[row] === 2) return 'not judged for safety: not shown';
  return samples.missing[row] ?? 'not among the samples with a picture';
}

let children = null;
function childrenOf(row) {
  if (!children) {
    children = new Map();
    samples.parents.forEach((parents, child) => parents.forEach((parent) => {
      if (!children.has(parent)) children.set(parent, []);
      children.get(parent).push(child);
    }));
  }
  return children.get(row) ?? [];
}

let traces = null;
function provenanceOf(row) {
  if (!traces) {
    traces = new Map();
    for (const group of block('details').groups) group.rows.forEach((one, place) => traces.set(one, [group, place]));
  }
  if (!traces.has(row)) return null;
  const [group, place] = traces.get(row);
  const resolved = (columns) => Object.entries(columns).map(([name, column]) => [name, shared(column, place)]);
  return {
    facts: new Map(resolved(group.facts)),
    sampled_params: resolved(group.sampled_params),
    seed: group.seed ? shared(group.seed, place) : null,
    generation_config: group.generation_config,
  };
}
