// Elements, and numbers as they are written. Text is always set as text, so that names cannot become markup.
const fill = (node, attributes, children) => {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick" || name === "oninput" || name === "onkeydown" || name === "onchange") node[name] = value;
    else if (value !== undefined && value !== null) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
};
const el = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

const digits = (most, least = 0) =>
  new Intl.NumberFormat("en", { maximumFractionDigits: most, minimumFractionDigits: least });
const [none, one, two] = [digits(0), digits(1, 1), digits(2, 2)];
const four = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });
const scaled = (value) => (value && Math.abs(value) < 10 ? four : none).format(value);
const forms = {
  text: (value) => String(value),
  whole: (value) => none.format(value),
  thousands: (value) => scaled(value / 1e3),
  millions: (value) => scaled(value / 1e6),
  percent: (value) => one.format(100 * value),
  percent2: (value) => two.format(100 * value),
  number: (value) => (Number.isInteger(value) || Math.abs(value) >= 1e4 ? none : four).format(value),
};
const written = (value, form) => (value === null || value === undefined ? "" : forms[form](value));
const say = (text) => { document.getElementById("said").textContent = text; };

// One stop for the tabulator in a list of things; arrows, Home and End go on from there.
const roving = (items) => (event) => {
  const at = items().indexOf(event.target.closest("[data-stop]"));
  const steps = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items().length - 1 };
  if (at < 0 || !(event.key in steps)) return;
  event.preventDefault();
  const next = items()[Math.max(0, Math.min(items().length - 1, steps[event.key]))];
  items()[at].setAttribute("tabindex", "-1");
  next.setAttribute("tabindex", "0");
  next.focus();
};
