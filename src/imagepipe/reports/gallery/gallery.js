/* All rows, by columns: `columns` are those of the table, by name, with a value a row or null. */
const all = { id: [], number: [], status: [], reason: [], picture: [], inputs: [], text: [], columns: new Map() };
const LIST = 40; // different texts of a column that are offered as a list
const TEXT_HEIGHT = 94, BASE_HEIGHT = 22, GAP = 14; // px, of a card's text, of its base prompt, and between cards
const grid = find("grid"), view = find("view"), filters = find("filters");
const part = (name) => view.querySelector(`[data-part="${name}"]`);
let shown = []; // places among all rows, in order
let current = 0; // of those, in full

// ---- the rows ---------------------------------------------------------------------------------
function take(chunk) {
  const before = all.id.length, count = chunk.id.length;
  for (const name of ["id", "status", "reason", "picture", "inputs"]) all[name].push(...chunk[name]);
  for (const [name, values] of chunk.columns) {
    if (!all.columns.has(name)) all.columns.set(name, new Array(before).fill(null));
    all.columns.get(name).push(...values);
  }
  for (const values of all.columns.values()) while (values.length < before + count) values.push(null);
  const texts = [...all.columns.values()];
  for (let row = before; row < before + count; row++) {
    const said = [all.id[row], all.reason[row] ?? "", ...texts.map((values) => values[row] ?? "")];
    all.text.push(said.join("\n").toLowerCase());
    all.number.push(/^\d{1,15}$/.test(all.id[row]) ? Number(all.id[row]) : Infinity);
  }
}

window.imagepipeRows = take;

/* The rows beside the page, a script at a time, each of which calls `imagepipeRows`. */
function load(chunks) {
  const [first, ...others] = chunks;
  if (first === undefined) return renew(true);
  const script = made("script", { src: first, nonce: data.nonce });
  script.addEventListener("load", () => load(others));
  script.addEventListener("error", () => renew(false));
  document.head.append(script);
}

function note(whole) {
  const number = (value) => value.toLocaleString("en"), of = `${number(data.sample)} of ${number(data.pictures)} pictures`;
  let said = "";
  if (data.elsewhere) said = data.sample < data.pictures ? `The pictures are in ${data.elsewhere}; this page holds ${of}.` : "";
  else if (!whole) said = `A sample: ${of}. All rows are in gallery.html in the run's folder, ${data.folder}, beside its folder gallery.`;
  else if (data.listed < data.pictures) said = `A sample: ${number(data.listed)} of ${number(data.pictures)} pictures. All are in the run's folder; sink.gallery_images says how many are here.`;
  find("note").textContent = said;
}

const value = (name, row) => all.columns.get(name)?.[row] ?? null;
/* A cell as a number, also where a text is one, as in a CSV; null where it is none. */
function figure(cell) {
  const found = typeof cell === "string" && cell.trim() !== "" ? Number(cell) : cell;
  return Number.isFinite(found) ? found : null;
}

const isNumeric = (values) => values.some((one) => one !== null) && values.every((one) => one === null || figure(one) !== null);

// By ids: numbers as numbers, before all others.
function byId(a, b) {
  const [one, other] = [all.number[a], all.number[b]];
  if (one !== other) return one - other;
  return one !== Infinity || all.id[a] === all.id[b] ? a - b : all.id[a] < all.id[b] ? -1 : 1;
}

// ---- filters and order ------------------------------------------------------------------------
let inOrder = []; // all rows by id

/* Show what was taken; `whole`: nothing is missing. */
function renew(whole) {
  const row = shown[current];
  inOrder = all.id.map((_, place) => place).sort(byId);
  note(whole);
  offer();
  apply();
  if (view.open) current = Math.max(0, shown.indexOf(row));
}

