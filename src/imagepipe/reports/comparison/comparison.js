const COLORS = 8, PER_PAGE = 24;

function svg(name, attributes = {}, text = null) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== null) element.textContent = text;
  return element;
}

const named = (measure) => data.names[measure] ?? measure;
const short = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
const values = (point) => Object.values(point.swept).join(", ") || point.label;
const color = (number) => `--at: var(--c${number % COLORS})`;

// ---- charts -----------------------------------------------------------------------------------
const HIGH = 320, LEFT = 62, RIGHT = 18, TOP = 22, BOTTOM = 48;

function ticks(low, high) {
  const raw = (high - low) / 5 || 1, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((times) => times * power).find((size) => size >= raw * 0.999);
  const found = [];
  for (let tick = Math.ceil(low / step - 1e-9); tick * step <= high + step * 1e-9; tick++) found.push(+(tick * step).toPrecision(6));
  return found;
}

/* A scale from values to px. Values that are not all numbers stand side by side, each with a tick. */
function scale(values, from, to, zero) {
  const numbers = values.map(Number);
  if (values.some((value) => value === "") || numbers.some((number) => !Number.isFinite(number))) {
    const names = [...new Set(values)];
    const at = (value) => from + ((names.indexOf(value) + 0.5) / names.length) * (to - from);
    return { at, ticks: names, order: (value) => names.indexOf(value) };
  }
  let low = Math.min(...numbers), high = Math.max(...numbers);
  if (zero && low >= 0) low = 0; else low -= (high - low) * 0.08;
  high += (high - low) * 0.08;
  if (high === low) { low -= 1; high += 1; }
  return { at: (value) => from + ((value - low) / (high - low)) * (to - from), ticks: ticks(low, high), order: Number };
}

const limits = (figure) => figure.filter((value) => value !== null);

/* Points {x, y, label, number, series, kind}, where x and y are [value, low, high] or a text. */
function chart(into, points, xTitle, yTitle, lines, zero) {
  const wide = Math.max(300, into.clientWidth || 560);
  const picture = svg("svg", { viewBox: `0 0 ${wide} ${HIGH}`, role: "img", "aria-label": `${yTitle} against ${xTitle}` });
  const flat = (axis) => points.flatMap((point) => (Array.isArray(point[axis]) ? limits(point[axis]) : [point[axis]]));
  const x = scale(flat("x"), LEFT, wide - RIGHT, zero.x), y = scale(flat("y"), HIGH - BOTTOM, TOP, zero.y);
  const at = (point) => [x.at(Array.isArray(point.x) ? point.x[0] : point.x), y.at(point.y[0])];
  for (const tick of y.ticks) {
    picture.append(svg("line", { class: "rule", x1: LEFT, x2: wide - RIGHT, y1: y.at(tick), y2: y.at(tick) }));
    picture.append(svg("text", { class: "tick", x: LEFT - 8, y: y.at(tick) + 4, "text-anchor": "end" }, tick));
  }
  for (const tick of x.ticks) {
    picture.append(svg("text", { class: "tick", x: x.at(tick), y: HIGH - BOTTOM + 18, "text-anchor": "middle" }, short(String(tick), 24)));
  }
  picture.append(svg("text", { class: "title", x: (LEFT + wide - RIGHT) / 2, y: HIGH - 8, "text-anchor": "middle" }, xTitle));
  picture.append(svg("text", { class: "title", transform: `translate(14 ${(TOP + HIGH - BOTTOM) / 2}) rotate(-90)`, "text-anchor": "middle" }, yTitle));
  for (const line of lines) {
    const path = line.points.map((point) => at(point).join(",")).join(" ");
    picture.append(svg("polyline", { class: "series", points: path, style: color(line.series) }));
  }
  for (const point of points) {
    const [px, py] = at(point);
    if (Array.isArray(point.x) && point.x[1] !== null) picture.append(svg("line", { class: "reach", x1: x.at(point.x[1]), x2: x.at(point.x[2]), y1: py, y2: py, style: color(point.series) }));
    if (point.y[1] !== null) picture.append(svg("line", { class: "reach", x1: px, x2: px, y1: y.at(point.y[1]), y2: y.at(point.y[2]), style: color(point.series) }));
    const dot = svg("circle", { class: `dot ${point.kind ?? ""}`, cx: px, cy: py, r: 6, tabindex: 0, style: color(point.series) });
    dot.dataset.job = point.number;
    dot.append(svg("title", {}, `${point.label}\n${xTitle}: ${figure(point.x)}\n${yTitle}: ${figure(point.y)}`));
    dot.addEventListener("click", () => pick(point.number));
    picture.append(dot);
  }
  write(picture, points, at, wide);
  into.replaceChildren(picture);
  return x;
}

