// The tab Morph. Frames, probabilities and captions arrive once for each pair of ends; moving along them is done here.

const { t, conditions, named, home } = props;
const MIXTURE = "?mixture";
const PHOTOGRAPH = "?photograph";
const THUMBNAILS = 9;
const page = Math.random().toString(36).slice(2);
const one = (selector) => element.querySelector(selector);
const field = (name) => one("[name=" + name + "]");
const calm = matchMedia("(prefers-reduced-motion: reduce)");

let at = home.at; // 0 to 1 along the way
let shown = null; // {answer, bitmap, moveMarker, bars}
let newest = 0; // number of the newest request for frames
let playing = null;
const known = new Map(); // answers by request, so that an undone step is there at once

// The ends, as the address has them.

const NAMES = { a: "from", b: "to", seed_a: "seed", seed_b: "seed_to", psi: "psi", even: "even" }; // in the address

const ends = () => {
  const values = { psi: Number(field("psi").value), even: field("even").checked };
  for (const end of "ab") {
    const choice = field(end).value;
    values[end] = choice === MIXTURE ? field("mixture_" + end).value : choice === PHOTOGRAPH ? "" : choice;
    const typed = field("seed_" + end).value;
    values["seed_" + end] = typed === "" ? null : Number(typed);
    values["photograph_" + end] = choice === PHOTOGRAPH ? field("file_" + end).files[0] ?? null : null;
  }
  return values;
};

const showFields = (end) => {
  const [choice, place] = [field(end).value, one("[data-end=" + end + "]")];
  place.querySelector(".ms-mixture").hidden = choice !== MIXTURE;
  place.querySelector(".ms-photograph").hidden = choice !== PHOTOGRAPH;
  place.querySelector(".ms-seed").hidden = choice === PHOTOGRAPH;
  field("dice_" + end).hidden = choice === PHOTOGRAPH;
};

const setEnds = (values) => {
  for (const end of "ab") {
    const choice = conditions.includes(values[end]) ? values[end] : values[end] ? MIXTURE : PHOTOGRAPH;
    field(end).value = choice;
    if (choice === MIXTURE) field("mixture_" + end).value = values[end];
    field("seed_" + end).value = values["seed_" + end] ?? "";
    showFields(end);
  }
  field("psi").value = values.psi;
  field("even").checked = values.even;
  one(".ms-psi").textContent = Number(field("psi").value).toFixed(2);
};

const fromAddress = () => {
  const given = address.read();
  const values = { ...home };
  for (const [name, key] of Object.entries(NAMES)) if (key in given) values[name] = given[key];
  if ("seed" in given && !("seed_to" in given)) values.seed_b = given.seed;
  values.even = String(values.even) !== "0" && String(values.even) !== "false";
  const share = Number(given.at ?? home.at);
  at = share >= 0 && share <= 1 ? share : home.at;
  return values;
};

const toAddress = (asNewStep) => {
  const values = ends();
  const written = {};
  for (const [name, key] of Object.entries(NAMES)) written[key] = values[name];
  written.at = at.toFixed(3);
  written.even = values.even ? "1" : "0";
  if (values.seed_b === values.seed_a) written.seed_to = null;
  address.write(written, asNewStep);
  field("undo").disabled = address.steps() === 0;
};

// Requests.

const { fail, working } = messages(one);

const ask = async (action, values) => call(server, action, await sendable(values, page), t);

const inTurn = inTurns();
const requestFrames = async (asNewStep) => {
  const [mine, values] = [++newest, ends()];
  pause();
  toAddress(asNewStep);
  fail(null);
  one(".ms-maps").replaceChildren();
  const missing = "ab".split("").find((end) => field(end).value === PHOTOGRAPH && !values["photograph_" + end]);
  if (missing) return fail(t["morph.choose_file"]);
  const seeds = !values.photograph_a && !values.photograph_b;
  const key = JSON.stringify(values);
  const cached = seeds ? known.get(key) : null;
  if (cached) return show(cached);
  const stage = one(".ms-stage");
  stage.setAttribute("aria-busy", "true");
  const slow = setTimeout(() => mine === newest && working(t["morph.computing"]), 600);
  for (const action of ["coarse", "morph"]) {
    const answer = await inTurn(() => ask(action, values), () => mine === newest);
    if (mine !== newest) return clearTimeout(slow);
    if (answer.error) fail(answer.error);
    if (answer.error || answer.superseded) break;
    answer.bitmap = await asBitmap(answer.sheet);
    if (mine !== newest) return clearTimeout(slow);
    show(answer);
    if (action === "morph" && seeds) remember(key, answer);
  }
  clearTimeout(slow);
  working(null);
  stage.removeAttribute("aria-busy");
};

const remember = (key, answer) => {
  known.set(key, answer);
  if (known.size > 8) known.delete(known.keys().next().value);
};

