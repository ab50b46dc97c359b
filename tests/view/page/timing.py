"""What a person waits for in the page, timed in it: scripts for the browser."""

from __future__ import annotations

# Runs an action and waits, frame by frame, until the page shows what it should; gives ms.
TIMED = """([action, shown]) => new Promise((tell) => {
  const began = performance.now(), act = new Function(action), done = new Function(`return ${shown}`);
  act();
  const look = () => {
    const ms = performance.now() - began;
    if (done() || ms > 20000) tell(ms);
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})"""
# Scrolls to the end in jumps and steps; the longest time that any card in sight was without its row, in ms.
SCROLLED = """() => new Promise((tell) => {
  const scroller = document.getElementById('scroller'), whole = scroller.scrollHeight;
  let longest = 0, blank = 0, steps = 0;
  const look = (now) => {
    const waits = document.querySelector('#grid .waiting') !== null;
    if (!waits) blank = 0;
    else { blank ||= now; longest = Math.max(longest, now - blank); }
    steps += 1;
    scroller.scrollTop = Math.min(whole, steps % 10 ? scroller.scrollTop + 90 : scroller.scrollTop + whole / 40);
    if (scroller.scrollTop + scroller.clientHeight < whole - 1 || waits) requestAnimationFrame(look);
    else tell(longest);
  };
  requestAnimationFrame(look);
})"""

# A lasso around the left of the map, up to a share of its width.
LASSO = """const map = document.querySelector('canvas.points'), box = map.getBoundingClientRect(), share = %s;
  map.setPointerCapture = () => {};
  const at = (kind, x, y) => map.dispatchEvent(new PointerEvent(kind, {
    pointerId: 1, clientX: box.left + x * box.width, clientY: box.top + y * box.height }));
  at('pointerdown', 0, 0);
  for (let step = 0; step <= 60; step += 1) at('pointermove', share * step / 60, 0);
  at('pointermove', share, 1);
  at('pointermove', 0, 1);
  at('pointerup', 0, 1);"""