function figure(value) {
  if (!Array.isArray(value)) return value;
  return value[1] === null ? `${said(value[0])} (too few for an interval)` : `${said(value[0])} (${said(value[1])} to ${said(value[2])})`;
}

/* A label at each point, moved up until it lies on no other. */
function write(picture, points, at, wide) {
  const boxes = [], most = wide < 420 ? 18 : 30;
  for (const point of points.toSorted((a, b) => at(b)[1] - at(a)[1])) {
    const [px, py] = at(point), text = short(values(point), most), size = text.length * 6.2;
    const left = px + 10 + size > wide - 4, from = left ? px - 10 - size : px + 10;
    let line = py - 8;
    while (boxes.some((box) => from < box.to && from + size > box.from && Math.abs(box.line - line) < 13)) line -= 13;
    boxes.push({ from, to: from + size, line });
    picture.append(svg("text", { class: "name", x: left ? px - 10 : px + 10, y: line, "text-anchor": left ? "end" : "start" }, text));
  }
}

function drawSwept() {
  const key = find("x").value, measure = find("y").value;
  const others = data.swept.filter((other) => other !== key);
  const series = new Map();
  const points = data.points.flatMap((point) => {
    const y = point.figures[measure];
    if (y === undefined || point.swept[key] === undefined) return [];
    const name = others.map((other) => `${other}=${point.swept[other]}`).join(", ");
    if (!series.has(name)) series.set(name, []);
    const one = { ...point, x: point.swept[key], y, series: [...series.keys()].indexOf(name) };
    series.get(name).push(one);
    return [one];
  });
  const order = scale(points.map((point) => point.x), 0, 1, false).order;
  const lines = [...series.values()].map((each, place) => ({ series: place, points: each.toSorted((a, b) => order(a.x) - order(b.x)) }));
  chart(find("swept-chart"), points, key, named(measure), lines, { x: false, y: measure === "images_per_s" });
}

function drawFront() {
  const score = find("score").value;
  const points = data.points.filter((point) => point.figures[score] && point.figures.images_per_s)
    .map((point) => ({ ...point, x: point.figures.images_per_s, y: point.figures[score], kind: point.front[score], series: point.front[score] === "not" ? COLORS - 1 : 0 }));
  chart(find("front-chart"), points, named("images_per_s"), score, [], { x: true, y: false });
}

/* How many rows of each job have which score: one above the other. */
function drawSpread() {
  const into = find("spread-chart"), name = find("spread").value, spread = data.spreads[name];
  const each = Object.entries(spread.counts), step = Math.max(34, Math.min(64, 280 / each.length));
  const wide = Math.max(300, into.clientWidth || 560), high = TOP + each.length * step + BOTTOM, indent = 14;
  const picture = svg("svg", { viewBox: `0 0 ${wide} ${high}`, role: "img", "aria-label": `Distribution of ${name}` });
  const at = (value) => indent + ((value - spread.low) / (spread.high - spread.low)) * (wide - RIGHT - indent);
  for (const tick of ticks(spread.low, spread.high)) {
    picture.append(svg("line", { class: "rule", x1: at(tick), x2: at(tick), y1: TOP, y2: high - BOTTOM }));
    picture.append(svg("text", { class: "tick", x: at(tick), y: high - BOTTOM + 18, "text-anchor": "middle" }, tick));
  }
  each.forEach(([label, counts], place) => {
    const base = TOP + (place + 1) * step, top = Math.max(...counts), bin = (spread.high - spread.low) / counts.length;
    const path = counts.flatMap((count, number) => [0, 1].map((end) => `${at(spread.low + (number + end) * bin)},${base - (count / top) * (step - 16)}`));
    picture.append(svg("polygon", { class: "hill", points: `${at(spread.low)},${base} ${path.join(" ")} ${at(spread.high)},${base}`, style: color(place) }));
    const mean = data.points.find((point) => point.label === label)?.figures[name];
    if (mean) picture.append(svg("line", { class: "mean", x1: at(mean[0]), x2: at(mean[0]), y1: base - step + 14, y2: base }));
    picture.append(svg("text", { class: "name", x: indent, y: base - step + 12 }, short(label, wide / 8)));
  });
  picture.append(svg("text", { class: "title", x: wide / 2, y: high - 8, "text-anchor": "middle" }, name));
  into.replaceChildren(picture);
}

