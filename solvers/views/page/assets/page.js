// The page as a whole.
const data = JSON.parse(document.getElementById("data").textContent);
const main = document.getElementById("main");

const section = (id, title, ...children) => {
  const node = el("section", { id, "aria-labelledby": `${id}-title` }, el("h2", { id: `${id}-title` }, title), ...children);
  main.append(node);
  document.getElementById("contents").append(el("a", { href: `#${id}` }, title));
  return node;
};

const card = ({ name, unit, value, beside }) => {
  const most = Math.max(value, ...beside.map((other) => other.value));
  const bar = (amount, kind) => el("div", { class: "track", "aria-hidden": "true" }, el("div", { class: `fill ${kind}`, style: `width:${(100 * amount) / most}%` }));
  const told = ({ name: title, value: amount, kind }) => {
    const ratio = kind === "otherwise" ? amount / value : value / amount;
    const text = kind === "otherwise" ? `${written(ratio, "number")} times this` : `ratio ${ratio.toFixed(3)}`;
    return el("li", {}, el("div", { class: "told" }, el("span", {}, title), el("span", {}, `${written(amount, "whole")}${amount ? ` (${text})` : ""}`)), bar(amount, kind));
  };
  return el("div", { class: "card" }, el("h3", {}, name), el("div", { class: "value" }, written(value, "whole"), el("span", { class: "soft" }, ` ${unit}`)), bar(value, "total"), el("ul", {}, ...beside.map(told)));
};

// What is shown of one result; what it returns chooses a layer by name in it.
const showResult = async (result, places) => {
  places.head.replaceChildren(el("p", {}, result.machine), el("p", { class: "soft" }, result.method),
    result.complete ? "" : el("p", { class: "warning" }, "A layer has no mapping: the totals cover the others."));
  places.totals.replaceChildren(...result.totals.map(card));
  const at = new Map(result.layers.map((layer, i) => [layer.row.name, i]));
  let markCharts = () => {};
  const choose = (id, quiet) => {
    table.mark(id);
    graph.mark(id);
    showLayer(places.chosen, result, id);
    markCharts(result.layers[id].row.name);
    if (!quiet) say(`Layer ${result.layers[id].row.name} is chosen`);
  };
  const byName = (name) => { if (at.has(name)) choose(at.get(name)); };
  const rows = result.layers.map((layer, id) => ({ ...layer.row, id }));
  const table = makeTable({ caption: "Layers, in the network's order. Choose one to see how it is run.", columns: result.columns, rows, choose });
  const graph = makeGraph(result, choose);
  places.table.replaceChildren(table.node);
  places.graph.replaceChildren(graph.node);
  if (rows.length) choose(0, true);
  markCharts = await drawCharts(places.charts, result.charts, byName);
  return byName;
};

const start = async () => {
  const drawing = [];
  let byName = () => {};
  const elsewhere = [];
  const everywhere = (name) => { byName(name); elsewhere.forEach((mark) => mark(name)); };
  if (data.results.length) {
    const places = { head: document.getElementById("head"), totals: el("div", { class: "totals" }), table: el("div"), graph: el("div"), chosen: el("div", { class: "chosen" }), charts: el("div", { class: "charts" }) };
    const show = (i) => { drawing.push(showResult(data.results[i], places).then((choose) => { byName = choose; })); };
    if (data.results.length > 1) {
      const select = el("select", { onchange: (event) => show(Number(event.target.value)) }, ...data.results.map((r, i) => el("option", { value: i }, r.name)));
      places.head.before(el("div", { class: "bar" }, el("label", {}, "Shown", select)));
    }
    section("totals", "Totals against bounds", places.totals);
    section("layers", "Layers", places.table);
    const key = el("ul", { class: "key" }, el("li", {}, el("span", { class: "swatch shades" }), "the stronger the colour, the larger the share"),
      el("li", {}, "operators with one input and no MACs are left out"),
      data.results.some((r) => r.graph.held.length) ? el("li", {}, el("span", { class: "swatch stays" }), "a feature map that stays on the chip") : null,
      data.results.some((r) => r.layers.some((layer) => layer.row.stack)) ? el("li", {}, el("span", { class: "swatch ofmap" }), "bracket: a stack of layers") : null);
    section("network", "Network and chosen layer", el("div", { class: "pair" }, el("div", {}, key, places.graph), places.chosen));
    section("charts", "Roofline, cycles, traffic, parts", places.charts);
    show(0);
  }
  for (const [i, comparison] of data.comparisons.entries()) {
    const rows = makeTable({ caption: "Layers by method", columns: comparison.columns, rows: comparison.rows });
    const totals = makeTable({ caption: "Totals by method", columns: comparison.total_columns, rows: comparison.totals, filter: false });
    const charts = el("div", { class: "charts" });
    section(`comparison${i || ""}`, `Methods: ${comparison.title}`, totals.node, rows.node, charts);
    drawing.push(drawCharts(charts, comparison.charts, everywhere));
  }
  if (data.charts.length) {
    const charts = el("div", { class: "charts" });
    section("fronts", "Fronts and curves", charts);
    drawing.push(drawCharts(charts, data.charts, everywhere));
  }
  if (data.sweep) drawing.push(sweepSection(data.sweep, section("sweep", "Sweep")));
  if (data.scenarios.length) section("again", "Run it again", ...again(data.scenarios));
  await Promise.all(drawing);
  document.documentElement.dataset.ready = "";
};

function* again(scenarios) {
  const names = scenarios.map(([name]) => name);
  yield el("p", {}, `Every field is said. Save it as ${names.join(", ")}, then:`);
  yield el("pre", { tabindex: "0", "aria-label": "Command" }, data.command);
  for (const [name, text] of scenarios) {
    const said = el("span", { role: "status" });
    const copy = async () => { await navigator.clipboard.writeText(text); said.textContent = "Copied"; };
    yield el("div", { class: "bar" }, el("button", { type: "button", onclick: () => save(name, text) }, `Save ${name}`),
      navigator.clipboard ? el("button", { type: "button", onclick: copy }, "Copy") : null, said);
    yield el("pre", { class: "tall scenario", tabindex: "0", "aria-label": name }, text);
  }
}

const save = (name, text) => {
  const link = el("a", { href: URL.createObjectURL(new Blob([text], { type: "text/yaml" })), download: name });
  link.click();
  URL.revokeObjectURL(link.href);
};

start();
