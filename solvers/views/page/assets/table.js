// A table that can be sorted by any column and filtered by words; with `choose`, its rows can be chosen.
const MOST = 300;

const makeTable = ({ caption, columns, rows, choose, filter = true, tall = true }) => {
  const state = { key: null, down: false, words: [], shown: MOST, chosen: null };
  const body = el("tbody");
  const count = el("span", { class: "soft", role: "status" });
  const more = el("button", { type: "button", onclick: () => { state.shown += MOST; draw(); } }, "Show more rows");
  const heads = columns.map(([key, title, unit, form]) => {
    const button = el("button", { type: "button", onclick: () => sort(key) }, title);
    return el("th", { scope: "col", class: form === "text" ? null : "number", "data-key": key }, button,
      unit ? el("span", { class: "unit" }, unit) : null);
  });
  const text = (row) => columns.map(([key]) => String(row[key] ?? "")).join(" ").toLowerCase();
  const texts = new Map(rows.map((row) => [row, text(row)]));

  const sort = (key) => {
    state.down = state.key === key ? !state.down : columns.find((c) => c[0] === key)[3] !== "text";
    state.key = key;
    for (const head of heads) {
      if (head.dataset.key === key) head.setAttribute("aria-sort", state.down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
    draw();
  };
  const compare = (a, b) => {
    const [x, y] = [a[state.key], b[state.key]];
    const absent = (value) => value === null || value === undefined || value === "";
    if (absent(x) || absent(y)) return absent(x) - absent(y); // what there is not stands last, either way
    const order = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y), "en", { numeric: true });
    return state.down ? -order : order;
  };
  const cell = (row, [key, , , form], first) => {
    const value = written(row[key], form);
    if (!first) return el("td", { class: form === "text" ? null : "number" }, value);
    if (!choose) return el("th", { scope: "row", class: form === "text" ? null : "number" }, value);
    const button = el("button", { type: "button", class: "choose", "data-stop": "", tabindex: "-1" }, value);
    return el("th", { scope: "row" }, button);
  };
  const draw = () => {
    let found = rows.filter((row) => state.words.every((word) => texts.get(row).includes(word)));
    if (state.key) found = [...found].sort(compare);
    const shown = found.slice(0, state.shown);
    body.replaceChildren(...shown.map((row) => {
      const line = el("tr", { "data-id": row.id, "aria-current": choose && row.id === state.chosen ? "true" : null },
        ...columns.map((column, i) => cell(row, column, i === 0)));
      if (choose) line.onclick = () => choose(row.id);
      return line;
    }));
    count.textContent = found.length === rows.length && shown.length === found.length ? `${rows.length} rows`
      : `${shown.length} of ${found.length === rows.length ? rows.length : `${found.length} found in ${rows.length}`} rows`;
    more.hidden = shown.length === found.length;
    const first = body.querySelector("tr[aria-current] [data-stop]") ?? body.querySelector("[data-stop]");
    first?.setAttribute("tabindex", "0");
  };
  const box = el("input", { type: "search", oninput: (event) => {
    state.words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
    state.shown = MOST;
    draw();
  } });
  const table = el("table", { onkeydown: roving(() => [...body.querySelectorAll("[data-stop]")]) },
    el("caption", {}, caption), el("thead", {}, el("tr", {}, ...heads)), body);
  draw();
  return {
    node: el("div", {}, el("div", { class: "bar" }, filter ? el("label", {}, "Filter", box) : null, count),
      el("div", { class: tall ? "scroll tall" : "scroll", tabindex: choose ? null : "0", role: "region", "aria-label": caption }, table), more),
    mark: (id) => {
      state.chosen = id;
      for (const line of body.children) {
        if (Number(line.dataset.id) === id) line.setAttribute("aria-current", "true");
        else line.removeAttribute("aria-current");
      }
    },
  };
};
