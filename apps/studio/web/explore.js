// The tab Explore: samples, mixtures of three conditions, mixed styles, and directions.

const { t, conditions, named, tabs, directions, strongest } = props;
const SIDE = 9; // images along a side of the triangle
const page = Math.random().toString(36).slice(2);
const one = (selector) => element.querySelector(selector);
const field = (name) => one("[name=" + name + "]");
const canvas = one("canvas");

let newest = 0;
let shown = null; // the sheet: {answer, bitmap, values}
let picked = null; // the image beside it: {values for the server, cell}

const values = () => ({
  page,
  a: field("ea").value,
  b: field("eb").value,
  c: field("ec").value,
  layers: field("layers").value,
  seed: field("eseed").value === "" ? null : Number(field("eseed").value),
  psi: Number(field("epsi").value),
});

const { fail } = messages(one);

const NAMES = { view: "view", ea: "a", eb: "b", ec: "c", layers: "layers", eseed: "eseed", epsi: "epsi" }; // in the address

const toAddress = () =>
  address.write(Object.fromEntries(Object.entries(NAMES).map(([name, key]) => [key, field(name).value])), false);

const fromAddress = () => {
  const given = address.read();
  for (const [name, key] of Object.entries(NAMES)) if (key in given) field(name).value = given[key];
  for (const name of ["view", "eb", "ec", "layers"]) if (field(name).selectedIndex < 0) field(name).selectedIndex = 0;
};

const inTurn = inTurns();
const request = async () => {
  const [mine, view] = [++newest, field("view").value];
  fail(null);
  showFields(view);
  const sent = values();
  if (view === "moved") return requestMoved(mine, sent);
  const answer = await inTurn(() => call(server, view, sent, t), () => mine === newest);
  if (mine !== newest) return;
  if (answer.error) return fail(answer.error);
  const bitmap = await asBitmap(answer.sheet);
  if (mine !== newest) return;
  shown = { answer, bitmap, values: sent, view };
  element.dataset.shown = view;
  if (view === "triangle") showTriangle();
  else showWall();
};

const showFields = (view) => {
  for (const label of element.querySelectorAll("[data-of]")) label.hidden = !label.dataset.of.split(" ").includes(view);
  const first = field("ea").options[0]; // all conditions
  first.hidden = first.disabled = view !== "wall";
  if (view !== "wall" && field("ea").selectedIndex <= 0) field("ea").selectedIndex = 1;
  one(".ms-name-a").textContent = t[{ wall: "morph.condition", triangle: "explore.corner_a", mix: "explore.rows", moved: "morph.condition" }[view]];
  one(".ms-name-b").textContent = t[view === "mix" ? "explore.columns" : "explore.corner_b"];
  one(".ms-said").textContent = t["explore.say_" + view];
  one(".ms-psi").textContent = Number(field("epsi").value).toFixed(2);
  one(".ms-wall").hidden = view !== "wall" && view !== "mix";
  one(".ms-triangle").hidden = view !== "triangle";
  one(".ms-sliders").hidden = view !== "moved";
};

// Sheets whose images are buttons.

const showWall = () => {
  const { answer, values: sent, view } = shown;
  const { columns, cells, sheet } = answer;
  const rows = Math.ceil(cells.length / columns);
  const place = one(".ms-wall");
  place.style.gridTemplateColumns = "repeat(" + columns + ", minmax(0, 1fr))";
  place.replaceChildren(...cells.map((cell, index) => {
    const [column, row] = [index % columns, Math.floor(index / columns)];
    const words = view === "mix" ? t["explore.mixed"] : fill(t["explore.sample"], cell);
    const made = node("button", { type: "button", "aria-label": words + (view === "mix" ? " " + index : "") });
    made.style.backgroundImage = "url(" + sheet + ")";
    made.style.backgroundSize = 100 * columns + "% " + 100 * rows + "%";
    made.style.backgroundPosition = (100 * column) / Math.max(columns - 1, 1) + "% " + (100 * row) / Math.max(rows - 1, 1) + "%";
    if (view === "mix" && index === 0) made.disabled = true; // the empty corner
    else made.addEventListener("click", () => pickCell(index));
    return made;
  }));
  pickCell(view === "mix" ? columns + 1 : 0);
  if (view === "wall" && sent.a === "") nameRows(place, columns, cells);
};

const nameRows = (place, columns, cells) => {
  place.style.gridTemplateColumns = "max-content " + place.style.gridTemplateColumns;
  [...place.children].forEach((made, index) => {
    if (index % columns === 0) made.before(node("span", { class: "ms-row" }, cells[index].label.replace("100% ", "")));
  });
};

const pickCell = (index) => {
  const { answer, bitmap, values: sent, view } = shown;
  const cell = answer.cells[index];
  const side = answer.resolution;
  const [column, row] = [index % answer.columns, Math.floor(index / answer.columns)];
  drawMarked(canvas, bitmap, column * side, row * side, side, cell.mark, t);
  const sample = { page, kind: "sample", a: cell.label, seed: cell.seed, psi: sent.psi };
  pick(view === "mix" ? { ...sent, kind: "mix", cell: index } : sample, cell.label ? cell : null, cell.caption || t["explore.mixed"]);
  [...one(".ms-wall").querySelectorAll("button")].forEach((made, number) => made.classList.toggle("ms-current", number === index));
};

// The image beside the sheet; `cell` if a label and a seed make it.
const pick = (request, cell, caption) => {
  picked = { request, cell };
  one(".ms-caption").textContent = caption;
  canvas.setAttribute("aria-label", fill(t["morph.picture"], { mixture: caption }));
  field("from").disabled = field("to").disabled = !cell;
};