function pick(number) {
  for (const row of document.querySelectorAll("#jobs tbody tr")) row.classList.toggle("picked", row.dataset.job === String(number));
  document.querySelector("#jobs tr.picked")?.scrollIntoView({ block: "nearest" });
}

const drawn = [["x", drawSwept], ["y", drawSwept], ["score", drawFront], ["spread", drawSpread]].filter(([id]) => find(id));
for (const [id, draw] of drawn) find(id).addEventListener("change", draw);
const drawAll = () => new Set(drawn.map(([, draw]) => draw)).forEach((draw) => draw());
let width = 0;
addEventListener("resize", () => { if (innerWidth !== width) drawAll(); width = innerWidth; });
drawAll();

// ---- table of jobs ----------------------------------------------------------------------------
function compare(a, b) {
  if (a === "" || b === "") return (a === "") - (b === "");
  const numbers = [Number(a), Number(b)];
  return numbers.every(Number.isFinite) ? numbers[0] - numbers[1] : a.localeCompare(b);
}

for (const head of document.querySelectorAll("#jobs th")) {
  head.querySelector("button").addEventListener("click", () => {
    const sign = head.ariaSort === "ascending" ? -1 : 1, place = head.cellIndex;
    for (const other of head.parentElement.children) other.ariaSort = "none";
    head.ariaSort = sign === 1 ? "ascending" : "descending";
    const body = document.querySelector("#jobs tbody");
    const value = (row) => row.children[place].dataset.value;
    // Rows without a value stay last, whichever way it is sorted.
    const order = (a, b) => (value(a) === "" || value(b) === "" ? 1 : sign) * compare(value(a), value(b));
    body.append(...[...body.rows].toSorted(order));
  });
}

// ---- rows and their pictures ------------------------------------------------------------------
const KEY = 0, BASE = 1, CATEGORY = 2, CELLS = 3;  // of a row
const PROMPT = 0, SEED = 1, SMALL = 2, FILE = 3, SCORES = 4;  // of a cell
let page = 0, shown = data.rows;

const small = (cell) => (cell[SMALL] ? `data:image/webp;base64,${cell[SMALL]}` : "");
const file = (cell) => (alone && cell[FILE] ? cell[FILE] : "");

/* Show a cell's picture: in full where its file is there, else small. */
function show(image, cell, full) {
  showFirst(image, full ? [file(cell), small(cell)] : [small(cell), file(cell)]);
}

const picked = (id) => Number(find(id)?.value ?? 0);
const scoreOf = (row, job) => row[CELLS][job] && (row[CELLS][job][SCORES][picked("by")] ?? null);

/* By how much A's score is above B's; null where one of them has none. */
function apart(row) {
  const [a, b] = [scoreOf(row, picked("a")), scoreOf(row, picked("b"))];
  return typeof a === "number" && typeof b === "number" ? a - b : null;
}

function arrange() {
  const words = find("search").value.toLowerCase(), only = find("category")?.value ?? "";
  const fits = (row) => (only === "" || String(row[CATEGORY]) === only) && (words === "" || `${row[KEY]} ${data.texts[row[BASE]]}`.toLowerCase().includes(words));
  shown = data.rows.filter(fits);
  const sign = Number(find("order").value);
  const value = new Map(shown.map((row) => [row, apart(row)]));
  if (sign) shown.sort((a, b) => ((value.get(a) === null) - (value.get(b) === null)) || sign * (value.get(a) - value.get(b)));
  turnTo(0);
}

function turnTo(to) {
  const pages = Math.max(1, Math.ceil(shown.length / PER_PAGE));
  page = Math.min(Math.max(0, to), pages - 1);
  find("place").textContent = `${shown.length.toLocaleString("en")} rows, page ${page + 1} of ${pages}`;
  for (const [id, end] of [["earlier", 0], ["later", pages - 1]]) find(id).disabled = page === end;
  find("grid").replaceChildren(...shown.slice(page * PER_PAGE, (page + 1) * PER_PAGE).map(line));
}

