// The tab Learn: a quiz. Its state is in this page alone; only the settings are in the address.

const { t, tabs, conditions, named, sources, levels } = props;
const AGAIN = 3; // questions until the condition of a wrong answer comes again
const page = Math.random().toString(36).slice(2);
const one = (selector) => element.querySelector(selector);
const field = (name) => one("[name=" + name + "]");
const { fail, working } = messages(one);
const VIEWS = ["", "focused", "panoramic", "face", "other"];

let quiz = null; // {settings, number, level, again: [{number, at}], answers}
let asked = null; // the present question: {request, answer, revealed}
let newest = 0;

const chosen = (name) => one("[name=" + name + "]:checked")?.value ?? null;
const ask = (action, values) => call(server, action, { page, ...values }, t);

const NAMES = { source: "source", count: "questions", quiz: "quiz", adaptive: "adaptive" }; // in the address
const settings = () => ({
  source: field("source").value, count: Number(field("count").value),
  quiz: field("quiz").value === "" ? null : Number(field("quiz").value), adaptive: field("adaptive").checked,
});
const toAddress = () =>
  address.write({ ...Object.fromEntries(Object.entries(NAMES).map(([name, key]) => [key, settings()[name]])), adaptive: settings().adaptive ? "1" : "0" }, false);
const fromAddress = () => {
  const given = address.read();
  field("quiz").value = given.quiz ?? anySeed();
  field("adaptive").checked = given.adaptive !== "0";
  for (const name of ["source", "count"]) {
    if (NAMES[name] in given) field(name).value = given[NAMES[name]];
    if (field(name).selectedIndex < 0) field(name).selectedIndex = 0;
  }
};

const showFields = () => {
  one(".ms-of-source").hidden = sources.length < 2;
  one(".ms-of-generated").hidden = field("source").value !== "generated";
};

// The course of the quiz.

const begin = () => {
  toAddress();
  quiz = { ...settings(), number: 0, level: 0, again: [], answers: [] };
  one(".ms-hint").hidden = true;
  one(".ms-score").hidden = true;
  next();
};

const next = async () => {
  if (quiz.number >= quiz.count) return finish();
  quiz.number += 1;
  const due = quiz.again.findIndex(({ at }) => at <= quiz.number);
  const like = due < 0 ? 0 : quiz.again.splice(due, 1)[0].number;
  const { source, count, quiz: seed, number, adaptive, level } = quiz;
  const request = { source, count, quiz: seed, number, like, level: adaptive && source === "generated" ? level : 0 };
  const mine = ++newest;
  const slow = setTimeout(() => mine === newest && working(t["learn.drawing"]), 600);
  fail(null);
  const answer = await ask("question", request);
  clearTimeout(slow);
  if (mine !== newest) return;
  working(null);
  if (answer.error) {
    quiz.number -= 1;
    return fail(answer.error);
  }
  asked = { request, answer, revealed: null };
  showQuestion();
};

const showQuestion = () => {
  const { request, answer } = asked;
  one(".ms-quiz").hidden = false;
  one(".ms-revealed").hidden = true;
  one(".ms-question").hidden = false;
  one(".ms-where").textContent = fill(t["learn.where"], { number: request.number, count: quiz.count }) +
    (answer.view ? " · " + (t["learn.view_" + answer.view] ?? answer.view) : "");
  one("progress").value = (request.number - 1) / quiz.count;
  one(".ms-level").textContent = quiz.adaptive && quiz.source === "generated" ? fill(t["learn.level"], { level: request.level + 1, levels }) : "";
  one(".ms-asked").src = answer.picture;
  one(".ms-asked").alt = fill(t["learn.asked"], { number: request.number });
  one(".ms-printed").hidden = !answer.mark;
  one(".ms-printed span").textContent = answer.mark;
  for (const input of one(".ms-question").querySelectorAll("input")) input.checked = false;
  field("reveal").disabled = true;
  element.dataset.question = request.number;
};

const reveal = async () => {
  const [mine, answer] = [newest, chosen("answer")];
  if (!asked || asked.revealed || answer === null || chosen("sure") === null) return;
  field("reveal").disabled = true;
  const slow = setTimeout(() => working(t["learn.revealing"]), 600);
  const found = await ask("reveal", { ...asked.request, answer });
  clearTimeout(slow);
  working(null);
  if (mine !== newest) return;
  field("reveal").disabled = false;
  if (found.error) return fail(found.error);
  asked.revealed = found;
  record(found, answer);
  asked.bitmap = await asBitmap(found.morph.sheet);
  showRevealed(found);
};

// A wrong answer's condition comes again soon, and an image that is easier; after two correct answers a harder one.
const record = (found, answer) => {
  const { request, answer: { view } } = asked;
  quiz.answers.push({
    truth: conditions.indexOf(found.truth), answer: conditions.indexOf(answer), predicted: conditions.indexOf(found.predicted),
    confidence: Number(chosen("sure")), level: request.level, view: Math.max(VIEWS.indexOf(view), 0), correct: found.correct,
  });
  if (!found.correct) quiz.again.push({ number: request.like || request.number, at: request.number + AGAIN });
  const [before, last] = quiz.answers.slice(-2);
  if (!found.correct) quiz.level = Math.max(0, quiz.level - 2);
  else if (last?.correct && before.correct) quiz.level = Math.min(levels - 1, quiz.level + 1);
};

