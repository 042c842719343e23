// The page: filters, search, keys, and what is said of them.
const search = byId("search"), check = byId("check"), told = byId("told"), aside = byId("aside");

function tell() {
  const total = page.total, read = total - missing();
  if (broken) told.textContent = "Some of this page's files could not be read: it may have been written anew meanwhile. Load it again.";
  else if (chosen.state === "aside") told.textContent = "";
  else if (matches && read < total) told.textContent = `${counted.format(matches.length)} found so far, ${Math.floor((read / total) * 100)} % read`;
  else if (matches) told.textContent = matches.length ? `${counted.format(matches.length)} of ${counted.format(total)}` : "No clip matches.";
  else told.textContent = total ? "" : "There are no clips yet.";
}

const missing = () => [...under_way, ...queue].reduce((sum, chunk) => sum + page.chunks[chunk][1], 0);

function refresh() {
  const is_aside = chosen.state === "aside";
  grid.hidden = is_aside;
  aside.hidden = !is_aside;
  matches = is_aside ? [] : choose();
  draw();
  drawPager();
  tell();
}

function start(change) {
  change();
  found.clear();
  pageStart = 0;
  current = 0;
  const top = byId("told").offsetTop - document.querySelector(".bar").offsetHeight;
  if (scrollY > top) scrollTo(0, top);
  refresh();
}

function showState(state) {
  for (const button of document.querySelectorAll("[data-show]"))
    button.setAttribute("aria-pressed", String(button.dataset.show === state));
  start(() => { chosen.state = state; });
}

function fillChecks() {
  const names = Object.keys(page.checks).filter((name) => page.flaws[name]);
  if (page.measured === 0) return;
  const flawed = page.measured - page.flawless;
  const option = (value, label, count) => element("option", { value }, count === null ? label : `${label} (${counted.format(count)})`);
  check.replaceChildren(option("", "All checks", null), option("any", "Some flaw", flawed), option("none", "No flaw", page.flawless),
    ...names.map((name) => option(`=${name}`, wordsOf(name), page.flaws[name])));
  check.parentElement.hidden = false;
}

function fillAside() {
  if (!page.rejected.length) return;
  const cells = (name, values) => values.map((value) => element(name, {}, value === null ? "" : String(value)));
  const rest = page.rejectedCount - page.rejected.length;
  aside.append(
    element("p", {}, "These rows of the manifest were set aside; what mends them stands beside them.",
      rest ? ` ${counted.format(rest)} more are in tables/rejected.parquet.` : ""),
    element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Rows that were set aside" }, element("table", {},
      element("thead", {}, element("tr", {}, cells("th", ["Row", "Clip", "Column", "What is wrong", "What mends it"]))),
      element("tbody", {}, page.rejected.map((values) => element("tr", {}, cells("td", values)))))));
}

function switchTheme() {
  const root = document.documentElement;
  const is_dark = getComputedStyle(root).getPropertyValue("--is-dark").trim() === "1";
  root.dataset.theme = is_dark ? "light" : "dark";
  try { localStorage.setItem("kf2v-theme", root.dataset.theme); } catch { /* a page from disk may keep nothing */ }
}
try { const kept = localStorage.getItem("kf2v-theme"); if (kept) document.documentElement.dataset.theme = kept; } catch { /* the same */ }

function gridKey(event) {
  const shown = event.target.closest(".card");
  const here = shown ? shown.place : current;
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -measures.columns, ArrowDown: measures.columns };
  if (event.key in steps) {
    const next = shown ? here + steps[event.key] : current;
    if (next >= 0 && next < placeCount()) goTo(next);
  } else if (event.key === "Home") goTo(0);
  else if (event.key === "End") goTo(placeCount() - 1);
  else if (event.key === " " && shown && shown.clip) shown.querySelector(".loop") ? stopCards() : playCard(shown, shown.clip);
  else return false;
  return true;
}

const pageKeys = {
  "/": () => search.focus(),
  "?": () => byId("help").showModal(),
  d: switchTheme,
};

