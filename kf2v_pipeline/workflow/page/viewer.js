// The viewer: one clip, large: first frame, film, cut and last frame side by side, and all that is known of it.
const viewer = byId("viewer");
const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;

function figure(name, css, content, note = "") {
  return content && element("figure", { class: css },
    element("div", { class: "mat" }, content),
    element("figcaption", {}, name, note ? element("span", {}, note) : null));
}

function film(clip, path, attributes) {
  return element("video", { src: linkTo(path), poster: picturePath(clip, POSTER), muted: true, loop: true, playsinline: true,
    autoplay: !calm, preload: "metadata", ...attributes });
}

// The cut runs with the film that it was made of.
function follow(cut, leader) {
  const meet = () => { if (Math.abs(cut.currentTime - leader.currentTime) > 0.15) cut.currentTime = leader.currentTime; };
  leader.addEventListener("play", () => { meet(); cut.play().catch(() => {}); });
  leader.addEventListener("pause", () => cut.pause());
  leader.addEventListener("seeked", meet);
  leader.addEventListener("timeupdate", meet);
}

function films(clip) {
  const first = figure("First frame", "end", picture(clip, FIRST, { alt: "First frame" }));
  const last = figure("Last frame", "end", picture(clip, LAST, { alt: "Last frame" }));
  if (clip.status !== "stored" || !clip.video_path) return element("div", { class: "films" }, first, last || (first ? null : blank()));
  const raw = film(clip, clip.video_path, { controls: true, id: "film", width: clip.width, height: clip.height, "aria-label": "Film" });
  const has_cut = clip.cut_path && clip.cut_path !== clip.video_path;
  let cut = null;
  if (has_cut) {
    cut = film(clip, clip.cut_path, { width: clip.cut_width, height: clip.cut_height, poster: null, "aria-label": "Cut" });
    follow(cut, raw);
  }
  const cutNote = [clip.aspect, clip.fit, clip.cut_width && `${clip.cut_width} × ${clip.cut_height}`].filter(Boolean).join(", ");
  return element("div", { class: "films" }, first,
    figure(has_cut ? "As it was made" : "Film", "film", raw, sizeOf(clip)),
    has_cut ? figure("Cut", "film cut", cut, cutNote) : null, last);
}

const at = (instant) => instant && `${instant.replace("T", " ").slice(0, 19)} UTC`;
const mono = (text) => text && element("span", { class: "mono" }, text);
const copyable = (text, id) => text && [mono(text), element("button", { type: "button", class: "copy", id, on: { click: copy } }, "Copy")];
const number = (value) => (value === undefined ? "" : Number.isInteger(value) ? String(value) : value.toFixed(3));

function* facts(clip) {
  yield ["Clip", mono(clip.clip_id)];
  for (const [name, value] of Object.entries(clip.more || {})) yield [name, String(value)];
  yield ["Cost", clip.cost === undefined ? "" : money(clip.cost, clip.currency)];
  yield ["Task", copyable(clip.task_id, "task")];
  yield ["Request", copyable(clip.request_id)];
  yield ["Model", [clip.model, clip.resolution, clip.service].filter(Boolean).join(", ")];
  yield ["Seed", number(clip.seed)];
  yield ["Picture", [sizeOf(clip), clip.codec].filter(Boolean).join(", ")];
  yield ["Length", clip.fps ? `${clip.duration_s.toFixed(2)} s, ${clip.frames} frames, ${number(clip.fps)} fps` : ""];
  yield ["File", clip.size_bytes ? `${(clip.size_bytes / 1e6).toFixed(2)} MB` : ""];
  yield ["Attempt", number(clip.attempt)];
  yield ["Submitted", at(clip.submitted_at)];
  yield ["Started", at(clip.started_at)];
  yield ["Ended", at(clip.ended_at)];
  yield ["Stored", at(clip.stored_at)];
  yield ["First frame", mono(clip.first_frame)];
  yield ["Last frame", mono(clip.last_frame)];
  yield ["Video", clip.video_path && element("a", { href: linkTo(clip.video_path), class: "mono" }, clip.video_path)];
  yield ["Cut", clip.cut_path && clip.cut_path !== clip.video_path && element("a", { href: linkTo(clip.cut_path), class: "mono" }, clip.cut_path)];
  yield ["SHA-256", mono(clip.sha256)];
  yield ["Fingerprint", mono(clip.fingerprint)];
}

function factList(pairs) {
  const terms = [...pairs].filter(([, value]) => value && value.length !== 0)
    .map(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]);
  return terms.length ? element("dl", {}, terms) : null;
}

const measureOf = (name) => wordsOf(name).replace(/ s$/, ", seconds").replace("ssim", "likeness");

function checkSection(clip) {
  if (clip.flaws === undefined) return null;
  const values = factList(Object.entries(clip.quality || {}).map(([name, value]) => [measureOf(name), number(value)]));
  const told = flawsOf(clip).map((name) => element("li", {}, element("b", {}, wordsOf(name)), ` ${sentenceOf(name)}`));
  return element("section", { class: "checks" }, element("h3", {}, "Checks"),
    told.length ? element("ul", {}, told) : element("p", {}, "Every check passed."),
    values && element("details", {}, element("summary", {}, "What was measured"), values));
}

function openClip(place) {
  const clip = clipAt(place);
  if (!clip) return;
  stopCards();
  goTo(place, { focus: false });
  const button = (label, text, click, disabled = false) => element("button", { type: "button", class: "round", "aria-label": label, disabled, on: { click } }, text);
  viewer.dataset.state = clip.status;
  viewer.replaceChildren(
    element("header", {},
      element("div", {}, element("h2", { id: "viewer-title" }, titleOf(clip)), stateTag(clip)),
      element("p", { class: "count" }, `${counted.format(pageStart + place + 1)} of ${counted.format(matchCount())}`),
      element("nav", {},
        button("Previous clip", "←", () => turn(-1), place === 0),
        button("Next clip", "→", () => turn(1), place === placeCount() - 1),
        button("Close", "✕", () => viewer.close()))),
    element("div", { class: "sheet" },
      films(clip),
      picture(clip, STRIP, { class: "strip", alt: "Five pictures of the film, from its first to its last" }) || "",
      element("div", { class: "about" },
        element("div", { class: "told" }, reason(clip), promptSections(clip), checkSection(clip)),
        factList(facts(clip)))));
  if (!viewer.open) viewer.showModal();
  viewer.focus(); // not the film: its own arrow keys would wind it
  history.replaceState(null, "", `#${encodeURIComponent(clip.clip_id)}`);
}

function turn(step) {
  const place = current + step;
  if (place >= 0 && place < placeCount() && clipAt(place)) openClip(place);
}

function playFilm() {
  const shown = viewer.querySelector("#film");
  if (shown) shown.paused ? shown.play() : shown.pause();
}

async function copy(event) {
  const button = event.currentTarget, text = button.previousElementSibling;
  try {
    await navigator.clipboard.writeText(text.textContent);
  } catch { // a page that came over plain http has no clipboard of its own
    getSelection().selectAllChildren(text);
    document.execCommand("copy");
  }
  button.textContent = "Copied";
}

viewer.addEventListener("click", (event) => { if (event.target === viewer) viewer.close(); });
viewer.addEventListener("close", () => {
  viewer.replaceChildren();
  history.replaceState(null, "", location.pathname + location.search);
  goTo(current);
});
