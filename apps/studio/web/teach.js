// The tab Teach: what to make, how it looks, and the files to save.

const { t, conditions, named, kinds } = props;
const USUAL = { sheet: 6, strip: 7, film: 36, handout: 8 }; // images, frames or questions
const MOST = { sheet: 12, strip: 12, film: 60, handout: 12 };
const page = Math.random().toString(36).slice(2);
const one = (selector) => element.querySelector(selector);
const field = (name) => one("[name=" + name + "]");
const { fail, working } = messages(one);
let newest = 0;

// In the address.
const NAMES = {
  kind: "material", format: "as", a: "ma", b: "mb", c: "mc", count: "images", rows: "rows", seed: "mseed", psi: "mpsi", title: "title",
};

const number = (name) => (field(name).value === "" ? null : Number(field(name).value));
const values = () => ({
  page, kind: field("kind").value, format: field("format").value, title: field("title").value, captions: field("captions").checked,
  ...Object.fromEntries(["a", "b", "c"].map((name) => [name, field(name).value])),
  ...Object.fromEntries(["count", "rows", "seed", "psi"].map((name) => [name, number(name)])),
});

const toAddress = () => {
  const written = Object.fromEntries(Object.entries(NAMES).map(([name, key]) => [key, field(name).value]));
  address.write({ ...written, captions: field("captions").checked ? null : "0" }, false);
};

const fromAddress = () => {
  const given = address.read();
  if (!("material" in given)) return;
  field("kind").value = given.material;
  showFields();
  for (const [name, key] of Object.entries(NAMES)) if (key in given && name !== "kind") field(name).value = given[key];
  field("captions").checked = given.captions !== "0";
};

// Fields of the kind, and its usual values.
const showFields = () => {
  if (field("kind").selectedIndex < 0) field("kind").selectedIndex = 0;
  const kind = field("kind").value;
  for (const label of element.querySelectorAll("[data-of]")) label.hidden = !label.dataset.of.split(" ").includes(kind);
  field("format").replaceChildren(...kinds[kind].map((value) => node("option", { value }, t["teach.format_" + value])));
  const every = field("a").options[0]; // all conditions
  every.hidden = every.disabled = kind !== "sheet";
  if (kind !== "sheet" && field("a").selectedIndex <= 0) field("a").selectedIndex = 1;
  one(".ms-name-a").textContent = t[{ sheet: "morph.condition", triangle: "explore.corner_a" }[kind] ?? "morph.from"];
  one(".ms-name-b").textContent = t[kind === "triangle" ? "explore.corner_b" : "morph.to"];
  one(".ms-name-count").textContent = t["teach.count_" + kind] ?? t["teach.count"];
  field("count").max = MOST[kind] ?? 12;
  field("count").value = USUAL[kind] ?? 1;
  one(".ms-saying").textContent = t["teach.say_" + kind];
};

const showPsi = () => (one(".ms-psi").textContent = Number(field("psi").value).toFixed(2));

const inTurn = inTurns();
const make = async () => {
  const mine = ++newest;
  toAddress();
  fail(null);
  working(t["teach.making"]);
  const sent = values();
  const answer = await inTurn(() => call(server, "material", sent, t), () => mine === newest);
  if (mine !== newest) return;
  working(null);
  if (answer.error) return fail(answer.error);
  const { files, previews } = answer;
  const links = files.map(({ name, data }) =>
    node("a", { class: "ms-save", href: data, download: name }, fill(t["teach.save"], { name })));
  const shown = previews.length ? previews : files;
  one(".ms-made").replaceChildren(node("div", { class: "ms-buttons" }, ...links), ...shown.map(preview));
  element.dataset.made = field("kind").value + " " + field("format").value;
};

const preview = ({ media, data, alt }, index) => {
  const words = fill(t["teach.paper"], { number: index + 1, title: alt });
  if (!media.startsWith("video")) return node("img", { src: data, alt: words });
  const film = node("video", { src: data, controls: "", loop: "", "aria-label": words });
  film.muted = true;
  return film;
};

field("kind").append(...Object.keys(kinds).map((value) => node("option", { value }, t["teach." + value])));
field("a").append(node("option", { value: "" }, t["explore.all"]));
for (const name of ["a", "b", "c"]) field(name).append(...conditions.map((value) => node("option", { value }, named[value])));
field("b").selectedIndex = Math.min(1, conditions.length - 1);
field("c").selectedIndex = Math.min(2, conditions.length - 1);
field("seed").value = 0;
field("psi").value = 0.7;
showFields();
fromAddress();
showPsi();

const actions = {
  roll: () => {
    field("seed").value = anySeed();
    toAddress();
  },
};
element.addEventListener("click", (event) => actions[event.target.closest("button")?.name]?.());
element.addEventListener("submit", (event) => {
  event.preventDefault();
  make();
});
field("psi").addEventListener("input", showPsi);
one("form").addEventListener("change", ({ target }) => {
  if (target.name === "kind") showFields();
  toAddress();
});
// A first page is there when someone opens the tab.
new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && newest === 0 && make()).observe(element);
