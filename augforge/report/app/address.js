// What the gallery shows is in the address, `#gallery&class=roses&sort=...`: a reload or a link shows the same again.

function addressed() {
  const [section, ...rest] = location.hash.slice(1).split('&');
  return { section: decodeURIComponent(section), state: new URLSearchParams(rest.join('&')) };
}

function writeAddress(section = addressed().section) {
  const state = new URLSearchParams(galleryState());
  const text = [section, ...(state.size ? [String(state)] : [])].join('&');
  if (location.hash.slice(1) !== text) history.replaceState(null, '', `#${text}`);
}

// A link to a section says nothing of the gallery, and leaves it as it is.
function followAddress() {
  const { section, state } = addressed();
  if (state.size) restoreGallery(state);
  writeAddress(section);
  if (section) find(section)?.scrollIntoView();
}