/* Fill the lists of kinds of rows and of columns with what there is. */
function offer() {
  const counts = Map.groupBy(all.status, (status) => status);
  const names = [...counts.keys()].sort((a, b) => (b === "written") - (a === "written"));
  const kinds = names.map((name) => [name, `${name} (${counts.get(name).length.toLocaleString("en")})`]);
  if (names.length > 1) kinds.push(["", `all rows (${all.id.length.toLocaleString("en")})`]);
  const status = find("status"), before = status.value, fresh = !status.options.length;
  status.replaceChildren(...kinds.map(([name, text]) => made("option", { value: name }, text)));
  if (!fresh) status.value = before;
  status.hidden = kinds.length < 2;
  for (const [name, values] of all.columns) {
    if (![...find("by").options].some((option) => option.value === `=${name}`)) {
      find("by").append(made("option", { value: `=${name}` }, name));
    }
    const known = Object.values(data.scores).includes(name) || [...find("order").options].some((option) => option.value === `1 ${name}`);
    if (!known && isNumeric(values)) {
      find("order").append(made("option", { value: `-1 ${name}` }, `Most ${name} first`), made("option", { value: `1 ${name}` }, `Least ${name} first`));
    }
  }
}

/* A control that keeps rows by the column `name`; `fits` of the element says which. */
function filterBy(name) {
  const values = all.columns.get(name), element = made("div", { class: "filter" });
  element.append(made("span", { title: name }, name));
  const different = new Set(values.filter((one) => one !== null));
  if (isNumeric(values)) {
    const [low, high] = ["from", "to"].map((end) => made("input", { type: "number", step: "any", placeholder: end, "aria-label": `${name} ${end}` }));
    element.append(low, high);
    element.fits = () => {
      const from = low.value === "" ? -Infinity : Number(low.value), to = high.value === "" ? Infinity : Number(high.value);
      if (from === -Infinity && to === Infinity) return null;
      return (row) => { const one = figure(value(name, row)); return one !== null && one >= from && one <= to; };
    };
  } else if (different.size <= LIST) {
    const list = made("select", { "aria-label": name });
    const options = [...different].map(String).sort();
    list.append(made("option", { value: "" }, "any"), ...options.map((one) => made("option", { value: `=${one}` }, one.length > 60 ? `${one.slice(0, 59)}…` : one)), made("option", { value: "none" }, "(none)"));
    element.append(list);
    element.fits = () => {
      if (list.value === "") return null;
      if (list.value === "none") return (row) => value(name, row) === null;
      return (row) => value(name, row) !== null && `=${value(name, row)}` === list.value;
    };
  } else {
    const words = made("input", { type: "search", placeholder: "contains", "aria-label": `${name} contains` });
    element.append(words);
    element.fits = () => (words.value === "" ? null : (row) => String(value(name, row) ?? "").toLowerCase().includes(words.value.toLowerCase()));
  }
  const close = made("button", { type: "button", class: "plain", "aria-label": `Without the filter by ${name}` }, "×");
  close.addEventListener("click", () => { element.remove(); apply(); });
  element.append(close);
  element.addEventListener("input", apply);
  return element;
}

function apply() {
  const words = find("search").value.toLowerCase().split(/\s+/).filter(Boolean), status = find("status").value;
  const tests = [...filters.children].map((one) => one.fits()).filter(Boolean);
  if (status !== "") tests.push((row) => all.status[row] === status);
  if (words.length) tests.push((row) => words.every((word) => all.text[row].includes(word)));
  shown = inOrder.filter((row) => tests.every((test) => test(row)));
  arrange();
  const of = status === "" ? all.id.length : all.status.filter((one) => one === status).length;
  find("shown").textContent = `${shown.length.toLocaleString("en")} of ${of.toLocaleString("en")}`;
  layOut();
}

// A row without a value comes last in either order.
function arrange() {
  const sign = Number.parseInt(find("order").value, 10), name = find("order").value.replace(/^-?1 /, "");
  if (!sign) return;
  const found = new Map(shown.map((row) => [row, figure(value(name, row))]));
  shown.sort((a, b) => (found.get(a) === null) - (found.get(b) === null) || sign * (found.get(a) - found.get(b)));
}

