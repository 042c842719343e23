// The grid: of all clips that are chosen only those near the window are in the document, each at its own place.
const grid = byId("grid");
const shownCards = new Map(); // by place on the page
const AHEAD = 1.2; // windows above and below that are drawn too
const PAGE = 10000; // browsers give up on pages higher than about 17 million pixels

let matches = null; // numbers of the chosen clips; null for all
let pageStart = 0;
let current = 0; // the place that the keyboard is at
let is_awaited = false; // whether it went to a clip that is not read yet
const measures = { columns: 1, width: 0, height: 0, gapX: 0, gapY: 0 };

const matchCount = () => (matches ? matches.length : page.total);
const placeCount = () => Math.min(PAGE, matchCount() - pageStart);
const clipAt = (place) => clips[matches ? matches[pageStart + place] : pageStart + place];

function measure() {
  const style = getComputedStyle(grid);
  const least = parseFloat(style.getPropertyValue("--least")) * parseFloat(getComputedStyle(document.documentElement).fontSize);
  const width = grid.clientWidth;
  measures.gapX = parseFloat(style.columnGap);
  measures.gapY = parseFloat(style.rowGap);
  measures.columns = Math.max(1, Math.floor((width + measures.gapX) / (least + measures.gapX)));
  measures.width = (width - measures.gapX * (measures.columns - 1)) / measures.columns;
  const probe = unreadCard();
  probe.style.width = `${measures.width}px`;
  grid.append(probe);
  measures.height = probe.offsetHeight;
  probe.remove();
}

function arrange() {
  measure();
  for (const [place, shown] of shownCards) put(shown, place);
  draw();
}

function put(shown, place) {
  const row = Math.floor(place / measures.columns), column = place % measures.columns;
  shown.style.width = `${measures.width}px`;
  shown.style.transform = `translate(${column * (measures.width + measures.gapX)}px, ${row * (measures.height + measures.gapY)}px)`;
}

function draw() {
  const count = Math.max(0, placeCount()), step = measures.height + measures.gapY;
  grid.style.height = `${Math.max(0, Math.ceil(count / measures.columns) * step - measures.gapY)}px`;
  const top = -grid.getBoundingClientRect().top, high = innerHeight;
  const from = Math.max(0, Math.floor((top - high * AHEAD) / step) * measures.columns);
  const to = Math.min(count, Math.ceil((top + high * (1 + AHEAD)) / step) * measures.columns);
  if (!matches) want(pageStart + from, pageStart + to);
  for (const [place, shown] of shownCards) {
    const is_near = place >= from && place < to;
    const is_stale = place >= count || shown.clip !== clipAt(place);
    if (is_stale || (!is_near && !shown.contains(document.activeElement))) {
      shown.remove();
      shownCards.delete(place);
    }
  }
  for (let place = from; place < to; place += 1) if (!shownCards.has(place)) add(place);
}

function add(place) {
  const clip = clipAt(place);
  const shown = clip ? card(clip) : unreadCard();
  shown.clip = clip;
  shown.place = place;
  shown.setAttribute("role", "listitem");
  shown.setAttribute("aria-posinset", String(pageStart + place + 1));
  shown.setAttribute("aria-setsize", String(matchCount()));
  put(shown, place);
  shownCards.set(place, shown);
  grid.append(shown);
  if (!clip || place !== current) return;
  shown.querySelector(".stage").tabIndex = 0;
  if (is_awaited) shown.querySelector(".stage").focus({ preventScroll: true });
  is_awaited = false;
}

// Moves the keyboard to a place, and brings it into view.
function goTo(place, { focus = true } = {}) {
  const before = shownCards.get(current);
  if (before && before.clip) before.querySelector(".stage").tabIndex = -1;
  current = Math.max(0, Math.min(placeCount() - 1, place));
  const row = Math.floor(current / measures.columns), step = measures.height + measures.gapY;
  const bar = document.querySelector(".bar").offsetHeight + 16;
  const top = grid.getBoundingClientRect().top + scrollY + row * step;
  if (top < scrollY + bar) scrollTo(0, row ? top - bar : 0);
  else if (top + measures.height > scrollY + innerHeight - 16) scrollTo(0, top + measures.height - innerHeight + 16);
  draw();
  const shown = shownCards.get(current);
  is_awaited = focus && !(shown && shown.clip);
  if (is_awaited || !shown || !shown.clip) return;
  shown.querySelector(".stage").tabIndex = 0;
  if (focus) shown.querySelector(".stage").focus({ preventScroll: true });
}

function turnPage(start) {
  pageStart = start;
  current = 0;
  scrollTo(0, 0);
  draw();
  drawPager();
}

function drawPager() {
  const pager = byId("pager"), count = matchCount();
  pager.hidden = count <= PAGE || chosen.state === "aside";
  if (pager.hidden) return;
  const end = Math.min(count, pageStart + PAGE);
  const turn = (label, start, possible) =>
    element("button", { type: "button", disabled: !possible, on: { click: () => turnPage(start) } }, label);
  pager.replaceChildren(
    turn("← Before", pageStart - PAGE, pageStart > 0),
    element("span", {}, `${counted.format(pageStart + 1)} to ${counted.format(end)} of ${counted.format(count)}`),
    turn("Next →", end, end < count));
}
