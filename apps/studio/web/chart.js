// The classifier's probabilities along a morph: lines, the range of single models, where the answer changes.

const CHART = { height: 220, left: 44, right: 14, top: 20, bottom: 34 };

// Draws into `place`; returns a function that moves the marker to a share of the way.
const drawChart = (place, ends, found, t) => {
  const width = Math.max(place.clientWidth, 240);
  const frames = found.probabilities.length;
  const x = (share) => CHART.left + share * (width - CHART.left - CHART.right);
  const y = (probability) => CHART.height - CHART.bottom - probability * (CHART.height - CHART.top - CHART.bottom);
  const at = (index) => x(index / (frames - 1));
  const points = (rows, k) => rows.map((row, index) => at(index).toFixed(1) + " " + y(row[k]).toFixed(1));
  const svg = node("svg", { viewBox: "0 0 " + width + " " + CHART.height, "aria-hidden": "true" });
  const words = (text, attributes) => svg.append(node("text", attributes, text));

  for (const tick of [0, 0.25, 0.5, 0.75, 1]) {
    svg.append(node("line", { class: "ms-grid", x1: x(0), x2: x(1), y1: y(tick), y2: y(tick) }));
    words(100 * tick + "%", { x: CHART.left - 6, y: y(tick) + 4, "text-anchor": "end" });
  }
  found.verdicts.forEach(({ unsure }, index) => {
    if (!unsure) return;
    const [from, to] = [Math.max(at(index - 0.5), x(0)), Math.min(at(index + 0.5), x(1))];
    svg.append(node("rect", { class: "ms-unsure", x: from, width: to - from, y: y(1), height: y(0) - y(1) }));
  });
  const strong = new Set([found.probabilities[0], found.probabilities[frames - 1]].map((row) => row.indexOf(Math.max(...row))));
  found.conditions.forEach(({ colour }, k) => {
    if (!strong.has(k)) svg.append(node("path", { class: "ms-line", stroke: colour, d: "M" + points(found.probabilities, k).join("L") }));
  });
  for (const k of strong) {
    const colour = found.conditions[k].colour;
    const band = [...points(found.high, k), ...points(found.low, k).reverse()];
    svg.append(node("path", { class: "ms-band", fill: colour, d: "M" + band.join("L") + "Z" }));
    svg.append(node("path", { class: "ms-line ms-strong", stroke: colour, d: "M" + points(found.probabilities, k).join("L") }));
  }
  for (const { before, after, last, first } of found.changes) {
    const middle = at((last + first) / 2);
    svg.append(node("line", { class: "ms-boundary", x1: middle, x2: middle, y1: y(1), y2: y(0) }));
    const anchor = middle < x(0.2) ? "start" : middle > x(0.8) ? "end" : "middle";
    words(before + " → " + after, { x: middle, y: y(1) - 6, "text-anchor": anchor });
  }
  if (found.verdicts.some(({ unsure }) => unsure)) {
    words(t["morph.unsure"], { x: x(0.5), y: CHART.height - 14, "text-anchor": "middle" });
  }
  words(ends[0], { x: x(0), y: CHART.height - 14, "text-anchor": "start" });
  words(ends[1], { x: x(1), y: CHART.height - 14, "text-anchor": "end" });
  const marker = node("g", { class: "ms-marker" },
    node("line", { x1: 0, x2: 0, y1: y(1), y2: y(0) }),
    node("circle", { cx: 0, cy: y(1), r: 4 }));
  svg.append(marker);
  place.replaceChildren(svg);
  place.setAttribute("aria-label", fill(t["morph.chart"], { a: ends[0], b: ends[1] }) + " " + found.summary);
  return (share) => marker.setAttribute("transform", "translate(" + x(share).toFixed(1) + " 0)");
};

const chartShare = (place, clientX) => {
  const { left, width } = place.getBoundingClientRect();
  return Math.min(1, Math.max(0, (clientX - left - CHART.left) / (width - CHART.left - CHART.right)));
};
