// A square box over a picture, which cuts out the part to classify: dragged, resized at its corner, or moved by keys.

const SMALLEST = 0.1; // side, as a share of the picture's shorter edge

// Lays the box into `frame`; calls `settled` when it has stopped moving.
const cropBox = (frame, t, settled) => {
  const corner = node("span", { class: "ms-corner" });
  const box = node("div", {
    class: "ms-crop", tabindex: "0", role: "slider", "aria-label": t["classify.box"],
    "aria-valuemin": Math.round(100 * SMALLEST), "aria-valuemax": "100",
  }, corner);
  frame.append(box);
  let [width, height] = [1, 1]; // of the picture
  let at = { x: 0.5, y: 0.5, side: 0.5 }; // the centre, as shares of width and height

  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
  const extent = (side) => [(side * Math.min(width, height)) / width, (side * Math.min(width, height)) / height];
  const put = ({ x, y, side }) => {
    side = clamp(side, SMALLEST, 1);
    const [wide, high] = extent(side);
    at = { x: clamp(x, wide / 2, 1 - wide / 2), y: clamp(y, high / 2, 1 - high / 2), side };
    Object.assign(box.style, {
      left: 100 * (at.x - wide / 2) + "%", top: 100 * (at.y - high / 2) + "%", width: 100 * wide + "%", height: 100 * high + "%",
    });
    const numbers = Object.fromEntries(Object.entries(at).map(([name, value]) => [name, Math.round(100 * value)]));
    box.setAttribute("aria-valuenow", numbers.side);
    box.setAttribute("aria-valuetext", fill(t["classify.box_at"], numbers));
  };

  const pointer = ({ clientX, clientY }) => {
    const { left, top, width: wide, height: high } = frame.getBoundingClientRect();
    return [(clientX - left) / wide, (clientY - top) / high];
  };
  let held = null; // what the pointer holds: {resizing, from the pointer to the box's centre}
  box.addEventListener("pointerdown", (event) => {
    const [x, y] = pointer(event);
    held = { resizing: event.target === corner, dx: at.x - x, dy: at.y - y };
    box.setPointerCapture(event.pointerId);
    event.preventDefault();
    box.focus();
  });
  box.addEventListener("pointermove", (event) => {
    if (!held) return;
    const [x, y] = pointer(event);
    if (!held.resizing) return put({ ...at, x: x + held.dx, y: y + held.dy });
    const [wide, high] = extent(at.side); // the opposite corner stays
    const [left, top] = [at.x - wide / 2, at.y - high / 2];
    const shorter = Math.min(width, height);
    const most = Math.min((1 - left) * width, (1 - top) * height) / shorter;
    const side = clamp(Math.max((x - left) * width, (y - top) * height) / shorter, SMALLEST, most);
    const [across, down] = extent(side);
    put({ x: left + across / 2, y: top + down / 2, side });
  });
  const release = () => {
    if (held) settled();
    held = null;
  };
  box.addEventListener("pointerup", release);
  box.addEventListener("pointercancel", release);

  const KEYS = { ArrowLeft: [-1, 0, 0], ArrowRight: [1, 0, 0], ArrowUp: [0, -1, 0], ArrowDown: [0, 1, 0], "+": [0, 0, 1], "-": [0, 0, -1] };
  let waiting = null; // until keys have rested for a moment
  box.addEventListener("keydown", (event) => {
    const step = KEYS[event.key];
    if (!step) return;
    event.preventDefault();
    put({ x: at.x + 0.02 * step[0], y: at.y + 0.02 * step[1], side: at.side + 0.04 * step[2] });
    clearTimeout(waiting);
    waiting = setTimeout(settled, 400);
  });

  return {
    box,
    size: (wide, high) => {
      [width, height] = [wide, high];
      put(at);
    },
    put,
    at: () => at,
    // The part as shares of width and height.
    part: () => {
      const [wide, high] = extent(at.side);
      const sides = { left: at.x - wide / 2, top: at.y - high / 2, right: at.x + wide / 2, bottom: at.y + high / 2 };
      return Object.fromEntries(Object.entries(sides).map(([name, share]) => [name, clamp(share, 0, 1)]));
    },
  };
};
