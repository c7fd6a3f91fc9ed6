// The tab Faces. The photograph stays in the page, and goes to the studio's memory with each request.

const { t, syndromes, has_gallery: hasGallery, colours } = props;
const page = Math.random().toString(36).slice(2);
const one = (selector) => element.querySelector(selector);
const field = (name) => one("[name=" + name + "]");
const { fail, working } = messages(one);
const FIRST = 10; // syndromes that the table shows unless all are wanted

let given = null; // the photograph, a File
let face = 0; // number of the face that was chosen, 0 for the largest
let ranking = null; // of the face shown
let gallery = null; // what the studio says about it, requested once

const ask = async (action, more = {}) => call(server, action, await sendable({ photograph: given, face, ...more }, page), t);

const looking = newestAnswer(one, working, t["faces.looking"],
  async () => [null, await ask("look")],
  (answer) => (answer.error ? refuse(answer.error) : show(answer)));

const look = () => {
  if (!given) return;
  fail(null);
  one(".ms-maps").replaceChildren();
  looking.ask();
};

// Nothing of an earlier photograph remains beside the message.
const refuse = (sentence) => {
  fail(sentence);
  given = ranking = null;
  for (const name of [".ms-given", ".ms-seen-faces", ".ms-which", ".ms-chips", ".ms-result", ".ms-questions"]) one(name).hidden = true;
  one(".ms-nothing").hidden = false;
};

const show = (answer) => {
  one(".ms-given img").src = answer.picture;
  one(".ms-caption").textContent = answer.name;
  one(".ms-size").textContent = fill(t["faces.size"], answer);
  one(".ms-given").hidden = false;
  const flags = answer.chosen ? answer.faces[answer.chosen - 1].flags : [];
  const seen = one(".ms-seen-faces");
  seen.textContent = [answer.sentence, ...flags].join(" ");
  seen.className = "ms-message ms-seen-faces " + (answer.chosen && !flags.length ? "ms-note" : "ms-warning");
  seen.hidden = false;
  showFaces(answer);
  one(".ms-chips").hidden = !answer.chosen;
  if (answer.chosen) {
    one(".ms-aligned").src = answer.aligned;
    one(".ms-parts").src = answer.parts;
    one(".ms-chips .ms-key").replaceChildren(...answer.regions.map(({ name, colour }) =>
      node("li", {}, node("span", { class: "ms-swatch", style: "background:" + colour }), name)));
  }
  ranking = answer.ranking ?? null;
  one(".ms-nothing").hidden = true;
  one(".ms-result").hidden = one(".ms-questions").hidden = !ranking;
  if (ranking) showRanking();
};

const showFaces = ({ faces, chosen }) => {
  one(".ms-which").hidden = faces.length < 2;
  const held = element.contains(document.activeElement) && document.activeElement.name === "face";
  one(".ms-which .ms-sures").replaceChildren(...faces.map(({ number, flags }) => {
    const input = node("input", { type: "radio", name: "face", value: number, ...(number === chosen ? { checked: "" } : {}) });
    return node("label", { class: "ms-option" }, input, node("span", {}, fill(t[flags.length ? "faces.face_flagged" : "faces.face"], { number })));
  }));
  if (held) one("[name=face]:checked")?.focus(); // the keyboard stays where it was
};

// The ranking.

const people = ({ patients, unaffected }) =>
  fill(t[unaffected ? "faces.people" : patients === 1 ? "faces.one_patient" : "faces.patients"], { count: patients });

const showRanking = () => {
  const verdict = one(".ms-verdict");
  verdict.textContent = ranking.sentence;
  verdict.className = "ms-message ms-verdict " + (ranking.warning ? "ms-warning" : "ms-note");
  one(".ms-certainty").replaceChildren(...ranking.checks.map(({ name, sentence, state }) =>
    node("div", { class: "ms-is-" + state }, node("dt", {}, name), node("dd", {}, sentence))));
  showTable(FIRST);
  const images = ranking.nearest.map(({ picture, syndrome, similarity }) =>
    node("figure", {}, node("img", { src: picture, alt: fill(t["faces.nearest_alt"], { name: syndrome }) }),
      node("figcaption", {}, syndrome, node("small", {}, similarity.toFixed(3)))));
  one(".ms-nearest").replaceChildren(...(images.length
    ? [node("div", { class: "ms-neighbours" }, ...images), node("p", { class: "ms-small" }, fill(t["faces.consent"], ranking))]
    : [node("p", { class: "ms-small" }, t["faces.not_shown"])]));
  showMap();
};