function line(row, place) {
  const element = made("article");
  const head = made("h3", {}, data.texts[row[BASE]]);
  const told = [row[CATEGORY] ? data.texts[row[CATEGORY]] : "", row[KEY]];
  if (apart(row) !== null && picked("a") !== picked("b")) told.push(`A − B ${apart(row) > 0 ? "+" : ""}${said(apart(row))}`);
  head.append(made("small", {}, told.filter(Boolean).join(" · ")));
  const cells = made("div", { class: "cells" });
  cells.append(...row[CELLS].map((cell, job) => pictureOf(cell, job, page * PER_PAGE + place)));
  element.append(head, cells);
  return element;
}

function pictureOf(cell, job, place) {
  const element = made("figure"), caption = made("figcaption");
  if (cell && (small(cell) || file(cell))) {
    const button = made("button", { type: "button", "aria-label": "Enlarge" }), image = made("img", { alt: "", decoding: "async", loading: cell[SMALL] ? "eager" : "lazy" });
    show(image, cell, false);
    button.append(image);
    button.addEventListener("click", () => enlarge(place, job));
    element.append(button);
  } else {
    element.append(made("div", { class: "none" }, cell ? "not shown here" : "no picture"));
  }
  caption.append(made("span", { title: data.jobs[job] }, data.short[job]));
  const score = cell && cell[SCORES][picked("by")];
  if (typeof score === "number") caption.append(made("b", {}, said(score)));
  element.append(caption);
  return element;
}

if (find("grid")) {
  for (const id of ["order", "a", "b", "by", "category"]) find(id)?.addEventListener("change", arrange);
  find("search").addEventListener("input", arrange);
  find("earlier").addEventListener("click", () => turnTo(page - 1));
  find("later").addEventListener("click", () => turnTo(page + 1));
  find("size").addEventListener("input", () => find("grid").style.setProperty("--side", `${find("size").value}px`));
  turnTo(0);
}

// ---- a picture in full, and two with a slider -------------------------------------------------
const view = find("view"), part = (name) => view.querySelector(`[data-part="${name}"]`);
let row = 0, actual = false;

function showSide(side) {
  const job = part(side).value, cell = job === "" ? null : shown[row][CELLS][job];
  part(`image-${side}`).hidden = !cell;
  if (cell) show(part(`image-${side}`), cell, true);
  const score = cell && cell[SCORES][picked("by")];
  part(`text-${side}`).textContent = cell ? data.texts[cell[PROMPT]] : "";
  part(`meta-${side}`).textContent = cell ? [`seed ${cell[SEED]}`, typeof score === "number" ? `score ${said(score)}` : ""].filter(Boolean).join(" · ") : job === "" ? "" : "no picture";
}

function showRow() {
  for (const side of ["a", "b"]) showSide(side);
  slide();
  part("row").textContent = data.texts[shown[row][BASE]];
  if (!view.open) view.showModal();
}

function slide() {
  const both = part("b").value !== "", share = both ? part("slide").value : 100;
  part("slide").hidden = part("edge").hidden = !both;
  part("image-a").style.clipPath = `inset(0 ${100 - share}% 0 0)`;
  part("edge").style.left = `${share}%`;
  const image = part("image-a").hidden ? part("image-b") : part("image-a");
  part("sheet").style.width = actual && image.naturalWidth ? `${image.naturalWidth}px` : "";
  part("sheet").style.height = actual && image.naturalHeight ? `${image.naturalHeight}px` : "";
  part("actual").setAttribute("aria-pressed", actual);
}

function enlarge(place, job) { row = place; part("a").value = job; showRow(); }
function turn(by) { row = (row + by + shown.length) % shown.length; showRow(); }
function zoom() { actual = !actual; slide(); }
function swap(by) {
  const a = part("a");
  a.selectedIndex = (a.selectedIndex + by + a.options.length) % a.options.length;
  showRow();
}

for (const name of ["a", "b"]) part(name).addEventListener("change", showRow);
for (const name of ["image-a", "image-b"]) part(name).addEventListener("load", slide);
part("slide").addEventListener("input", slide);
part("actual").addEventListener("click", zoom);
part("up").addEventListener("click", () => turn(-1));
part("down").addEventListener("click", () => turn(1));

// ---- blind votes ------------------------------------------------------------------------------
const ballot = find("ballot"), KEPT = `imagepipe votes ${data.of}`;
const sheet = (name) => ballot.querySelector(`[data-part="${name}"]`);
let votes = kept(), asked = [], question = null;

/* What was voted here before. Inside another page a browser may keep nothing. */
function kept() {
  try {
    const found = JSON.parse(localStorage.getItem(KEPT));
    if (found?.votes) return found;
  } catch { /* begun anew */ }
  return { imagepipe_votes: 1, of: data.of, folder: data.folder, voter: Math.random().toString(36).slice(2, 10), votes: [] };
}

