
"use strict";
const pages = [...document.querySelectorAll(".page")];
const questions = pages.filter(page => page.classList.contains("question"));
const end = document.getElementById("end");
const value = id => document.getElementById(id).value.trim();
let shown = 0;
let unsaved = false;

function chosen(page, kind) {
  const input = page.querySelector(`input[name="${kind}-${page.dataset.position}"]:checked`);
  return input ? input.value : "";
}

function show(index) {
  pages[shown].hidden = true;
  shown = index;
  const page = pages[shown];
  page.hidden = false;
  // Answers to close-ups are locked when the first wider view is shown, which could influence them.
  if (page.dataset.view === "panoramic") {
    for (const earlier of questions) {
      if (earlier.dataset.view === "focused" && chosen(earlier, "answer")) {
        for (const part of earlier.querySelectorAll("fieldset")) part.disabled = true;
      }
    }
  }
  if (page === end) summarise();
  window.scrollTo(0, 0);
  page.querySelector("h1, h2").focus();
}

function step(by) {
  const index = shown + by;
  if (index >= 0 && index < pages.length) show(index);
}

function count() {
  const done = questions.filter(page => chosen(page, "answer")).length;
  document.getElementById("progress").value = done;
  document.getElementById("done").textContent = `${done} of ${questions.length} answered`;
}

function filename() {
  const survey = document.body.dataset.survey.padStart(2, "0");
  return `answers-${document.body.dataset.set}-survey-${survey}-${value("code")}.csv`;
}

function summarise() {
  const missing = questions.filter(page => !chosen(page, "answer"));
  document.getElementById("complete").hidden = missing.length > 0;
  document.getElementById("incomplete").hidden = missing.length === 0;
  document.getElementById("lacking").textContent = missing.length === 1 ? "1 question is" : `${missing.length} questions are`;
  document.getElementById("missing").replaceChildren(...missing.map(page => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = `Image ${page.dataset.position}`;
    button.addEventListener("click", () => show(pages.indexOf(page)));
    return button;
  }));
  document.getElementById("download").textContent = missing.length ? "Download anyway" : "Download my answers";
  document.getElementById("filename").textContent = filename();
}

// A spreadsheet runs cells that begin like a formula; a ' in front marks them as text.
function cell(text) {
  const marked = /^[=+\-@\t\r\n']/.test(text) ? `'${text}` : text;
  return `"${marked.replaceAll('"', '""')}"`;
}

function download() {
  const form = document.body.dataset;
  const saved = new Date().toISOString();
  const rows = questions.map(page => [
    form.set, form.survey, value("code"), value("specialty"), value("years"), saved,
    page.dataset.position, page.dataset.view, chosen(page, "answer"), chosen(page, "confidence"),
  ]);
  const text = [form.columns.split(","), ...rows].map(row => row.map(cell).join(",")).join("\r\n");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(["\ufeff", text, "\r\n"], { type: "text/csv" }));
  link.download = filename();
  link.click();
  unsaved = false;
  document.getElementById("saved").textContent = `Saved as ${filename()}. You can close this page now.`;
}

document.getElementById("participant").addEventListener("submit", event => {
  event.preventDefault();
  step(1);
});
document.addEventListener("change", () => {
  unsaved = true;
  count();
});
document.addEventListener("click", event => {
  const by = event.target.dataset.step;
  if (by) step(Number(by));
});
document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.altKey || event.metaKey || !pages[shown].classList.contains("question")) return;
  const options = pages[shown].querySelectorAll(".answer:enabled input");
  const sure = event.target.closest(".confidence");  // digits typed here are not meant to choose a condition
  if (/^[1-9]$/.test(event.key) && options[event.key - 1] && !sure) {
    options[event.key - 1].click();
    options[event.key - 1].focus();
  } else if (event.key === "Enter" && event.target.tagName !== "BUTTON") {
    event.preventDefault();
    step(1);
  }
});
document.getElementById("download").addEventListener("click", download);
window.addEventListener("beforeunload", event => {
  if (unsaved) event.preventDefault();
});