const showTable = (count) => {
  const rows = ranking.syndromes.slice(0, count);
  const lowest = Math.min(...rows.map(({ similarity }) => similarity), ranking.limit ?? 1);
  const low = Math.floor(Math.min(lowest, 0.95) * 20) / 20; // the axis: at least a twentieth, in round steps
  const share = (similarity) => 100 * Math.max(0, (similarity - low) / (1 - low)) + "%";
  one(".ms-ranking tbody").replaceChildren(...rows.map((row, rank) => {
    const dot = node("span", { class: "ms-dot", style: "left:" + share(row.similarity) + (rank < colours.length ? ";background:" + colours[rank] : "") });
    const limit = ranking.limit === null ? [] : [node("span", { class: "ms-limit", style: "left:" + share(ranking.limit) })];
    const possible = t[row.possible === null ? "faces.unknown" : row.possible ? "faces.yes" : "faces.no"];
    return node("tr", rank ? {} : { class: "ms-first" },
      node("th", { scope: "row" }, row.syndrome, node("small", {}, people(row))),
      node("td", { class: "ms-track" }, node("div", {}, ...limit, dot)),
      node("td", { class: "ms-number" }, row.similarity.toFixed(3)),
      node("td", { class: "ms-number" }, possible));
  }));
  const more = field("all");
  more.hidden = rows.length === ranking.syndromes.length;
  more.textContent = fill(t["faces.all"], { count: ranking.syndromes.length });
  const axis = fill(t["faces.axis"], { low: low.toFixed(2) });
  one(".ms-axis").textContent = ranking.limit === null ? axis : axis + " " + t["faces.axis_limit"];
};

const showMap = async () => {
  const shown = ranking;
  gallery ??= await call(server, "gallery", { page }, t);
  if (gallery.error) {
    fail(gallery.error);
    gallery = null; // the next photograph asks again
    return;
  }
  if (shown !== ranking) return;
  const drawable = gallery.places.length > 0;
  one(".ms-places").hidden = one(".ms-places-key").hidden = !drawable;
  one(".ms-map-how").textContent = gallery.sentence;
  const first = ranking.syndromes.slice(0, colours.length).map(({ syndrome }) => syndrome);
  if (drawable) drawPlaces(one(".ms-places"), one(".ms-places-key"), gallery, ranking.place, first, colours, t);
  one(".ms-about tbody").replaceChildren(...Object.entries(gallery.facts).map(([name, value]) =>
    node("tr", {}, node("th", { scope: "row" }, name), node("td", {}, value))));
  one(".ms-about").hidden = false;
};

// Evidence: by occlusion first, which is there soon, then with integrated gradients.

const explain = async () => {
  if (!ranking) return;
  const mine = looking.number();
  const wanted = field("syndrome").value;
  const bar = one("progress");
  field("explain").disabled = true;
  bar.hidden = false;
  fail(null);
  for (const [step, sentence] of [t["faces.explaining"], t["faces.explaining_gradients"]].entries()) {
    bar.value = step;
    working(sentence);
    const answer = await ask("evidence", { syndrome: wanted, gradients: step === 1 });
    if (mine !== looking.number() || wanted !== field("syndrome").value) break; // of another photograph, or another syndrome
    if (answer.error) {
      fail(answer.error);
      break;
    }
    showEvidence(answer);
  }
  working(null);
  bar.hidden = true;
  field("explain").disabled = false;
};

const signed = (value) => {
  if (value === null) return t["faces.unknown"];
  const shown = Math.abs(value).toFixed(3);
  return Number(shown) === 0 ? shown : (value > 0 ? "+" : "\u2212") + shown;
};

const showEvidence = ({ title, maps, parts, lines }) => {
  const heads = ["faces.part", "faces.occlusion", "faces.gradients"].map((key, index) =>
    node("th", { scope: "col", ...(index ? { class: "ms-number" } : {}) }, t[key]));
  const rows = parts.map(({ name, occlusion, gradients }) =>
    node("tr", {}, node("th", { scope: "row" }, name), ...[occlusion, gradients].map((value) => node("td", { class: "ms-number" }, signed(value)))));
  const table = node("table", { class: "ms-bars" }, node("thead", {}, node("tr", {}, ...heads)), node("tbody", {}, ...rows));
  const figures = maps.map((map) => node("div", {}, mapFigure(map)));
  one(".ms-maps").replaceChildren(node("h3", {}, title), node("div", { class: "ms-three" }, ...figures, node("div", {}, table)), ...paragraphs(lines));
};

// Controls. The address can hold the syndrome to look for evidence of, never the photograph.

field("syndrome").append(node("option", { value: "" }, t["faces.most_similar"]), ...syndromes.map((name) => node("option", { value: name }, name)));
field("syndrome").value = address.read().syndrome ?? "";
if (field("syndrome").selectedIndex < 0) field("syndrome").selectedIndex = 0;
field("syndrome").addEventListener("change", ({ target }) => {
  address.write({ syndrome: target.value }, false);
  one(".ms-maps").replaceChildren();
});
one(".ms-how").hidden = hasGallery;
const actions = { explain, all: () => showTable(Infinity) };
element.addEventListener("click", (event) => actions[event.target.closest("button")?.name]?.());
element.addEventListener("submit", (event) => event.preventDefault());
element.addEventListener("change", ({ target }) => {
  if (target.name !== "face") return;
  face = Number(target.value);
  look();
});
photographInput(one, (file) => {
  given = file;
  face = 0;
  look();
}, fail, () => {}, t);
