"use strict";
const cards = [...document.querySelectorAll(".card")];
const search = document.querySelector("input[type=search]");
const filters = [...document.querySelectorAll("[data-show]")];
const nothing = document.querySelector(".nothing");
const dialog = document.querySelector("dialog");
const viewer = dialog.querySelector(".viewer");
const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
let state = "";
let shown = null;

// What a card says, with the details that only its viewer shows; gathered when somebody first searches.
const texts = new Map();
function textOf(card) {
  if (!texts.has(card)) {
    const detail = card.querySelector("template").content;
    texts.set(card, (card.textContent + " " + detail.textContent).toLowerCase());
  }
  return texts.get(card);
}

function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  for (const card of cards) {
    const fits = (!state || card.dataset.state === state) && words.every((word) => textOf(card).includes(word));
    card.hidden = !fits;
    found += fits;
  }
  nothing.hidden = found > 0;
}

function show(which) {
  state = which;
  for (const button of filters) button.setAttribute("aria-pressed", String(button.dataset.show === which));
  filter();
}

for (const button of filters) button.addEventListener("click", () => show(button.dataset.show));
search.addEventListener("input", filter);
document.querySelector("[data-reset]").addEventListener("click", () => { search.value = ""; show(""); search.focus(); });

// A film plays in its card while the pointer, or the keyboard's focus, rests on it. Nothing is fetched before.
let waiting = 0;
function play(stage) {
  stop();
  if (calm || !stage.dataset.video) return;
  waiting = setTimeout(() => {
    const video = document.createElement("video");
    Object.assign(video, { muted: true, loop: true, playsInline: true, src: stage.dataset.video });
    video.style.visibility = "hidden";
    video.addEventListener("playing", () => { video.style.visibility = ""; }, { once: true });
    stage.append(video);
    video.play().catch(() => video.remove());
  }, 140);
}
function stop() {
  clearTimeout(waiting);
  for (const video of document.querySelectorAll(".stage > video")) {
    video.removeAttribute("src");
    video.load();
    video.remove();
  }
}

function open(card) {
  stop();
  shown = card;
  viewer.replaceChildren(card.querySelector("template").content.cloneNode(true));
  if (!dialog.open) dialog.showModal();
  dialog.focus(); // not the film: its own arrow keys would wind it
  viewer.querySelector(".about").scrollTop = 0;
  history.replaceState(null, "", "#" + card.id);
}

function turn(step) {
  const visible = cards.filter((card) => !card.hidden);
  const next = visible[visible.indexOf(shown) + step];
  if (next) open(next);
}

async function copy(button) {
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(button.previousElementSibling);
    button.textContent = "Press Ctrl+C";
  }
}

for (const card of cards) {
  const stage = card.querySelector(".stage");
  stage.addEventListener("pointerenter", (event) => { if (event.pointerType === "mouse") play(stage); });
  stage.addEventListener("pointerleave", stop);
  stage.addEventListener("focus", () => { if (stage.matches(":focus-visible")) play(stage); });
  stage.addEventListener("blur", stop);
  card.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || !event.target.closest(".stage, .strip, h2")) return;
    event.preventDefault();
    open(card);
  });
}

dialog.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (event.target === dialog || (button && "close" in button.dataset)) dialog.close();
  else if (button && button.dataset.turn) turn(Number(button.dataset.turn));
  else if (button && button.dataset.copy) copy(button);
});
dialog.addEventListener("close", () => {
  viewer.replaceChildren();
  history.replaceState(null, "", location.pathname + location.search);
  if (shown) {
    shown.scrollIntoView({ block: "nearest" });
    shown.querySelector(".stage").focus({ preventScroll: true });
    stop();
  }
});

document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  if (dialog.open) {
    if (event.target.closest("video")) return;
    if (event.key === "ArrowLeft") turn(-1);
    if (event.key === "ArrowRight") turn(1);
  } else if (event.key === "/" && event.target !== search) {
    event.preventDefault();
    search.focus();
  } else if (event.key === "Escape" && event.target === search) {
    search.value = "";
    filter();
  }
});

const wanted = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
if (wanted && wanted.matches(".card")) open(wanted);