// ---- the cards: only those that are seen are in the page --------------------------------------
const cards = new Map(); // by place in `shown`
let across = 1, side = 0, below = 0;

function layOut() {
  const width = grid.clientWidth, least = width < 500 ? 150 : 210;
  across = Math.max(1, Math.floor((width + GAP) / (least + GAP)));
  side = (width - GAP * (across - 1)) / across;
  below = TEXT_HEIGHT + GAP + (all.id.some((_, row) => base(row)) ? BASE_HEIGHT : 0);
  grid.style.height = `${Math.ceil(shown.length / across) * (side + below)}px`;
  grid.replaceChildren();
  cards.clear();
  if (!shown.length) grid.append(made("p", { class: "empty" }, all.id.length ? "No row fits." : "No pictures were written."));
  draw();
}

function draw() {
  const high = side + below, top = scrollY - grid.offsetTop;
  const first = Math.max(0, Math.floor(top / high) - 1) * across;
  const last = Math.min(shown.length, (Math.ceil((top + innerHeight) / high) + 1) * across);
  for (const [place, card] of cards) {
    if ((place < first || place >= last) && card !== document.activeElement) { card.remove(); cards.delete(place); }
  }
  for (let place = first; place < last; place++) if (!cards.has(place)) grid.append(cardAt(place, high));
}

function cardAt(place, high) {
  const row = shown[place], card = made("button", { class: "card", type: "button" });
  card.style.cssText = `width: ${side}px; height: ${high - GAP}px; transform: translate(${(place % across) * (side + GAP)}px, ${Math.floor(place / across) * high}px)`;
  const text = made("span", { class: "text" }), meta = made("span", { class: "meta" });
  meta.append("id ", made("span", { class: "id" }, all.id[row]), ...figures(row).map((one) => ` · ${one}`));
  text.append(made("span", { class: "prompt" }, titleOf(row)), made("span", { class: "base" }, base(row)), meta);
  card.append(pictureOf(row, false), text);
  card.addEventListener("click", () => show(place));
  cards.set(place, card);
  return card;
}

/* The prompt; of a row that has none, what its table says. */
function titleOf(row) {
  if (all.reason[row] === null) return value("prompt", row) ?? "";
  return [...all.columns.values()].map((values) => values[row]).filter((one) => one !== null && String(one) !== all.id[row]).slice(0, -2).filter((one) => one !== "").join(" · ");
}

/* 0.1137630045413971 as 0.113763; texts and whole numbers as they are. */
const rounded = (one) => (typeof one === "number" && !Number.isInteger(one) ? Number(one.toPrecision(6)) : one);
const base = (row) => (value("base_prompt", row) === value("prompt", row) ? "" : value("base_prompt", row) ?? "");

function figures(row) {
  const names = Object.entries(data.scores), told = [];
  for (const [name, column] of names) {
    const score = value(column, row);
    if (typeof score === "number") told.push(`${names.length > 1 ? name : "score"} ${said(score)}`);
  }
  return told;
}

/* The picture of a row, in full or small; in its place, why there is none. */
function pictureOf(row, full) {
  if (all.reason[row] !== null) return made("span", { class: "none" }, all.reason[row]);
  return imageOf(all.picture[row], full, value("prompt", row) ?? "");
}

function imageOf([file, small], full, said) {
  const element = made("span", { class: "square" }), image = made("img", { alt: full ? said : "", decoding: "async" });
  const there = alone ? file : null;
  const gone = () => element.replaceWith(made("span", { class: "none gone" }, "The picture is not beside this page."));
  showFirst(image, full ? [there, small] : [small, there]);
  const failed = image.onerror;
  image.addEventListener("error", () => { if (image.classList.contains("lost")) gone(); });
  element.append(image);
  return failed ? element : made("span", { class: "none gone" }, "The picture is not beside this page.");
}

