// The chosen layer: what it is, how it is run, what lies in the buffer, how its maps are cut.
const MOST_LINES = 48, SIDE = 150;

const showLayer = (panel, result, id) => {
  const layer = result.layers[id];
  const facts = el("dl", {}, ...layer.facts.flatMap(([name, value, form]) => [el("dt", {}, name), el("dd", {}, written(value, form))]));
  panel.replaceChildren(el("h3", {}, `Layer ${layer.row.name}`), facts, ...layer.pieces.map((piece, i) => {
    const inside = [...nestAndPicture(piece, result)];
    if (layer.pieces.length === 1) return el("div", {}, ...inside);
    return fill(el("details", {}, el("summary", {}, piece.title), ...inside), i === 0 ? { open: "" } : {}, []);
  }));
  if (!layer.pieces.length) panel.append(el("p", { class: "warning" }, "No mapping of this layer was found."));
};

function* nestAndPicture(piece, result) {
  if (piece.proof) yield el("p", {}, piece.proof);
  yield el("h4", { class: "unseen" }, "Loop nest");
  yield el("pre", { class: "nest", tabindex: "0", "aria-label": `Loop nest of ${piece.title}` }, piece.nest);
  const used = piece.rooms.filter((room) => room.kind !== "free");
  if (!used.length) return;
  const told = used.map((room) => `${room.label} ${written(room.bytes, "whole")} bytes`).join(", ");
  yield el("div", { class: "room", role: "img", "aria-label": `The buffer: ${told}` }, ...piece.rooms.map((room) =>
    fill(el("div", { style: `width:${(100 * room.bytes) / result.buffer}%`, title: `${room.label}: ${written(room.bytes, "whole")} bytes` }),
      {}, Array.from({ length: room.copies }, () => el("div", { class: room.kind })))));
  yield el("ul", { class: "key" }, ...piece.rooms.map((room) => el("li", {}, el("span", { class: `swatch ${room.kind}` }),
    `${room.label} ${written(room.bytes / 1024, "number")} KiB${room.tile ? `: ${room.copies > 1 ? "2 tiles of " : ""}${room.tile}` : ""}`)));
  if (piece.planes.length) yield el("div", { class: "planes" }, ...piece.planes.map(plane));
}

// A map with its cuts, and its first tile in colour; where there are too many cuts, the tile alone.
const plane = ({ label, size: [high, wide], tile: [rows, columns], trips: [down, across], channels, of }) => {
  const scale = SIDE / Math.max(high, wide), [h, w] = [Math.max(4, high * scale), Math.max(4, wide * scale)];
  const [sy, sx] = [h / high, w / wide];
  const lines = (n, step, make) => n > MOST_LINES ? [] : Array.from({ length: n - 1 }, (_, i) => make((i + 1) * step));
  const cuts = [
    ...lines(down, rows * sy, (at) => svg("line", { class: "cut", x1: 0, x2: w, y1: at, y2: at })),
    ...lines(across, columns * sx, (at) => svg("line", { class: "cut", y1: 0, y2: h, x1: at, x2: at })),
  ];
  const first = { x: 0, y: 0, width: Math.max(1.5, Math.min(w, columns * sx)), height: Math.max(1.5, Math.min(h, rows * sy)), style: `fill:var(--${label})` };
  const what = label === "weights" ? "co x ci" : `${channels} of ${of} channels`;
  const told = `${label}: ${rows} x ${columns} of ${high} x ${wide}, ${what}`;
  return el("figure", {}, svg("svg", { width: w + 2, height: h + 2, viewBox: `-1 -1 ${w + 2} ${h + 2}`, role: "img", "aria-label": told },
    svg("rect", { class: "map", width: w, height: h }), svg("rect", first), ...cuts), el("figcaption", {}, told));
};