function keep() {
  try { localStorage.setItem(KEPT, JSON.stringify(votes)); } catch { /* the export has them */ }
}

/* A number below 1 that a text decides: the order and the sides are the same when a voter returns. */
function chance(text) {
  let hash = 2166136261;
  for (const sign of text) hash = Math.imul(hash ^ sign.codePointAt(0), 16777619);
  hash = Math.imul(hash ^ (hash >>> 15), 2246822507);
  return ((hash ^ (hash >>> 13)) >>> 0) / 4294967296;
}

const pairName = (key, a, b) => JSON.stringify([key, ...[data.jobs[a], data.jobs[b]].sort()]);

function questions() {
  const [a, b] = ["vote-a", "vote-b"].map((id) => find(id).value);
  const wanted = (one, other) => (a === "" || [one, other].includes(Number(a))) && (b === "" || [one, other].includes(Number(b)));
  const found = [];
  for (const each of data.rows) {
    const cells = each[CELLS];
    for (let one = 0; one < cells.length; one++) {
      for (let other = one + 1; other < cells.length; other++) {
        if (!cells[one] || !cells[other] || !wanted(one, other) || (cells[one][SMALL] && cells[one][SMALL] === cells[other][SMALL])) continue;
        const name = pairName(each[KEY], one, other), mixed = chance(votes.voter + name);
        const sides = chance(name + votes.voter) < 0.5 ? [one, other] : [other, one];
        found.push({ row: each, name, mixed, sides });
      }
    }
  }
  return found.sort((x, y) => x.mixed - y.mixed);
}

function begin() {
  asked = questions();
  next();
  if (!ballot.open) ballot.showModal();
  sheet("left").focus();
}

function next() {
  const done = new Set(votes.votes.map((vote) => JSON.stringify([vote.row, ...[vote.left, vote.right].sort()])));
  const open = asked.filter((one) => !done.has(one.name));
  question = open[0] ?? null;
  sheet("count").textContent = `${votes.votes.length} votes so far, ${open.length.toLocaleString("en")} left`;
  sheet("prompt").textContent = question ? data.texts[question.row[BASE]] : "That was all. Export your votes.";
  ["left", "right"].forEach((side, place) => {
    const image = sheet(side).querySelector("img");
    sheet(side).disabled = !question;
    if (question) show(image, question.row[CELLS][question.sides[place]], true);
    else image.src = "data:,";
  });
  count();
}

function count() { find("voted").textContent = votes.votes.length; }

function vote(better) {
  if (!question) return;
  const [left, right] = question.sides.map((job) => data.jobs[job]);
  votes.votes.push({ row: question.row[KEY], left, right, better, at: new Date().toISOString() });
  keep();
  next();
}

function undo() { votes.votes.pop(); keep(); next(); }

function exportVotes() {
  const text = JSON.stringify(votes, null, 1), name = `votes-${votes.voter}.json`;
  const link = made("a", { download: name, href: URL.createObjectURL(new Blob([text], { type: "application/json" })) });
  link.click();
  URL.revokeObjectURL(link.href);
  sheet("file").hidden = false;
  sheet("json").value = text;
  sheet("name").textContent = name;
}

if (find("vote")) {
  count();
  find("vote").addEventListener("click", begin);
  for (const id of ["vote-a", "vote-b"]) find(id).addEventListener("change", begin);
  for (const side of ["left", "right", "neither"]) sheet(side).addEventListener("click", () => vote(side));
  sheet("undo").addEventListener("click", undo);
  sheet("export").addEventListener("click", exportVotes);
}

// ---- keys -------------------------------------------------------------------------------------
const VIEW = { ArrowUp: () => turn(-1), ArrowDown: () => turn(1), ArrowLeft: () => swap(-1), ArrowRight: () => swap(1), z: zoom };
const BALLOT = { ArrowLeft: () => vote("left"), ArrowRight: () => vote("right"), ArrowDown: () => vote("neither"), Backspace: undo };

document.addEventListener("keydown", (event) => {
  const keys = view.open ? VIEW : ballot?.open ? BALLOT : {};
  if (["SELECT", "INPUT", "TEXTAREA"].includes(document.activeElement.tagName) || !(event.key in keys)) return;
  event.preventDefault();
  keys[event.key]();
});
