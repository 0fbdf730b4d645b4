// A sweep: its points as a table, and a chart of any column against any axis.
const sweepSection = ({ axes, columns, values, of }, place) => {
  const names = columns.map(([key]) => key);
  const length = values[names[0]]?.length ?? 0;
  const rows = Array.from({ length }, (_, i) => Object.fromEntries(names.map((name) => [name, values[name][i]])));
  const form = Object.fromEntries(columns.map(([key, , , kind]) => [key, kind]));
  const quantities = names.filter((name) => form[name] === "number" && !axes.includes(name));
  const chart = el("div");
  const select = (label, options, value) => {
    const node = el("select", { onchange: () => draw() }, ...options.map((o) => el("option", { value: o }, o || "nothing")));
    node.value = value;
    return [el("label", {}, label, node), node];
  };
  const [xLabel, x] = select("Across", axes, axes[0]);
  const [yLabel, y] = select("Upwards", quantities, quantities.find((name) => name.includes("traffic")) ?? quantities[0]);
  const [byLabel, by] = select("Colour", ["", ...axes], axes[1] ?? "");
  const draw = async () => {
    const plain = rows.map((row) => ({ x: row[x.value], y: row[y.value], by: by.value ? String(row[by.value]) : "" }));
    const numeric = form[x.value] === "number";
    const positive = numeric && plain.every((row) => row.x > 0);
    const encoding = {
      x: { field: "x", title: x.value, type: numeric ? "quantitative" : "nominal", sort: null, ...(positive ? { scale: { type: "log" } } : {}), axis: numeric ? { format: "~s" } : {} },
      y: { field: "y", title: y.value, type: "quantitative", axis: { format: "~s" }, scale: { zero: false } },
      tooltip: [{ field: "x", title: x.value }, { field: "y", title: y.value, type: "quantitative", format: ",.6~r" }, ...(by.value ? [{ field: "by", title: by.value }] : [])],
    };
    const series = [1, 2, 3, 4, 5, 6].map((n) => `var(--series${n})`);
    const split = { field: "by", type: "nominal", title: by.value, sort: null, legend: { orient: "top" } };
    if (by.value) Object.assign(encoding, { color: { ...split, scale: { range: series } }, shape: split });
    else encoding.color = { value: "var(--ifmap)" };
    const spec = { width: "container", autosize: { type: "fit-x", contains: "padding" }, height: 340, data: { name: "values" }, mark: { type: "point", size: 60, strokeWidth: 2 }, encoding };
    const described = { title: `${y.value} against ${x.value}`, text: "Each mark is a point of the sweep.", spec, values: plain, columns: [["x", x.value, "", form[x.value]], ["y", y.value, "", "number"], ["by", by.value || "all", "", "text"]] };
    await drawCharts(chart, [described], () => {});
  };
  if (of > length) place.append(el("p", { class: "warning" }, `The first ${length} of ${of} points; a page does not hold them all.`));
  place.append(makeTable({ caption: "Points of the sweep", columns, rows }).node);
  if (!axes.length || !quantities.length) return null;
  place.append(el("div", { class: "bar" }, xLabel, yLabel, byLabel), el("div", { class: "charts" }, chart));
  return draw();
};
