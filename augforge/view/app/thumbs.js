// Thumbnails: a few at a time, those asked for last first, so that pictures that were scrolled past hold nothing up.

const AT_ONCE = 4; // of the six connections that a browser opens; the others are for rows and decisions
const MOST_KNOWN = 20_000;
const waiting = [];
const known = new Set(); // what the browser has in its cache
let loading = 0;

function load(picture, source) {
  if (known.has(source)) {
    picture.src = source;
    return;
  }
  waiting.push([picture, source]);
  queueMicrotask(next); // when the card that it belongs to is on the page
}

function next() {
  while (loading < AT_ONCE && waiting.length) {
    const [picture, source] = waiting.pop();
    if (picture.isConnected) begin(picture, source);
    else if (waiting.length > 500) waiting.length = 0; // all older than a picture that has gone
  }
}

function begin(picture, source) {
  loading += 1;
  const over = () => {
    loading -= 1;
    next();
  };
  picture.addEventListener('load', () => { remember(source); over(); }, { once: true });
  picture.addEventListener('error', () => { picture.closest('.shot')?.classList.add('gone'); over(); }, { once: true });
  picture.src = source;
}

function remember(source) {
  if (known.size >= MOST_KNOWN) known.clear();
  known.add(source);
}

export { load };