function viewerKey(event) {
  if (event.target.closest("video")) return false; // its own keys
  if (event.key === "ArrowLeft") turn(-1);
  else if (event.key === "ArrowRight") turn(1);
  else if (event.key === "Home") openClip(0);
  else if (event.key === "End") openClip(placeCount() - 1);
  else if (event.key === " " && !event.target.closest("button, a, summary")) playFilm();
  else if (event.key.toLowerCase() === "c") { const button = byId("task"); if (button) button.click(); }
  else return false;
  return true;
}

document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || byId("help").open) return;
  let is_done = false;
  if (viewer.open) is_done = viewerKey(event);
  else if (event.target === search) {
    if (event.key === "Escape" && search.value) { search.value = ""; search.dispatchEvent(new Event("input")); is_done = true; }
    else if (event.key === "ArrowDown" && matchCount()) { goTo(0); is_done = true; }
  } else if (!event.target.closest("input, select, textarea")) {
    const key = pageKeys[event.key.toLowerCase()];
    if (key) { key(); is_done = true; } else if (!event.target.closest("button")) is_done = gridKey(event);
  }
  if (is_done) event.preventDefault();
});

for (const button of document.querySelectorAll("[data-show]")) button.addEventListener("click", () => showState(button.dataset.show));
check.addEventListener("change", () => start(() => { chosen.check = check.value; }));
let typing = 0;
search.addEventListener("input", () => {
  clearTimeout(typing);
  const apply = () => start(() => { chosen.words = search.value.toLowerCase().split(/\s+/).filter(Boolean); });
  typing = setTimeout(apply, page.total > EAGER ? 250 : 60);
});
byId("theme").addEventListener("click", switchTheme);
byId("ask").addEventListener("click", pageKeys["?"]);
byId("help").addEventListener("click", (event) => { if (event.target === byId("help") || event.target.closest("[data-close]")) byId("help").close(); });

grid.addEventListener("click", (event) => {
  const shown = event.target.closest(".card");
  if (!shown || !shown.clip || event.ctrlKey || event.metaKey || event.shiftKey || !event.target.closest(".stage, .strip, h2")) return;
  event.preventDefault();
  openClip(shown.place);
});
grid.addEventListener("pointerover", (event) => {
  const shown = event.target.closest(".stage") && event.target.closest(".card");
  if (event.pointerType !== "mouse" || calm || !shown || !shown.clip || shown.querySelector(".loop")) return;
  playCard(shown, shown.clip);
});
grid.addEventListener("pointerout", (event) => {
  const from = event.target.closest(".stage");
  if (from && !from.contains(event.relatedTarget)) stopCards();
});
grid.addEventListener("focusout", stopCards);

let is_drawing = false;
addEventListener("scroll", () => {
  if (is_drawing) return;
  is_drawing = true;
  requestAnimationFrame(() => { is_drawing = false; if (!grid.hidden) draw(); });
}, { passive: true });

// A link to a clip opens it as soon as it is there.
let asked = "";
try { asked = decodeURIComponent(location.hash.slice(1)); } catch { /* it names no clip */ }
function openAsked() {
  if (!asked) return;
  const number = clips.findIndex((clip) => clip && clip.clip_id === asked);
  if (number >= 0) {
    asked = "";
    pageStart = Math.floor(number / PAGE) * PAGE;
    openClip(number - pageStart);
  } else if (unread) wantAll();
}

function begin() {
  let is_told = false; // many files may come between two pictures
  arrivals.push(() => {
    if (is_told) return;
    is_told = true;
    setTimeout(() => { is_told = false; if (matches) refresh(); else { draw(); tell(); } openAsked(); }, 30);
  });
  fillChecks();
  fillAside();
  measure();
  refresh();
  new ResizeObserver(arrange).observe(grid);
  pump();
}
requestAnimationFrame(() => setTimeout(begin)); // the head of the page is painted first
