// The clips, as the files in data/ bring them: scripts, since a page that is opened from disk may fetch nothing else.
const page = JSON.parse(byId("page").textContent);
const clips = new Array(page.total);
const starts = []; // the number of the first clip of each file
page.chunks.reduce((start, [, count]) => (starts.push(start), start + count), 0);

const EAGER = 20000; // up to so many clips are all read at once after the first paint; beyond, as they are needed
const AT_ONCE = 3;
const queue = [...page.chunks.keys()];
const under_way = new Set();
const come = new Set();
let unread = page.chunks.length;
let wants_all = page.total <= EAGER;
let broken = false;
const arrivals = []; // who wants to know when clips arrive

// Called by each file of data/: { same: what all its clips share, keys, rows }.
window.kf2v = ({ same, keys, rows }) => {
  const chunk = Number(document.currentScript.dataset.chunk), start = starts[chunk];
  come.add(chunk);
  rows.forEach((row, offset) => {
    const clip = Object.assign({ number: start + offset }, same);
    keys.forEach((key, at) => { if (row[at] !== null) clip[key] = row[at]; });
    clips[clip.number] = clip;
  });
};

function read(chunk) {
  queue.splice(queue.indexOf(chunk), 1);
  under_way.add(chunk);
  const script = element("script", { src: `data/${page.chunks[chunk][0]}`, "data-chunk": String(chunk) });
  const done = (came) => {
    under_way.delete(chunk);
    script.remove();
    if (came) unread -= 1;
    else broken = true;
    for (const tell of arrivals) tell();
    pump();
  };
  script.addEventListener("load", () => done(true));
  script.addEventListener("error", () => done(false));
  document.head.append(script);
}

function pump() {
  while (wants_all && queue.length && under_way.size < AT_ONCE) read(queue[0]);
}

// The clips from one number to another are wanted now, before all others.
function want(from, to) {
  page.chunks.forEach(([, count], chunk) => {
    if (starts[chunk] < to && starts[chunk] + count > from && queue.includes(chunk)) read(chunk);
  });
}

function wantAll() {
  wants_all = true;
  pump();
}

const SEARCHED = ["clip_id", "title", "prompt", "actual_prompt", "negative_prompt", "task_id", "request_id", "error_code",
  "error_message", "flaws", "model", "service", "resolution", "seed", "fingerprint"];

function textOf(clip) {
  if (clip.text) return clip.text;
  const text = [...SEARCHED.map((name) => clip[name]), ...Object.values(clip.more || {})].join("\n").toLowerCase();
  if (page.total <= EAGER) clip.text = text;
  return text;
}

const flawsOf = (clip) => (clip.flaws ? clip.flaws.split(",") : []);

// Which clips are shown: null for all of them, also those that are not read yet; else their numbers.
const chosen = { state: "", check: "", words: [] };

function passes(clip) {
  if (chosen.state && clip.status !== chosen.state) return false;
  if (chosen.check === "any" && !clip.flaws) return false;
  if (chosen.check === "none" && clip.flaws !== "") return false;
  if (chosen.check.startsWith("=") && !flawsOf(clip).includes(chosen.check.slice(1))) return false;
  if (!chosen.words.length) return true;
  const text = textOf(clip);
  return chosen.words.every((word) => text.includes(word));
}

const found = new Map(); // numbers of the chosen clips of each file that was looked through, until the choice changes

function choose() {
  if (!chosen.state && !chosen.check && !chosen.words.length) return null;
  if (unread) wantAll();
  for (const chunk of come) if (!found.has(chunk)) found.set(chunk, lookThrough(chunk));
  return page.chunks.flatMap((_, chunk) => found.get(chunk) || []);
}

function lookThrough(chunk) {
  const numbers = [];
  for (let number = starts[chunk]; number < starts[chunk] + page.chunks[chunk][1]; number += 1)
    if (clips[number] && passes(clips[number])) numbers.push(number);
  return numbers;
}
