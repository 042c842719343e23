// Elements. Every text comes in as a text node, never as markup: prompts and columns are foreign text.
const byId = (id) => document.getElementById(id);

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "on") for (const [event, listener] of Object.entries(value)) made.addEventListener(event, listener);
    else if (key === "muted") made.muted = true; // an attribute would only be its default
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

// A link from the page to a file of the storage.
const linkTo = (path) => "../" + path.split("/").map(encodeURIComponent).join("/");

const counted = new Intl.NumberFormat("en");

function money(amount, currency) {
  const exact = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 4 }).format(amount);
  return currency ? `${exact} ${currency}` : exact;
}
