// What to do next: buttons that lead to the images worth a look, and commands with the path of this run.

function showNext() {
  const dropped = outcomes.filter((fate) => fate === 'filtered').length;
  const look = [
    dropped && ['Look at what was dropped', () => lookAt({ outcome: 'dropped' })],
    outcomes.includes('synthetic') && ['Look at what was made and kept', () => lookAt({ origin: 'synthetic', outcome: 'kept' })],
    run.pairs.length && ['Compare the near-duplicates', () => { location.hash = 'pairs'; }],
  ].filter(Boolean).map(([title, onclick]) => make('button', { type: 'button', text: title, onclick }));
  const steps = [
    !run.evaluation && ['Does it help?', 'Trains a classifier with and without these images. TEST is a folder or data set of real images that were not in this run.', `evaluate ${run.path} --test TEST`],
    run.measures.length && ['Another threshold?', 'What every cut of every score would keep.', `thresholds ${run.path}`],
    run.map && !run.map.umap && ['Another map?', 'Writes this report again with a map by UMAP beside PCA.', `report ${run.path} --umap`],
    ['Is it whole?', 'Checks every digest and invariant of the run folder.', `verify ${run.path}`],
    ['Take it elsewhere', 'OUT is a new folder; --to parquet, webdataset, coco and hf are the other forms.', `export ${run.path} --to folder --out OUT`],
  ].filter(Boolean);
  find('next-body').append(make('div', { class: 'row' }, ...look), make('div', { class: 'steps' }, ...steps.map(([title, about, command]) => (
    make('div', { class: 'stack' }, make('h3', { text: title }), make('p', { class: 'lead', text: about }), commandBox(`augforge ${command}`))))));
  return true;
}

function lookAt(state) {
  restoreGallery(new URLSearchParams(state));
  writeAddress('gallery');
  find('gallery').scrollIntoView();
}