const showRevealed = (found) => {
  one(".ms-question").hidden = true;
  one(".ms-revealed").hidden = false;
  one(".ms-maps").replaceChildren();
  one(".ms-truth").textContent = found.sentence;
  one(".ms-truth").classList.toggle("ms-note", found.correct);
  one(".ms-truth").classList.toggle("ms-warning", !found.correct);
  one(".ms-spelled").textContent = found.explained;
  one(".ms-says").textContent = fill(t["learn.ensemble_says"], { sentence: found.ensemble });
  one(".ms-way").textContent = fill(t["learn.way"], { start: found.start, truth: found.truth });
  field("between").max = found.morph.ratios.length - 1;
  field("between").value = field("between").max;
  showBetween();
  field("next").textContent = t[quiz.number >= quiz.count ? "learn.finish" : "learn.next"];
  one("progress").value = quiz.number / quiz.count;
  element.dataset.revealed = asked.request.number;
  one(".ms-truth").focus();
};

const showBetween = () => {
  const { morph } = asked.revealed;
  const index = Number(field("between").value);
  const canvas = one("canvas");
  drawMarked(canvas, asked.bitmap, index * morph.resolution, 0, morph.resolution, morph.marks[index], t);
  canvas.setAttribute("aria-label", fill(t["morph.picture"], { mixture: morph.captions[index] }));
  field("between").setAttribute("aria-valuetext", morph.captions[index]);
  one(".ms-between-caption").textContent = morph.captions[index];
};

const evidence = async () => {
  const mine = newest;
  working(t["morph.attributing"]);
  const found = await ask("evidence", asked.request);
  working(null);
  if (mine !== newest) return;
  if (found.error) return fail(found.error);
  const text = node("div", {}, node("h3", {}, found.title), ...paragraphs(found.lines));
  one(".ms-maps").replaceChildren(node("div", { class: "ms-attribution" }, mapFigure({ ...found, title: "" }), text));
};

// The score.

const finish = async () => {
  const column = (name) => quiz.answers.map((each) => each[name]).join(",");
  const found = await ask("score", {
    truths: column("truth"), answers: column("answer"), predicted: column("predicted"),
    confidences: column("confidence"), levels: column("level"), views: column("view"),
  });
  if (found.error) return fail(found.error);
  one(".ms-quiz").hidden = true;
  one(".ms-score").hidden = false;
  quiz.csv = found.csv;
  const shares = drawShares(one(".ms-shares"), found.shares, found.chance, t);
  one(".ms-said").replaceChildren(...[...shares, ...found.sentences].map((line) => node("li", {}, line)));
  one(".ms-confused").replaceChildren(confusionTable(found.conditions, found.confusion, t));
  element.dataset.finished = "1";
};

const saveTable = () => {
  const url = URL.createObjectURL(new Blob([quiz.csv], { type: "text/csv" }));
  node("a", { href: url, download: "quiz-" + quiz.quiz + ".csv" }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
};

// Controls.

const choice = (name, value, label, key) =>
  node("label", { class: "ms-option" }, node("input", { type: "radio", name, value }), node("span", {}, label), key ? node("kbd", { "aria-hidden": "true" }, key) : "");
one(".ms-options").append(...conditions.map((value, index) => choice("answer", value, named[value], index < 9 ? index + 1 : "")));
one(".ms-sures").append(...[1, 2, 3, 4, 5].map((value) => choice("sure", value, t["learn.sure_" + value])));
field("source").append(...sources.map((value) => node("option", { value }, t["learn.source_" + value])));
fromAddress();
showFields();

const actions = {
  begin, reveal, evidence, csv: saveTable, next: () => asked?.revealed && next(),
  roll: () => {
    field("quiz").value = anySeed();
    toAddress();
  },
};
element.addEventListener("click", (event) => actions[event.target.closest("button")?.name]?.());
element.addEventListener("submit", (event) => event.preventDefault());
one(".ms-setup").addEventListener("change", () => {
  showFields();
  toAddress();
});
one(".ms-question").addEventListener("change", () => {
  field("reveal").disabled = chosen("answer") === null || chosen("sure") === null;
});
field("between").addEventListener("input", showBetween);
// Keys as in the survey: 1 to 9 choose a condition, Enter continues.
document.addEventListener("keydown", (event) => {
  if (one(".ms-quiz").hidden || element.offsetParent === null || event.target.matches("input:not([type=radio]), select, button, a, [role=tab]")) return;
  const option = one(".ms-options").children[Number(event.key) - 1];
  if (option && !asked?.revealed) {
    const input = option.querySelector("input");
    input.checked = true;
    input.focus();
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }
  if (event.key === "Enter") (asked?.revealed ? actions.next : reveal)();
});
