// Questions to the server. What is no success becomes a Trouble: what is wrong, and what to do.

import { find, make } from './shared/dom.js';

class Trouble extends Error {
  constructor({ error, hint = '', kind = '' }, status = 0) {
    super(error);
    Object.assign(this, { hint, kind, status });
  }
}

let writeToken = '';
const useToken = (token) => { writeToken = token; };

async function ask(path, { method = 'GET', body, bytes, signal } = {}) {
  const headers = {};
  if (method !== 'GET') headers['X-Augforge-Token'] = writeToken;
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  if (bytes !== undefined) headers['Content-Type'] = 'application/octet-stream';
  let answer;
  try {
    answer = await fetch(path, { method, headers, signal, body: bytes ?? (body === undefined ? undefined : JSON.stringify(body)) });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Trouble({ error: 'The server does not answer.', hint: 'Is `augforge view` still running in its terminal? Then load this page again.' });
  }
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => ({ error: `The server says ${answer.status} to ${path}.` }));
  throw new Trouble(told, answer.status);
}

const get = async (path, options) => (await ask(path, options)).json();
const post = async (path, body, options = {}) => (await ask(path, { ...options, method: 'POST', body })).json();
const upload = async (bytes) => (await ask('api/upload', { method: 'POST', bytes })).json();
const cancel = async (path) => (await ask(path, { method: 'DELETE' })).json();

const ARRAYS = { float32: Float32Array, int32: Int32Array, uint8: Uint8Array };
async function numbers(path) {
  const answer = await ask(path);
  return new ARRAYS[answer.headers.get('X-Dtype')](await answer.arrayBuffer());
}

let askAgain = () => {};
const whenGone = (heard) => { askAgain = heard; };

// Say it on the page, until it is taken away or something else goes wrong. What was given up on purpose is no trouble,
// nor is a query that is gone because the run was written anew: it is asked again.
function complain(error) {
  if (error.name === 'AbortError') return;
  if (error.kind === 'gone') {
    askAgain();
    return;
  }
  if (!(error instanceof Trouble)) console.error(error);
  const away = make('button', { type: 'button', class: 'quiet', text: 'Close', onclick: calm });
  find('trouble').replaceChildren(make('strong', { text: error.message }), error.hint ? make('span', { text: ` ${error.hint}` }) : '', ' ', away);
  find('trouble').hidden = false;
}
const calm = () => { find('trouble').hidden = true; };

// A function that runs once at a time: of the calls that come while it runs, only the last is made, afterwards.
function latest(work) {
  let running = false, waiting = null;
  return async function call(...given) {
    if (running) {
      waiting = given;
      return;
    }
    running = true;
    try {
      await work(...given);
    } catch (error) {
      complain(error);
    }
    running = false;
    if (waiting) {
      const next = waiting;
      waiting = null;
      call(...next);
    }
  };
}

export { Trouble, useToken, get, post, upload, cancel, numbers, complain, calm, latest, whenGone };
