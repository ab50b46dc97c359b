// Save an option into the recipe: first the difference, then the file, then the run.

import { complain, get, post } from './api.js';
import { say } from './decisions.js';
import { watch } from './job.js';
import { find, make } from './shared/dom.js';
import { world } from './state.js';

// `given` says the title of the stage and its changed options.
function saveButton(given) {
  return make('button', { type: 'button', text: 'Save to recipe …', onclick: () => preview(...given()).catch(complain) });
}

async function preview(stage, options) {
  const { diff, version } = await post('api/recipe/preview', { stage, options });
  const dialog = find('question');
  const save = async (andRun) => {
    try {
      await post('api/recipe/save', { stage, options, version });
      say('Saved to the recipe.');
      dialog.close();
      if (andRun) await run();
    } catch (error) {
      dialog.close();
      complain(error);
    }
  };
  dialog.replaceChildren(make('h2', { id: 'question-title', text: 'What would change in the recipe' }), diff ? diffBox(diff) : make('p', { text: 'Nothing: the recipe says this already.' }),
    make('div', { class: 'row' }, make('button', { type: 'button', text: 'Save and run', disabled: !diff, onclick: () => save(true) }), make('button', { type: 'button', text: 'Save', disabled: !diff, onclick: () => save(false) }),
      make('button', { type: 'button', class: 'quiet', text: 'Cancel', onclick: () => dialog.close() })));
  dialog.showModal();
}

function diffBox(diff) {
  const kinds = { '+': 'added', '-': 'removed', '@': 'where' };
  const lines = diff.split('\n').map((line) => make('span', { class: line.startsWith('+++') || line.startsWith('---') ? 'where' : kinds[line[0]] ?? '', text: `${line}\n` }));
  return make('pre', { class: 'diff', tabIndex: 0, 'aria-label': 'The difference' }, ...lines);
}

async function run() {
  try {
    watch(await post('api/job', { kind: 'run' }));
  } catch (error) {
    complain(error);
  }
}

async function showRun(panel) {
  const { stages, notes } = world.run;
  const recipe = await get('api/recipe');
  panel.append(make('div', { class: 'row write' }, make('button', { type: 'button', text: 'Run the recipe', disabled: !recipe.path, onclick: run })),
    make('p', { class: 'lead', text: recipe.path ? `It is ${recipe.path}. What was measured is not measured again.` : 'Where the recipe of this run lies is not known, so that nothing can be saved or run.' }),
    ...notes.map((text) => make('p', { class: 'lead', text })),
    make('h3', { text: 'Stages' }), make('ol', {}, ...stages.map(({ title }) => make('li', { text: title }))),
    make('h3', { text: 'Recipe' }), make('pre', { tabIndex: 0, text: recipe.text, 'aria-label': 'The recipe' }));
}

export { saveButton, showRun };
