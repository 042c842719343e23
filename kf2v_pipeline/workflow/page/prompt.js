// What the service made of a prompt, word by word against what was asked for.
const WORDS = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]|[\p{L}\p{N}'’-]+|\s+|[^]/gu;
const MOST_WORDS = 1200;
const LEAST_KEPT = 0.5; // of what was asked for; below that it is another text
const lettersIn = (text) => text.replace(/\s+/g, "").length; // spaces are alike everywhere

// Pairs of kind ("", "ins", "del") and text; null where the two share too little to be compared.
function compare(asked, told) {
  const before = asked.match(WORDS) || [], after = told.match(WORDS) || [];
  if (before.length > MOST_WORDS || after.length > MOST_WORDS) return null;
  const width = after.length + 1;
  const shared = new Uint16Array((before.length + 1) * width); // length of the longest common run of words from here on
  for (let i = before.length - 1; i >= 0; i -= 1)
    for (let j = after.length - 1; j >= 0; j -= 1)
      shared[i * width + j] = before[i] === after[j]
        ? shared[(i + 1) * width + j + 1] + 1
        : Math.max(shared[(i + 1) * width + j], shared[i * width + j + 1]);
  const parts = [];
  const say = (kind, text) => {
    const last = parts[parts.length - 1];
    if (last && last[0] === kind) last[1] += text;
    else parts.push([kind, text]);
  };
  let i = 0, j = 0;
  while (i < before.length || j < after.length) {
    if (i < before.length && j < after.length && before[i] === after[j]) { say("", after[j]); i += 1; j += 1; }
    else if (i < before.length && (j === after.length || shared[(i + 1) * width + j] >= shared[i * width + j + 1])) say("del", before[i++]);
    else say("ins", after[j++]);
  }
  const kept = parts.filter(([kind]) => !kind).map(([, text]) => text).join("");
  return lettersIn(kept) < lettersIn(asked) * LEAST_KEPT ? null : parts;
}

function promptSections(clip) {
  const section = (name, ...words) => element("section", {}, element("h3", {}, name), element("p", { class: "words" }, ...words));
  const sections = [clip.prompt ? section("Prompt", clip.prompt) : null];
  if (clip.actual_prompt && clip.actual_prompt !== clip.prompt) {
    const parts = clip.prompt ? compare(clip.prompt, clip.actual_prompt) : null;
    const words = parts ? parts.map(([kind, text]) => (kind ? element(kind, {}, text) : text)) : [clip.actual_prompt];
    sections.push(section(parts ? "As the model read it, with what was changed" : "As the model read it", ...words));
  }
  if (clip.negative_prompt) sections.push(section("Negative prompt", clip.negative_prompt));
  return sections;
}