// ---- a row in full ----------------------------------------------------------------------------
function show(place) {
  current = place;
  const row = shown[place];
  const pictures = [["", pictureOf(row, true)], ...all.inputs[row].map(([name, each]) => [name, imageOf(each, true, name)])];
  part("pictures").replaceChildren(...pictures.map(([name, picture]) => captioned(pictures.length > 1 ? name || "drawn" : "", picture)));
  part("prompt").textContent = value("prompt", row) ?? "";
  part("base").textContent = base(row);
  part("place").textContent = `${(place + 1).toLocaleString("en")} / ${shown.length.toLocaleString("en")}`;
  const cells = [...all.columns].map(([name, values]) => [name, values[row]]).filter(([name, one]) => one !== null && !["id", "prompt", "base_prompt"].includes(name));
  const head = [["id", all.id[row]], ...(all.reason[row] === null ? [] : [[all.status[row], all.reason[row]]])];
  const told = [...head, ...cells, ...(all.reason[row] === null ? data.parameters : [])];
  part("cells").replaceChildren(...told.flatMap(([name, one]) => [made("dt", {}, name), made("dd", {}, rounded(one))]));
  if (!view.open) view.showModal();
}

function captioned(name, picture) {
  const element = made("figure");
  element.append(picture, ...(name ? [made("figcaption", {}, name)] : []));
  return element;
}

function step(by) { show((current + by + shown.length) % shown.length); }

/* Scroll to the card at a place of those shown, and give it the focus. */
function go(place) {
  if (place < 0 || place >= shown.length) return;
  const high = side + below, top = grid.offsetTop + Math.floor(place / across) * high;
  const head = getComputedStyle(document.querySelector("header")).position === "sticky" ? document.querySelector("header").offsetHeight : 0;
  if (top < scrollY + head + GAP) scrollTo(0, top - head - GAP);
  else if (top + high > scrollY + innerHeight) scrollTo(0, top + high - innerHeight);
  draw();
  cards.get(place)?.focus({ preventScroll: true });
}

// ---- what a person does -----------------------------------------------------------------------
find("search").addEventListener("input", apply);
for (const id of ["status", "order"]) find(id).addEventListener("change", apply);
find("by").addEventListener("change", () => {
  const element = filterBy(find("by").value.slice(1));
  find("by").value = "";
  filters.append(element);
  element.querySelector("input, select").focus();
});
part("back").addEventListener("click", () => step(-1));
part("on").addEventListener("click", () => step(1));
view.addEventListener("close", () => go(current));
addEventListener("scroll", () => requestAnimationFrame(draw), { passive: true });
let wide = innerWidth;
addEventListener("resize", () => { if (innerWidth !== wide) layOut(); else draw(); wide = innerWidth; });

const focused = () => [...cards].find(([, card]) => card === document.activeElement)?.[0];
const VIEW = { ArrowLeft: () => step(-1), ArrowRight: () => step(1), ArrowUp: () => step(-1), ArrowDown: () => step(1) };
const CARDS = { ArrowLeft: () => go(focused() - 1), ArrowRight: () => go(focused() + 1), ArrowUp: () => go(focused() - across), ArrowDown: () => go(focused() + across) };

document.addEventListener("keydown", (event) => {
  const typing = ["SELECT", "INPUT"].includes(document.activeElement.tagName);
  const keys = view.open ? VIEW : typing ? { Escape: leave } : { "/": () => find("search").focus(), ...(focused() === undefined ? {} : CARDS) };
  if (!(event.key in keys) || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  keys[event.key]();
});

/* Out of a field, its text gone, to the cards. */
function leave() {
  const field = document.activeElement;
  if (field.tagName === "INPUT" && field.value !== "") { field.value = ""; apply(); }
  field.blur();
  go(0);
}

take(data.inside);
renew(alone || !data.chunks.length);
if (alone && data.chunks.length) load(data.chunks);
