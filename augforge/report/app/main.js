// Put everything in its place.

const SECTIONS = { overview: 'Overview', gallery: 'Images', scores: 'Scores', selection: 'Selection', balance: 'Classes', map: 'Map', evaluation: 'Evaluation', recipe: 'Recipe' };

for (const [id, title] of Object.entries(SECTIONS)) find('sections').append(make('a', { href: `#${id}`, text: title }));
prepareDetail();
showOverview();
showGallery();
showScores();
showSelection();
showBalance();
showMap();
showEvaluation();
document.documentElement.dataset.ready = 'true';
