// What this page knows and shows: the run, what is asked of it, which view is open. Others listen to its changes.

const world = { session: null, run: null, search: { text: false, image: false, why_not: '' }, tool: 'images' };

// The body of a query, as the server takes it.
const asked = { filters: {}, search: '', like: null, sort: null };

const listeners = new Map();
function on(event, heard) {
  if (!listeners.has(event)) listeners.set(event, []);
  listeners.get(event).push(heard);
}
function emit(event, ...given) {
  for (const heard of listeners.get(event) ?? []) heard(...given);
}

function body() {
  const given = { filters: asked.filters };
  if (asked.search.trim()) given.search = asked.search.trim();
  if (asked.like) given.like = asked.like.question;
  if (asked.sort) given.sort = asked.sort;
  return given;
}

// Set one filter; null, an empty list or an empty object takes it away.
function narrow(name, value) {
  const empty = value === null || value === undefined || (typeof value === 'object' && !Object.keys(value).length);
  if (empty) delete asked.filters[name];
  else asked.filters[name] = value;
  changed();
}

function changed() {
  writeAddress();
  emit('asked');
}

function clear() {
  Object.assign(asked, { filters: {}, search: '', like: null });
  changed();
}

function openTool(name) {
  world.tool = name;
  writeAddress();
  emit('tool', name);
}

// All of it is in the address, so that a reload or a link shows the same again.
function writeAddress() {
  const told = new URLSearchParams();
  const { filters, search, like, sort } = asked;
  if (Object.keys(filters).length) told.set('filters', JSON.stringify(filters));
  if (search.trim()) told.set('search', search.trim());
  if (like) told.set('like', JSON.stringify(like));
  if (sort) told.set('sort', JSON.stringify(sort));
  const text = [world.tool, ...(told.size ? [String(told)] : [])].join('&');
  if (location.hash.slice(1) !== text) history.replaceState(null, '', `#${text}`);
}

function readAddress() {
  const [tool, ...rest] = location.hash.slice(1).split('&');
  const told = new URLSearchParams(rest.join('&'));
  const parsed = (name, otherwise) => {
    try {
      return JSON.parse(told.get(name)) ?? otherwise;
    } catch {
      return otherwise; // a link that was cut off shows what is left of it
    }
  };
  Object.assign(asked, { filters: parsed('filters', {}), search: told.get('search') ?? '', like: parsed('like', null), sort: parsed('sort', null) });
  world.tool = tool || 'images';
}

const OUTCOME_FATES = { real: 'real', synthetic: 'synthetic', 'not chosen': 'unchosen', 'filtered out': 'filtered' };
const OUTCOME_NAMES = { real: 'real, kept', synthetic: 'synthetic, kept', 'not chosen': 'not chosen', 'filtered out': 'filtered out' };

export { world, asked, on, emit, body, narrow, changed, clear, openTool, readAddress, OUTCOME_FATES, OUTCOME_NAMES };
