// The samples that the present query found: which they are, and those of their rows that were fetched.

import { complain, get, post, whenGone } from './api.js';
import { body, emit, on } from './state.js';

const PAGE = 100;
const MOST_PAGES = 300; // that are held
const results = { query: null, total: 0, of: 0, similarity: false, notes: [], shapes: false };
let pages = new Map();
let asking = null;

// Ask anew; of questions that follow each other quickly only the last one counts.
async function look() {
  asking?.abort();
  const mine = asking = new AbortController();
  try {
    const answer = await post('api/query', body(), { signal: mine.signal });
    if (asking !== mine) return;
    forget();
    Object.assign(results, answer, { notes: answer.notes ?? [] });
    emit('results');
    if (!results.total) emit('settled');
  } catch (error) {
    complain(error);
  }
}

function forget() {
  for (const page of pages.values()) page.given?.abort();
  pages = new Map();
}

const rowAt = (position) => pages.get(Math.floor(position / PAGE))?.rows?.[position % PAGE];

// Fetch the rows from one position to another that are not here; fetching what is no longer wanted is given up.
function want(first, last) {
  const from = Math.floor(Math.max(0, first) / PAGE), to = Math.floor(Math.min(last, results.total - 1) / PAGE);
  for (const [number, page] of pages) {
    if (!page.rows && (number < from || number > to)) {
      page.given.abort();
      pages.delete(number);
    }
  }
  for (let number = from; number <= to; number += 1) if (!pages.has(number)) fetchPage(number);
  for (const number of pages.keys()) {
    if (pages.size <= MOST_PAGES) break;
    if (number < from || number > to) pages.delete(number); // the oldest first
  }
}

async function fetchPage(number) {
  const { query, shapes } = results;
  const given = new AbortController(), mine = pages;
  mine.set(number, { given });
  try {
    const answer = await get(`api/query/${query}/rows?offset=${number * PAGE}&limit=${PAGE}${shapes ? '&shapes=1' : ''}`, { signal: given.signal });
    if (pages !== mine) return;
    const first = ![...mine.values()].some((page) => page.rows);
    mine.set(number, { rows: answer.rows });
    emit('rows');
    if (first) emit('settled'); // cards first; counts and the map after them
  } catch (error) {
    if (error.name === 'AbortError') return;
    mine.delete(number);
    complain(error);
  }
}

// The row at a position, fetched if need be.
async function fetched(position) {
  if (position < 0 || position >= results.total) return null;
  const there = rowAt(position);
  if (there) return there;
  return (await get(`api/query/${results.query}/rows?offset=${position}&limit=1`)).rows[0] ?? null;
}

// Where a sample is among what was found, null if it is not: looked for here first.
async function positionOf(id) {
  for (const [number, { rows }] of pages) {
    const place = rows?.findIndex((row) => row.id === id) ?? -1;
    if (place >= 0) return number * PAGE + place;
  }
  return (await get(`api/query/${results.query}/position?id=${encodeURIComponent(id)}`)).position;
}

// Change what is known of some samples, where they are here.
function patch(ids, change) {
  const wanted = new Set(ids);
  for (const { rows } of pages.values()) {
    rows?.forEach((row, place) => { if (wanted.has(row.id)) rows[place] = { ...row, ...change(row) }; });
  }
  emit('rows');
}

function showShapes(wish) {
  results.shapes = wish;
  forget();
  emit('results', true);
}

let again = 0;
whenGone(() => {
  clearTimeout(again);
  again = setTimeout(look, 200); // once, however many questions found it gone
});
on('asked', look);

export { results, look, rowAt, want, fetched, positionOf, patch, showShapes };
