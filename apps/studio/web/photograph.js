// How a photograph gets into a tab, and how its answers follow it.

// A photograph is chosen, dropped, pasted or taken with the camera. The camera goes off when the tab is left;
// `shown` is called when it is opened.
const photographInput = (one, taken, failed, shown, t) => {
  const take = (file) => file && taken(file);
  const camera = webcam(one(".ms-camera"), take, () => failed(t["upload.no_camera"]));
  const actions = { camera: camera.open, take: camera.take, close: camera.close };
  element.addEventListener("click", (event) => actions[event.target.closest("button")?.name]?.());
  one("[name=photograph]").addEventListener("change", ({ target }) => {
    take(target.files[0]);
    target.value = "";
  });
  for (const kind of ["dragover", "drop"])
    element.addEventListener(kind, (event) => {
      event.preventDefault();
      if (kind === "drop") take(event.dataTransfer.files[0]);
    });
  document.addEventListener("paste", (event) => {
    if (element.offsetParent === null || !event.clipboardData.files.length) return;
    event.preventDefault();
    take(event.clipboardData.files[0]);
  });
  new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting)) shown();
    else camera.close();
  }).observe(element);
};

// One request at a time: while it runs, newer wishes replace each other, and only the newest is answered.
const newestAnswer = (one, working, sentence, request, show) => {
  let [newest, running] = [0, false];
  const ask = async () => {
    newest += 1;
    if (running) return;
    running = true;
    one(".ms-stage").setAttribute("aria-busy", "true");
    const slow = setTimeout(() => working(sentence), 600);
    let [mine, subject, answer] = [];
    do {
      mine = newest;
      [subject, answer] = await request();
    } while (mine !== newest);
    clearTimeout(slow);
    running = false;
    working(null);
    one(".ms-stage").removeAttribute("aria-busy");
    show(answer, subject);
  };
  return { ask, number: () => newest };
};
