// The tab Classify. The photograph stays in the page, and goes to the studio's memory with each request.

const { t, targets, methods, dual } = props;
const page = Math.random().toString(36).slice(2);
const one = (selector) => element.querySelector(selector);
const field = (name) => one("[name=" + name + "]");

let given = null; // {photograph: File}, or the values with which another tab selects its image
let pictured = null; // that of them which the page shows
const crop = cropBox(one(".ms-frame"), t, () => predict());
const { fail, working } = messages(one);

// Values as the server takes them.
const values = () => ({
  ...given,
  panoramic: field("panoramic").files[0] ?? null,
  ...(field("cropping").checked ? crop.part() : {}),
});

const ask = async (action, more = {}) => call(server, action, await sendable({ ...values(), ...more }, page), t);

// Only what other tabs have sent can be in an address: photographs are not kept anywhere.
const toAddress = () => {
  const { x, y, side } = crop.at();
  const sent = given?.source && !Object.values(given).some((value) => value instanceof File);
  address.write({
    image: sent ? JSON.stringify(given) : null,
    crop: field("cropping").checked ? [x, y, side].map((share) => share.toFixed(3)).join(" ") : null,
    evidence: field("target").selectedIndex > 0 ? field("target").value : null,
  }, false);
};

const prediction = newestAnswer(one, working, t["classify.predicting"],
  async () => {
    const subject = given;
    return [subject, await ask("classify")];
  },
  (answer, subject) => {
    if (!answer.error) show(answer, subject);
    else if (subject === pictured) fail(answer.error); // another part of it may be usable
    else refuse(answer.error);
  });

const predict = () => {
  if (!given) return;
  toAddress();
  fail(null);
  forget();
  prediction.ask();
};

// What was computed for an earlier image or part.
const forget = () => {
  one(".ms-maps").replaceChildren();
  one(".ms-similar").replaceChildren();
};

// Nothing of an earlier image remains beside the message.
const refuse = (sentence) => {
  fail(sentence);
  given = pictured = null;
  toAddress();
  for (const name of [".ms-given", ".ms-result", ".ms-questions"]) one(name).hidden = true;
  one(".ms-nothing").hidden = false;
  field("cropping").checked = false;
  field("cropping").disabled = true;
};

const show = (answer, subject) => {
  pictured = subject;
  const picture = one(".ms-frame img");
  picture.src = answer.picture;
  picture.alt = answer.name;
  one(".ms-caption").textContent = answer.name;
  one(".ms-size").textContent = answer.mark ? "" : fill(t["classify.size"], answer);
  one(".ms-printed").hidden = !answer.mark;
  one(".ms-printed span").textContent = answer.mark;
  for (const name of [".ms-given", ".ms-result", ".ms-questions"]) one(name).hidden = false;
  one(".ms-nothing").hidden = true;
  field("cropping").disabled = false;
  crop.size(answer.width, answer.height);
  showBox();
  showVerdict(one(".ms-verdict"), one(".ms-details"), answer.verdicts[0]);
  makeBars(one(".ms-bars tbody"), answer, t)(0);
  one(".ms-certainty").replaceChildren(...answer.certainty.map(({ name, sentence, state }) =>
    node("div", { class: "ms-is-" + state }, node("dt", {}, name), node("dd", {}, sentence))));
  one(".ms-seen img").src = answer.seen;
  one(".ms-notes").replaceChildren(...answer.notes.map((line) => node("p", { class: "ms-message ms-note" }, line)));
};

const showBox = () => {
  const on = field("cropping").checked;
  crop.box.hidden = !on;
  one(".ms-crop-hint").hidden = !on;
};

const take = (file) => {
  given = { photograph: file };
  predict();
};

// Maps, by one method after the other: each appears as soon as it is there.

const explain = async () => {
  if (!given) return;
  const [mine, place] = [prediction.number(), one(".ms-maps")];
  toAddress();
  const cells = methods.map((method) => node("div", {}, node("h3", {}, method), node("p", { class: "ms-small" }, t["classify.waiting"])));
  const title = node("h3", {});
  const caution = node("p", {});
  place.replaceChildren(title, node("div", { class: "ms-three" }, ...cells), caution);
  for (const [index, method] of methods.entries()) {
    working(fill(t["classify.explaining"], { method, number: index + 1, count: methods.length }));
    const answer = await ask("explain", { method, target: field("target").value });
    if (mine !== prediction.number() || !cells[0].isConnected) return working(null);
    if (answer.error) {
      cells[index].replaceChildren(node("h3", {}, method), node("p", { class: "ms-message ms-error" }, answer.error));
      continue;
    }
    title.textContent = answer.title;
    caution.textContent = answer.lines.at(-1);
    const how = node("details", { class: "ms-more" }, node("summary", {}, t["classify.how"]), ...paragraphs(answer.lines.slice(0, -1)));
    cells[index].replaceChildren(mapFigure({ ...answer, title: method }), node("p", { class: "ms-small" }, answer.key), how);
  }
  working(null);
};

// Similar images.

const similar = async () => {
  if (!given) return;
  const mine = prediction.number();
  working(t["classify.comparing"]);
  const answer = await ask("similar");
  working(null);
  if (mine !== prediction.number()) return;
  if (answer.error) return fail(answer.error);
  const found = [["classify.nearest_training", answer.training], ["classify.nearest_generated", answer.generated]].map(([title, images]) =>
    node("div", {}, node("h3", {}, t[title]), images.length ? row(images) : node("p", { class: "ms-small" }, answer.reason)));
  one(".ms-similar").replaceChildren(...found, node("p", { class: "ms-small" }, t["classify.similar_how"]));
};

const row = (images) => node("div", { class: "ms-neighbours" }, ...images.map(({ picture, caption, similarity }) =>
  node("figure", {}, node("img", { src: picture, alt: caption }),
    node("figcaption", {}, caption, node("small", {}, fill(t["classify.similarity"], { value: similarity.toFixed(2) }))))));

// Controls.

field("target").append(...targets.map(([label, value]) => node("option", { value }, label)));
one(".ms-other").hidden = !dual;
if (dual) one(".ms-crop-name").textContent = t["classify.crop_pair"];

const actions = { explain, similar };
element.addEventListener("click", (event) => actions[event.target.closest("button")?.name]?.());
element.addEventListener("submit", (event) => event.preventDefault());
field("panoramic").addEventListener("change", predict);
field("target").addEventListener("change", () => {
  toAddress();
  one(".ms-maps").replaceChildren();
});
field("cropping").addEventListener("change", () => {
  showBox();
  if (field("cropping").checked) crop.box.focus();
  predict();
});
const receive = () => {
  const sent = takeSent();
  if (!sent) return;
  given = sent;
  predict();
};
document.addEventListener("morphoscope-classify", receive);

const fromAddress = () => {
  const { image, crop: box, evidence } = address.read();
  if (evidence) field("target").value = evidence;
  if (field("target").selectedIndex < 0) field("target").selectedIndex = 0;
  const [x, y, side] = (box ?? "").split(" ").map(Number);
  if (x >= 0 && y >= 0 && side > 0) {
    field("cropping").checked = true;
    crop.put({ x, y, side });
  }
  try {
    given = image ? JSON.parse(image) : null;
  } catch (error) {
    console.warn(error); // an address that was cut short
  }
};
fromAddress();
showBox();
receive();
// Nothing is computed before someone opens the tab.
photographInput(one, take, fail, () => prediction.number() === 0 && predict(), t);
