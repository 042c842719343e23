// A card: one clip in the grid.
const STATES = { stored: "Stored", failed: "Failed", in_flight: "In flight", planned: "Planned" };
const POSTER = 1, STRIP = 2, LOOP = 4, FIRST = 8, LAST = 16; // which small pictures there are; see gallery_data.py

const titleOf = (clip) => (typeof clip.title === "string" && clip.title.trim()) || clip.clip_id;

function picturePath(clip, kind) {
  const names = { [POSTER]: "poster.jpg", [STRIP]: "strip.jpg", [LOOP]: "loop.webp", [FIRST]: "first.jpg", [LAST]: "last.jpg" };
  return clip.pictures & kind ? linkTo(`previews/${clip.clip_id}/${clip.fingerprint.slice(0, 12)}.${names[kind]}`) : null;
}

function picture(clip, kind, attributes = {}) {
  const path = picturePath(clip, kind);
  return path && element("img", { src: path, alt: "", decoding: "async", ...attributes });
}

const stateTag = (clip) => element("span", { class: "state" }, STATES[clip.status] || clip.status);

const flawTags = (clip) => flawsOf(clip).map((name) => element("span", { class: "flaw", title: sentenceOf(name) }, wordsOf(name)));
const sentenceOf = (name) => (page.checks[name] ? page.checks[name].sentence : "");
const wordsOf = (name) => name.replace(/_/g, " ");

function reason(clip) {
  if (!clip.error_code && !clip.error_message) return null;
  return element("p", { class: "reason" }, clip.error_code ? element("b", {}, clip.error_code) : null, clip.error_message);
}

const sizeOf = (clip) => (clip.width && clip.height ? `${clip.width} × ${clip.height}` : "");

function factsOf(clip) {
  const cost = clip.cost ? money(clip.cost, clip.currency) : "";
  const named = titleOf(clip) === clip.clip_id ? "" : clip.clip_id;
  return [named, sizeOf(clip) || clip.resolution, cost].filter(Boolean).map((fact) => element("span", {}, fact));
}

function stage(clip) {
  const attributes = { class: "stage", href: `#${encodeURIComponent(clip.clip_id)}`, tabindex: "-1", draggable: "false",
    "aria-label": `${titleOf(clip)}, ${STATES[clip.status] || clip.status}` };
  if (clip.status !== "stored") {
    const pair = [picture(clip, FIRST), picture(clip, LAST)].filter(Boolean);
    return element("a", { ...attributes, class: "stage pair" }, pair.length ? pair : blank());
  }
  const length = clip.duration_s ? element("span", { class: "length" }, `${clip.duration_s.toFixed(1)} s`) : null;
  return element("a", attributes, picture(clip, POSTER) || blank(), length);
}

const blank = () => element("span", { class: "blank" }, "No picture");

function card(clip) {
  const strip = clip.status === "stored" ? picture(clip, STRIP, { class: "strip" }) : null;
  return element("article", { class: "card", "data-state": clip.status },
    stage(clip),
    strip || element("div", { class: "strip" }),
    element("div", { class: "text" },
      element("div", { class: "head" }, element("h2", {}, titleOf(clip)), stateTag(clip)),
      clip.status === "failed" && reason(clip) ? reason(clip) : element("p", { class: clip.flaws ? "words short" : "words" }, clip.prompt),
      element("p", { class: "facts" }, factsOf(clip), flawTags(clip))));
}

const unreadCard = () => element("article", { class: "card unread" },
  element("div", { class: "stage" }), element("div", { class: "strip" }), element("div", { class: "text" }));

// The moving preview of a card lies over its poster while pointer or keyboard ask for it; nothing is read before.
function playCard(shown, clip) {
  stopCards();
  const loop = picture(clip, LOOP, { class: "loop" });
  if (loop) shown.querySelector(".stage").append(loop);
}

function stopCards() {
  for (const loop of document.querySelectorAll(".loop")) loop.remove();
}
