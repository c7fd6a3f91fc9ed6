// Shared by the scripts of all tabs.

const fill = (sentence, values) => sentence.replace(/\{(\w+)\}/g, (_, name) => values[name]);

const node = (tag, attributes = {}, ...children) => {
  const made = /^(svg|g|path|line|circle|rect|text|title)$/.test(tag)
    ? document.createElementNS("http://www.w3.org/2000/svg", tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
};

// No probability is shown as certain; as `percent` of verdict.py.
const percent = (value, t) =>
  value < 0.01 ? t["percent.low"] : value > 0.99 ? t["percent.high"] : Math.round(100 * value) + "%";
const spread = (low, high, t) => {
  const [lowest, highest] = [percent(low, t), percent(high, t)];
  return lowest === highest ? lowest : fill(t["percent.spread"], { low: lowest, high: highest });
};

const anySeed = () => Math.floor(Math.random() * 10000); // short enough to be read out and typed in

// The state of a tab in the page's address, so that it can be sent as a link; other parameters stay.
const address = {
  read: () => Object.fromEntries(new URLSearchParams(location.search)),
  write: (values, asNewStep) => {
    const parameters = new URLSearchParams(location.search);
    for (const [name, value] of Object.entries(values)) {
      if (value === null || value === "") parameters.delete(name);
      else parameters.set(name, value);
    }
    const url = location.pathname + "?" + parameters;
    const step = (history.state?.step ?? 0) + (asNewStep ? 1 : 0);
    history[asNewStep ? "pushState" : "replaceState"]({ step }, "", url);
  },
  steps: () => history.state?.step ?? 0,
};

// Sends a file to the memory of the studio, for the next request; its token, or "lost".
const sendFile = async (file, page) => {
  try {
    const query = new URLSearchParams({ name: file.name, page });
    const reply = await fetch("/photographs?" + query, { method: "POST", body: file });
    if (reply.ok) return (await reply.json()).token;
  } catch (error) {
    console.warn(error);
  }
  return "lost";
};

// Values as the server takes them: files go first, and a token for this one request stands in their place.
const sendable = async (values, page) => {
  const sent = {};
  for (const [name, value] of Object.entries(values)) sent[name] = value instanceof File ? await sendFile(value, page) : value;
  return { ...sent, page };
};

// The two messages of a tab: what went wrong, and what is being computed; null for none.
const messages = (one) => {
  const say = (selector) => (sentence) => {
    one(selector).textContent = sentence ?? "";
    one(selector).hidden = !sentence;
  };
  return { fail: say(".ms-error"), working: say(".ms-working") };
};

const asBitmap = async (uri) => createImageBitmap(await (await fetch(uri)).blob());

const PICTURE = 512; // pixels of a canvas's picture; the mark stands below

// One image of a sheet, enlarged, with the mark of synthesis below it.
const drawMarked = (canvas, bitmap, left, top, side, mark, t) => {
  const brush = canvas.getContext("2d");
  brush.imageSmoothingQuality = "high";
  brush.drawImage(bitmap, left, top, side, side, 0, 0, PICTURE, PICTURE);
  brush.fillStyle = "#17252a";
  brush.fillRect(0, PICTURE, PICTURE, canvas.height - PICTURE);
  brush.fillStyle = "#ffd166";
  brush.font = "20px system-ui, sans-serif";
  brush.fillText(t["morph.mark"], 12, PICTURE + 22, PICTURE - 24);
  brush.fillStyle = "#ffffff";
  brush.font = "14px system-ui, sans-serif";
  brush.fillText(mark, 12, PICTURE + 42, PICTURE - 24);
};

// Saves a picture that an answer holds, under its name.
const saveAnswer = ({ picture, name }) => node("a", { href: picture, download: name }).click();

const openTab = (name) =>
  [...document.querySelectorAll("[role=tab]")].find((tab) => tab.textContent.trim() === name)?.click();

// Sends an image to the Classify tab: the values that select it, and the tab whose values they are (source).
// The script of a tab first runs when that tab is opened, and then looks for what was sent.
const sentToClassify = "morphoscopeSent"; // name in the window, which the scripts of all tabs share
const toClassify = (detail, tab) => {
  window[sentToClassify] = detail;
  openTab(tab);
  document.dispatchEvent(new CustomEvent("morphoscope-classify"));
};
const takeSent = () => {
  const detail = window[sentToClassify];
  window[sentToClassify] = null;
  return detail ?? null;
};

// Calls a server function; an answer always comes, and may be an error.
const call = async (server, action, values, t) => {
  try {
    const answer = await server[action](values);
    return answer && typeof answer === "object" ? answer : { error: t["morph.lost"] };
  } catch (error) {
    console.warn(error);
    return { error: t["morph.lost"] };
  }
};

// Runs at most two requests at once, since the studio has room for only a few of each page; of those that wait,
// the ones that are no longer wanted are left out.
const inTurns = () => {
  const running = new Set();
  return async (request, stillWanted) => {
    while (running.size >= 2) await Promise.race(running);
    if (!stillWanted()) return null;
    const answer = request();
    running.add(answer);
    answer.finally(() => running.delete(answer));
    return answer;
  };
};

const paragraphs = (lines) => lines.map((line) => node("p", {}, line));

// A picture with its legend and what it shows, as `MapAnswer` describes it.
const mapFigure = (map) =>
  node("figure", { class: "ms-picture" },
    node("figcaption", {}, node("strong", {}, map.title)),
    node("img", { src: map.picture, alt: map.description }),
    node("img", { src: map.legend, alt: map.key, class: "ms-legend" }));