// The triangle: image `row (row + 1) / 2 + column` has the shares of `triangle_weights`.

const triangleIndex = (row, column) => (row * (row + 1)) / 2 + column;
let point = [4, 2]; // row, column

const place = ([row, column]) => [
  (0.5 + (column - row / 2) / (SIDE - 1)) * 100,
  (row / (SIDE - 1)) * 86.6,
];

const showTriangle = () => {
  const { values: sent } = shown;
  const svg = node("svg", { viewBox: "-8 -9 116 106" });
  svg.append(node("path", { class: "ms-sides", d: "M50 0L0 86.6L100 86.6Z" }));
  for (let row = 0; row < SIDE; row++)
    for (let column = 0; column <= row; column++) {
      const [cx, cy] = place([row, column]);
      svg.append(node("circle", { class: "ms-dot", cx, cy, r: 0.9 }));
    }
  const corners = [[50, -3, sent.a, "middle"], [0, 93, sent.b, "middle"], [100, 93, sent.c, "middle"]];
  for (const [x, y, name, anchor] of corners) svg.append(node("text", { x, y, "text-anchor": anchor }, name));
  svg.append(node("circle", { class: "ms-point", r: 3.4 }));
  one(".ms-triangle").replaceChildren(svg);
  movePoint(point);
};

const movePoint = ([row, column]) => {
  row = Math.min(SIDE - 1, Math.max(0, row));
  column = Math.min(row, Math.max(0, column));
  point = [row, column];
  const [cx, cy] = place(point);
  const handle = one(".ms-point");
  handle.setAttribute("cx", cx);
  handle.setAttribute("cy", cy);
  const index = triangleIndex(row, column);
  const { caption } = shown.answer.cells[index];
  one(".ms-triangle").setAttribute("aria-valuenow", index);
  one(".ms-triangle").setAttribute("aria-valuetext", caption);
  pickCell(index);
};

const dragPoint = (event) => {
  const svg = one(".ms-triangle svg");
  const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  const row = Math.round((at.y / 86.6) * (SIDE - 1));
  const bounded = Math.min(SIDE - 1, Math.max(0, row));
  movePoint([bounded, Math.round((at.x / 100 - 0.5) * (SIDE - 1) + bounded / 2)]);
};

one(".ms-triangle").addEventListener("pointerdown", (event) => {
  one(".ms-triangle").setPointerCapture(event.pointerId);
  dragPoint(event);
});
one(".ms-triangle").addEventListener("pointermove", (event) => event.buttons && dragPoint(event));
const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
one(".ms-triangle").addEventListener("keydown", (event) => {
  const step = ARROWS[event.key];
  if (!step) return;
  event.preventDefault();
  movePoint([point[0] + step[0], point[1] + step[1]]);
});

// Directions.

const sliders = Array.from({ length: directions }, (_, number) => {
  const name = "d" + (number + 1);
  const slider = node("input", { type: "range", name, min: -strongest, max: strongest, step: 0.1, value: 0 });
  slider.addEventListener("input", request);
  one(".ms-sliders").append(node("label", {}, fill(t["explore.direction"], { number: number + 1 }), slider));
  return slider;
});
const reset = node("button", { type: "button" }, t["explore.reset"]);
reset.addEventListener("click", () => {
  for (const slider of sliders) slider.value = 0;
  request();
});
one(".ms-sliders").append(reset);

let moving = false; // a request is on its way; the newest strengths follow it
const requestMoved = async (mine, sent) => {
  if (moving) return;
  moving = true;
  const strengths = Object.fromEntries(sliders.map(({ name, value }) => [name, Number(value)]));
  const answer = await call(server, "moved", { ...sent, ...strengths }, t);
  moving = false;
  if (mine !== newest) return request();
  if (answer.error) return fail(answer.error);
  const bitmap = await asBitmap(answer.picture);
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  const plain = sliders.every(({ value }) => Number(value) === 0);
  pick({ ...sent, ...strengths, kind: "moved" }, plain ? { label: "100% " + sent.a, seed: sent.seed } : null, t["explore.moved"]);
  element.dataset.shown = "moved";
};

// Controls.

field("ea").append(node("option", { value: "" }, t["explore.all"]));
for (const name of ["ea", "eb", "ec"])
  field(name).append(...conditions.map((value) => node("option", { value }, named[value])));
field("eb").selectedIndex = Math.min(1, conditions.length - 1);
field("ec").selectedIndex = Math.min(2, conditions.length - 1);
field("eseed").value = 0;
field("epsi").value = 0.7;
fromAddress();

const toMorph = (end) => {
  const { label, seed } = picked.cell;
  const single = label.startsWith("100% ") ? label.slice(5) : label;
  document.dispatchEvent(new CustomEvent("morphoscope-end", { detail: { end, label: single, seed, psi: Number(field("epsi").value) } }));
  openTab(tabs.morph);
};
const actions = {
  roll: () => {
    field("eseed").value = anySeed();
    toAddress();
    request();
  },
  from: () => toMorph("a"),
  to: () => toMorph("b"),
  send: () => toClassify({ source: "explore", ...picked.request }, tabs.classify),
  save: async () => {
    const answer = await call(server, "picture", picked.request, t);
    if (answer.error) fail(answer.error);
    else saveAnswer(answer);
  },
};
element.addEventListener("click", (event) => actions[event.target.closest("button")?.name]?.());
element.addEventListener("submit", (event) => event.preventDefault());
one("form").addEventListener("change", () => {
  toAddress();
  request();
});
// Nothing is computed before someone opens the tab.
new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && !shown && newest === 0 && request()).observe(element);