// What is shown, and moving along it.

const show = (answer) => {
  shown = { answer, moveMarker: () => {} };
  element.dataset.frames = answer.prediction ? "all" : "coarse";
  field("at").max = answer.ratios.length - 1;
  one(".ms-film").replaceChildren(...thumbnails(answer));
  one(".ms-right").classList.toggle("ms-waiting", !answer.prediction);
  if (answer.prediction) {
    shown.bars = makeBars(one(".ms-bars tbody"), answer.prediction, t);
    redrawChart();
    one(".ms-summary").textContent = answer.prediction.summary;
    one(".ms-whys").replaceChildren(...answer.prediction.changes.map(whyButton));
  }
  moveTo(at);
};

const redrawChart = () => {
  const { answer } = shown;
  shown.moveMarker = drawChart(one(".ms-chart"), answer.ends, answer.prediction, t);
};

const thumbnails = ({ sheet, ratios, captions }) =>
  Array.from({ length: THUMBNAILS }, (_, number) => {
    const share = number / (THUMBNAILS - 1);
    const index = Math.round(share * (ratios.length - 1));
    const made = node("button", { type: "button", "aria-label": fill(t["morph.frame"], { mixture: captions[index] }) });
    made.style.backgroundImage = "url(" + sheet + ")";
    made.style.backgroundSize = 100 * ratios.length + "% 100%";
    made.style.backgroundPosition = (100 * index) / (ratios.length - 1) + "% 0";
    made.addEventListener("click", () => { pause(); moveTo(share); settle(); });
    return made;
  });

const frameIndex = () => Math.round(at * (shown.answer.ratios.length - 1));

const canvas = one("canvas");

const drawFrame = (index) => {
  const { bitmap, resolution, marks } = shown.answer;
  drawMarked(canvas, bitmap, index * resolution, 0, resolution, marks[index], t);
};

// Everything that follows the slider, in the task of the event that moves it: the browser paints it next.
const moveTo = (share) => {
  at = share;
  const index = frameIndex();
  const { captions, prediction } = shown.answer;
  const last = shown.answer.ratios.length - 1;
  drawFrame(index);
  const verdict = prediction?.verdicts[index];
  field("at").value = index;
  field("at").setAttribute("aria-valuetext", captions[index] + (verdict ? ". " + verdict.sentence : ""));
  canvas.setAttribute("aria-label", fill(t["morph.picture"], { mixture: captions[index] }));
  one(".ms-caption").textContent = captions[index];
  one(".ms-film").childNodes.forEach((made, number) =>
    made.classList.toggle("ms-current", Math.round((number / (THUMBNAILS - 1)) * last) === index));
  if (!prediction) return;
  shown.moveMarker(index / last);
  showVerdict(one(".ms-verdict"), one(".ms-details"), verdict);
  shown.bars(index);
};

// A position that someone has stopped at, as opposed to one on the way.
const settle = () => toAddress(false);

const dragTo = (share) => {
  if (!shown) return;
  pause();
  moveTo(share);
  if (!one(".ms-maps").dataset.change) one(".ms-maps").replaceChildren();
};

const draggable = (place, share) => {
  place.addEventListener("pointerdown", (event) => {
    place.setPointerCapture(event.pointerId);
    dragTo(share(event.clientX));
  });
  place.addEventListener("pointermove", (event) => event.buttons && dragTo(share(event.clientX)));
  place.addEventListener("pointerup", settle);
};

draggable(one(".ms-chart"), (clientX) => chartShare(one(".ms-chart"), clientX));
draggable(canvas, (clientX) => {
  const { left, width } = canvas.getBoundingClientRect();
  return Math.min(1, Math.max(0, (clientX - left) / width));
});
field("at").addEventListener("input", () => dragTo(field("at").value / field("at").max));
field("at").addEventListener("change", settle);

// Playing: back and forth; once and slowly where motion is to be reduced.

const pause = () => {
  clearInterval(playing);
  playing = null;
  field("play").setAttribute("aria-pressed", "false");
  field("play").textContent = t["morph.play"];
};

const play = () => {
  if (!shown) return;
  const last = shown.answer.ratios.length - 1;
  let [index, step] = [frameIndex(), 1];
  if (index === last && calm.matches) index = 0;
  field("play").setAttribute("aria-pressed", "true");
  field("play").textContent = t["morph.pause"];
  playing = setInterval(() => {
    if (index === last && calm.matches) return pause();
    if (index === last) step = -1;
    if (index === 0) step = 1;
    index += step;
    moveTo(index / last);
  }, calm.matches ? 800 : 90);
};

// Maps.

