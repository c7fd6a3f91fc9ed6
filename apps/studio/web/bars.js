// The table of probabilities: a bar for each condition, and a line for the range of the single models.

// Fills the body of the table; returns a function that shows the prediction of one image by its number.
const makeBars = (body, prediction, t) => {
  const rows = prediction.conditions.map(({ name, full_name, explained, colour }) => {
    const bar = node("span", { class: "ms-bar", style: "background:" + colour });
    const range = node("span", { class: "ms-range" });
    const [value, models] = [node("td", { class: "ms-number" }), node("td", { class: "ms-number ms-spread" })];
    const head = node("th", { scope: "row", title: explained }, name, node("small", {}, full_name));
    const row = node("tr", {}, head, node("td", { class: "ms-track" }, node("div", {}, bar, range)), value, models);
    return { row, bar, range, value, models };
  });
  body.replaceChildren(...rows.map(({ row }) => row));
  return (index) => {
    const [found, low, high] = [prediction.probabilities[index], prediction.low[index], prediction.high[index]];
    const first = prediction.verdicts[index].answers ? found.indexOf(Math.max(...found)) : -1;
    rows.forEach(({ row, bar, range, value, models }, k) => {
      row.classList.toggle("ms-first", k === first);
      bar.style.width = 100 * found[k] + "%";
      range.style.left = 100 * low[k] + "%";
      range.style.width = 100 * (high[k] - low[k]) + "%";
      value.textContent = percent(found[k], t);
      models.textContent = spread(low[k], high[k], t);
    });
  };
};

// The verdict on one image, in its box and below the table.
const showVerdict = (box, details, verdict) => {
  box.textContent = verdict.sentence;
  box.classList.toggle("ms-warning", !verdict.answers);
  box.classList.toggle("ms-note", verdict.answers);
  details.textContent = verdict.details;
};
