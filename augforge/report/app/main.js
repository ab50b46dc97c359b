// Put everything in its place; a section that has nothing to show goes.

const SECTIONS = [
  ['overview', 'Overview', showOverview], ['gallery', 'Images', showGallery], ['scores', 'Scores', showScores],
  ['judges', 'Labels', showJudges], ['mislabelled', 'Label errors', showMislabelled], ['heat', 'Heat maps', showHeat], ['pairs', 'Duplicates', showPairs],
  ['copies', 'Copies', showCopies], ['facts', 'Facts', showFacts],
  ['selection', 'Selection', showSelection],
  ['balance', 'Classes', showBalance], ['map', 'Map', showMap], ['evaluation', 'Evaluation', showEvaluation],
  ['next', 'Next', showNext], ['recipe', 'Recipe', showRecipe],
];

prepareDetail();
for (const [id, title, show] of SECTIONS) {
  if (show() === false) find(id).remove();
  else find('sections').append(make('a', { href: `#${id}`, text: title }));
}
followAddress();
addEventListener('hashchange', followAddress);
document.documentElement.dataset.ready = 'true';
