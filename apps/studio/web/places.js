// A map of the gallery: a mark for each image, the syndromes that a ranking puts first in colours and shapes of
// their own, the others grey, and the photograph as a cross.

const SHAPES = ["M-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0", "M-4.5-4.5h9v9h-9z", "M0-6L6 5H-6z", "M0-6.5L6.5 0L0 6.5L-6.5 0z", "M0 6L6-5H-6z"];
const OTHER = "M-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0";
const CROSS = "M-11 0H11M0-11V11";

const mark = (shape, x, y, attributes) =>
  node("path", { d: shape, transform: "translate(" + x.toFixed(1) + " " + y.toFixed(1) + ")", ...attributes });

const swatch = (shape, attributes) =>
  node("svg", { viewBox: "-12 -12 24 24", width: 18, height: 18, "aria-hidden": "true" }, mark(shape, 0, 0, attributes));

// Draws it into `figure`, whose label says what is nearest on the map, and its key into `list`.
const drawPlaces = (figure, list, gallery, own, first, colours, t) => {
  const [width, height, border] = [640, 420, 22];
  const all = [...gallery.places, own];
  const [lows, highs] = [Math.min, Math.max].map((most) => [0, 1].map((axis) => most(...all.map((place) => place[axis]))));
  // One scale for both axes: distances on the map mean the same in all directions.
  const scale = Math.min(...[width, height].map((size, axis) => (size - 2 * border) / Math.max(highs[axis] - lows[axis], 1e-6)));
  const at = ([x, y]) => [width / 2 + (x - (lows[0] + highs[0]) / 2) * scale, height / 2 - (y - (lows[1] + highs[1]) / 2) * scale];
  const svg = node("svg", { viewBox: "0 0 " + width + " " + height, "aria-hidden": "true" });
  const order = first.map((name) => gallery.syndromes.findIndex((syndrome) => syndrome.name === name));
  gallery.places
    .map((place, index) => ({ place, rank: order.indexOf(gallery.labels[index]) }))
    .sort((a, b) => a.rank - b.rank) // the grey ones, -1, lie below
    .forEach(({ place, rank }) => {
      const look = rank === -1 ? { class: "ms-other-face" } : { fill: colours[rank] };
      svg.append(mark(SHAPES[rank] ?? OTHER, ...at(place), look));
    });
  svg.append(mark(CROSS, ...at(own), { class: "ms-own-face" }));
  figure.replaceChildren(svg);
  const rows = first.map((name, rank) => [swatch(SHAPES[rank], { fill: colours[rank] }), name]);
  if (gallery.syndromes.length > first.length) rows.push([swatch(OTHER, { class: "ms-other-face" }), t["faces.map_others"]]);
  rows.push([swatch(CROSS, { class: "ms-own-face" }), t["faces.map_photograph"]]);
  list.replaceChildren(...rows.map((row) => node("li", {}, ...row)));
  const distance = ([x, y]) => Math.hypot(x - own[0], y - own[1]);
  const near = gallery.places.map((place, index) => [distance(place), gallery.syndromes[gallery.labels[index]].name]);
  const names = new Set(near.sort(([a], [b]) => a - b).slice(0, 5).map(([, name]) => name));
  figure.setAttribute("aria-label", fill(t["faces.map_alt"], { count: gallery.places.length, names: [...names].join(", ") }));
};
