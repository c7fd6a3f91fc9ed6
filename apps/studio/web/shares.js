// Proportions with their intervals as points on one axis, and chance as a dashed line.

const drawShares = (place, shares, chance, t) => {
  const [width, left, right, line] = [Math.max(place.clientWidth, 260), 86, 26, 34];
  const height = line * shares.length + 34;
  const x = (share) => left + share * (width - left - right);
  const svg = node("svg", { viewBox: "0 0 " + width + " " + height, "aria-hidden": "true" });
  const words = (text, attributes) => svg.append(node("text", attributes, text));
  for (const tick of [0, 0.5, 1]) {
    svg.append(node("line", { class: "ms-grid", x1: x(tick), x2: x(tick), y1: 8, y2: height - 26 }));
    words(100 * tick + "%", { x: x(tick), y: height - 10, "text-anchor": "middle" });
  }
  svg.append(node("line", { class: "ms-boundary", x1: x(chance), x2: x(chance), y1: 8, y2: height - 26 }));
  shares.forEach(({ name, value, low, high }, index) => {
    const y = 8 + line * (index + 0.5);
    words(name, { x: left - 10, y: y + 4, "text-anchor": "end" });
    svg.append(
      node("line", { class: "ms-interval ms-row-" + index, x1: x(low), x2: x(high), y1: y, y2: y }),
      node("circle", { class: "ms-row-" + index, cx: x(value), cy: y, r: 6 }));
  });
  place.replaceChildren(svg);
  const said = shares.map(({ name, correct, total, low, high }) =>
    fill(t["learn.share"], { name, correct, total, low: Math.round(100 * low), high: Math.round(100 * high) }));
  const all = [...said, fill(t["learn.chance"], { share: Math.round(100 * chance) })];
  place.setAttribute("aria-label", all.join(" "));
  return all;
};

// Answers by true and chosen condition.
const confusionTable = (conditions, counts, t) => {
  const most = Math.max(1, ...counts.flat());
  const head = node("tr", {}, node("th", { scope: "col" }, t["learn.truth_by_answer"]),
    ...conditions.map((name) => node("th", { scope: "col" }, name)));
  const rows = counts.map((row, truth) => node("tr", {}, node("th", { scope: "row" }, conditions[truth]),
    ...row.map((count, answer) => {
      const kind = count === 0 ? "ms-none" : answer === truth ? "ms-right-one" : "ms-wrong-one";
      return node("td", { class: kind, style: "--much:" + count / most }, count || "");
    })));
  return node("table", { class: "ms-confusion" }, node("caption", {}, t["learn.confusion"]), node("thead", {}, head), node("tbody", {}, ...rows));
};
