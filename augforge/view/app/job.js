// The run in the background: how far it is, and what it left.

import { cancel, complain, get } from './api.js';
import { figure, find, make, whole } from './shared/dom.js';
import { emit, world } from './state.js';

const BEAT = 1000; // ms
let timer = 0;
let revision = null;

function watch(job) {
  revision ??= world.run.revision;
  show(job);
  clearTimeout(timer);
  if (job.state === 'running') timer = setTimeout(poll, BEAT);
  else if (job.revision && job.revision !== revision) {
    revision = job.revision;
    emit('again');
  }
}

async function poll() {
  try {
    watch(await get('api/job'));
  } catch (error) {
    complain(error);
    timer = setTimeout(poll, 5 * BEAT);
  }
}

function show(job) {
  const box = find('job');
  box.hidden = job.state === 'none';
  if (job.state !== 'running') {
    const words = { done: 'The run is done.', failed: 'The run failed.', stopped: 'The run was stopped; it goes on from there when it runs again.' };
    box.replaceChildren(make('span', { role: 'status', text: `${words[job.state] ?? ''} ${job.message ?? ''}`.trim() }), make('button', { type: 'button', class: 'quiet', text: 'Close', onclick: () => { box.hidden = true; } }));
    return;
  }
  const { step } = job;
  const bar = make('progress', { 'aria-label': 'Progress of this step' });
  if (step?.total) Object.assign(bar, { max: step.total, value: step.done });
  const left = step?.seconds_left ? `, ${Math.ceil(step.seconds_left)} s left` : '';
  const told = step ? `${step.title}: ${whole(step.done)}${step.total ? ` of ${whole(step.total)}` : ''} ${step.unit ?? ''}${step.rate ? `, ${figure(step.rate, 3)} a second` : ''}${left}` : job.message || 'starting …';
  box.replaceChildren(make('span', { text: told }), bar, make('button', { type: 'button', class: 'write', text: 'Stop', onclick: () => cancel('api/job').then(watch, complain) }));
}

export { watch };