const askForMaps = async (action, values) => {
  const mine = newest;
  const place = one(".ms-maps");
  working(t["morph.attributing"]);
  const answer = await ask(action, { ...ends(), ...values, method: field("method").value });
  working(null);
  if (mine !== newest) return null;
  fail(answer.error);
  return answer.error ? null : { answer, place };
};

const attribution = async () => {
  if (!shown) return;
  const index = frameIndex();
  const found = await askForMaps("attribution", { ratio: shown.answer.ratios[index], target: field("target").value });
  if (!found || frameIndex() !== index) return;
  const { answer, place } = found;
  delete place.dataset.change;
  const text = node("div", {}, node("h3", {}, answer.title), ...paragraphs(answer.lines));
  place.replaceChildren(node("div", { class: "ms-attribution" }, mapFigure({ ...answer, title: one(".ms-caption").textContent }), text));
};

const whyButton = (change) => {
  const made = node("button", { type: "button" }, fill(t["morph.why"], change));
  made.addEventListener("click", async () => {
    const { ratios } = shown.answer;
    pause();
    moveTo(change.last / (ratios.length - 1));
    settle();
    const between = { before: ratios[change.last], after: ratios[change.first], target: change.after };
    const found = await askForMaps("change", between);
    if (!found) return;
    const { answer, place } = found;
    place.dataset.change = "1";
    const maps = [answer.before, answer.after, answer.difference].map(mapFigure);
    place.replaceChildren(node("h3", {}, answer.title), node("div", { class: "ms-three" }, ...maps), ...paragraphs(answer.lines));
    place.scrollIntoView({ block: "nearest" });
  });
  return made;
};

const save = async () => {
  const answer = await ask("picture", { ...ends(), ratio: shown.answer.ratios[frameIndex()] });
  if (answer.error) return fail(answer.error);
  saveAnswer(answer);
};

const send = () => toClassify({ source: "morph", ...ends(), ratio: shown.answer.ratios[frameIndex()] }, props.tabs.classify);

// Controls.

const choices = [...conditions.map((name) => [name, named[name]]), [MIXTURE, t["morph.a_mixture"]], [PHOTOGRAPH, t["morph.a_photograph"]]];
for (const end of "ab") field(end).append(...choices.map(([value, label]) => node("option", { value }, label)));
field("target").append(...props.targets.map(([label, value]) => node("option", { value }, label)));
field("method").append(...props.methods.map((label) => node("option", { value: label }, label)));

const roll = (...names) => {
  const seed = anySeed();
  for (const name of names) field(name).value = seed;
  requestFrames(true);
};

const actions = {
  dice_a: () => roll("seed_a"),
  dice_b: () => roll("seed_b"),
  skin: () => roll("seed_a", "seed_b"),
  swap: () => {
    const { a, b, seed_a, seed_b, ...rest } = ends();
    at = 1 - at;
    setEnds({ ...rest, a: b, b: a, seed_a: seed_b, seed_b: seed_a });
    requestFrames(true);
  },
  undo: () => history.back(),
  link: async () => {
    await navigator.clipboard.writeText(location.href);
    field("link").textContent = t["morph.linked"];
    setTimeout(() => (field("link").textContent = t["morph.link"]), 2000);
  },
  play: () => (playing === null ? play() : (pause(), settle())),
  ask: attribution,
  save: () => shown && save(),
  send: () => shown && send(),
  understood: () => {
    localStorage.setItem("morphoscope-hints", "1");
    one(".ms-hint").hidden = true;
  },
};
element.addEventListener("click", (event) => actions[event.target.closest("button")?.name]?.());
element.addEventListener("submit", (event) => event.preventDefault());
one(".ms-ends").addEventListener("change", ({ target }) => {
  if (target.name === "a" || target.name === "b") {
    showFields(target.name);
    const mixture = field("mixture_" + target.name);
    if (target.value === MIXTURE && !mixture.value) mixture.value = home.mixture;
  }
  requestFrames(true);
});
field("psi").addEventListener("input", () => (one(".ms-psi").textContent = Number(field("psi").value).toFixed(2)));
for (const name of ["psi", "even"]) field(name).addEventListener("change", () => requestFrames(true));
// An image of another tab as an end: {end: "a" or "b", label, seed, psi}.
document.addEventListener("morphoscope-end", ({ detail: { end, label, seed, psi } }) => {
  const { [end]: _, ...kept } = ends();
  setEnds({ ...kept, [end]: label, ["seed_" + end]: seed, psi });
  requestFrames(true);
});
addEventListener("popstate", () => {
  setEnds(fromAddress());
  requestFrames(false);
});
new ResizeObserver(() => shown?.answer.prediction && (redrawChart(), moveTo(at))).observe(one(".ms-chart"));
one(".ms-hint").hidden = localStorage.getItem("morphoscope-hints") !== null;

setEnds(fromAddress());
requestFrames(false);
