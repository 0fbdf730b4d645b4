// Charts: drawn by Vega, coloured by the page's style, each with its numbers as a table.
const config = {
  background: null, font: "system-ui, sans-serif",
  view: { stroke: null },
  axis: { labelColor: "var(--ink)", titleColor: "var(--soft)", domainColor: "var(--soft)", tickColor: "var(--soft)", gridColor: "var(--line)", labelFontSize: 11, titleFontWeight: 400 },
  legend: { labelColor: "var(--ink)", titleColor: "var(--soft)", symbolStrokeWidth: 2, titleLimit: 0 },
  style: { "guide-label": { fill: "var(--ink)" }, "guide-title": { fill: "var(--soft)" } },
};

const drawChart = async ({ title, text, spec, values, columns }, choose) => {
  const place = el("div", { class: "chart" });
  const numbers = el("details", {}, el("summary", {}, "The numbers as a table"));
  numbers.addEventListener("toggle", () => {
    if (numbers.children.length === 1) numbers.append(makeTable({ caption: title, columns, rows: values }).node);
  });
  const figure = el("figure", {}, el("h3", {}, title), el("p", { class: "soft" }, text), place, numbers);
  const draw = async () => {
    const options = { renderer: "svg", ast: true, config, tooltip: { theme: "custom" }, actions: { export: true, source: false, compiled: false, editor: false } };
    const { view } = await vegaEmbed(place, { ...spec, datasets: { values } }, options);
    view.addEventListener("click", (event, item) => { if (item?.datum?.layer !== undefined) choose(item.datum.layer); });
    figure.mark = (name) => setSignals(view, name);
    figure.dataset.drawn = "";
  };
  return { figure, draw };
};

// The chosen layer is edged where its mark is, and shown where one at a time is.
const setSignals = (view, name) => {
  const { signals = {} } = view.getState({ signals: (n) => n === "chosen" || n === "shown", data: () => false });
  if ("chosen" in signals) view.signal("chosen", name);
  if ("shown" in signals) view.signal("shown", name);
  view.runAsync();
};

const drawCharts = async (place, charts, choose) => {
  const made = await Promise.all(charts.map((chart) => drawChart(chart, choose)));
  place.replaceChildren(...made.map(({ figure }) => figure));
  for (const { draw } of made) await draw();
  return (name) => made.forEach(({ figure }) => figure.mark?.(name));
};
