// The network: a line for each operator in the order in which they run, arcs where one is read further down.
const ROW = 26, LANE = 9;

const shade = (share, most) => `color-mix(in oklab, var(--ifmap) ${Math.round(100 * Math.sqrt(share / most))}%, var(--paper))`;

const makeGraph = (result, choose) => {
  const { rows, edges, held } = result.graph;
  const lanes = Math.max(0, ...edges.map((edge) => edge.lane));
  const left = 8 + LANE * (lanes + 1), width = 150, cells = left + width + 14;
  const right = cells + 116, total = right + 14 + 8 * Math.max(0, ...held.map((tensor) => tensor.lane));
  const most = (key) => Math.max(1e-9, ...result.layers.map((layer) => layer.row[key] ?? 0));
  const top = { time_share: most("time_share"), traffic_share: most("traffic_share") };
  const y = (row) => 34 + ROW * row;
  const picture = svg("svg", { width: total, height: y(rows.length), viewBox: `0 0 ${total} ${y(rows.length)}`, role: "group", "aria-label": "The network as a graph" });
  picture.append(svg("text", { x: cells, y: 18, class: "soft" }, "time"), svg("text", { x: cells + 56, y: 18, class: "soft" }, "traffic"));
  for (const { from, to, lane } of edges) {
    const x = left - LANE * lane, [a, b] = [y(from) + ROW / 2 - 3, y(to) + ROW / 2 - 3];
    const straight = `M${left + 20} ${y(from) + ROW - 6}V${y(to)}`;
    const arc = `M${left} ${a + 3}H${x + 5}Q${x} ${a + 3} ${x} ${a + 8}V${b - 8}Q${x} ${b - 3} ${x + 5} ${b - 3}H${left}`;
    picture.append(svg("path", { class: "edge", d: lane ? arc : straight }));
  }
  stackRuns(result, rows).forEach(([first, last, name]) => picture.append(
    svg("path", { class: "stack", d: `M${right - 4} ${y(first) + 2}h6V${y(last) + ROW - 8}h-6` }, svg("title", {}, `stack ${name}`))));
  held.forEach(({ name, bytes, from, to, lane }) => {
    const bar = { class: "held", x: right + 2 + 8 * lane, width: 5, y: y(from), height: y(to) - y(from) + ROW - 6, rx: 2 };
    picture.append(svg("rect", bar, svg("title", {}, `${name} stays: ${written(bytes, "whole")} bytes`)));
  });
  rows.forEach((row, i) => picture.append(drawn(row, i)));

  function drawn(row, i) {
    const box = svg("rect", { class: "box", x: left, y: y(i), width, height: ROW - 6, rx: 4 });
    const label = row.layers.length > 1 ? `${row.name} x${row.layers.length}` : row.name;
    const short = label.length > 20 ? `${label.slice(0, 9)}…${label.slice(-9)}` : label;
    const text = svg("text", { x: left + 7, y: y(i) + 14, class: row.layers.length ? null : "soft" }, row.layers.length ? short : `${short} (${row.op})`.slice(0, 26));
    if (!row.layers.length) return svg("g", {}, svg("title", {}, `${row.name}: ${row.op}`), box, text);
    const of = result.layers[row.layers[0]].row;
    const sum = (key) => of[key] === null ? null : of.stack ? of[key] : row.layers.reduce((all, at) => all + (result.layers[at].row[key] ?? 0), 0);
    const shares = { time_share: sum("time_share"), traffic_share: sum("traffic_share") };
    const told = `${row.name}, ${row.op}, ${written(shares.time_share, "percent") || "no"} % of time${of.stack ? " (its stack)" : ""}, ${written(shares.traffic_share, "percent") || "no"} % of traffic`;
    const node = svg("g", { role: "button", "data-stop": "", "data-id": row.layers[0], tabindex: "-1", "aria-pressed": "false", "aria-label": told,
      onclick: () => choose(row.layers[0]),
      onkeydown: (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(row.layers[0]); } } },
    svg("title", {}, told), box, text);
    ["time_share", "traffic_share"].forEach((key, n) => {
      if (shares[key] === null) return;
      node.append(svg("rect", { class: "share", x: cells + 56 * n, y: y(i) + 3, width: 14, height: ROW - 12, rx: 2, style: `fill:${shade(Math.min(shares[key], top[key]), top[key])}` }),
        svg("text", { x: cells + 56 * n + 18, y: y(i) + 14, class: "soft" }, written(shares[key], "percent")));
    });
    return node;
  }
  const stops = () => [...picture.querySelectorAll("[data-stop]")];
  picture.addEventListener("keydown", roving(stops));
  stops()[0]?.setAttribute("tabindex", "0");
  return {
    node: el("div", { class: "graph scroll tall" }, picture),
    mark: (id) => stops().forEach((stop) => {
      const own = rows.find((row) => row.layers[0] === Number(stop.dataset.id)).layers.includes(id);
      stop.setAttribute("aria-pressed", String(own));
      stop.setAttribute("tabindex", own ? "0" : "-1");
    }),
  };
};

// Runs of lines whose layers are in the same stack: first line, last line, name.
const stackRuns = (result, rows) => {
  const found = [];
  rows.forEach((row, i) => {
    const name = row.layers.length ? result.layers[row.layers[0]].row.stack : "";
    if (!name) return;
    const last = found[found.length - 1];
    if (last && last[2] === name) last[1] = i;
    else found.push([i, i, name]);
  });
  return found;
};
