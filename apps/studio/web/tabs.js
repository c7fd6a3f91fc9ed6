// Which tab is open, in the page's address; the first one needs no mention.

{
  const { tabs } = props;
  const given = address.read().tab;
  if (given in tabs) requestAnimationFrame(() => openTab(tabs[given]));
  document.addEventListener("click", ({ target }) => {
    const label = target.closest?.("[role=tab]")?.textContent.trim();
    const name = Object.keys(tabs).find((each) => tabs[each] === label);
    if (name) address.write({ tab: name === "morph" ? null : name }, false);
  });
}
