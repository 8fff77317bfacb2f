const data = JSON.parse(document.getElementById("data").textContent);
const find = (id) => document.getElementById(id);
// Inside another page, as MLflow's, there is nothing beside this one.
const alone = window.top === window;

function made(name, attributes = {}, text = null) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== null) element.textContent = text;
  return element;
}

const said = (value) => (typeof value === "number" ? String(+value.toPrecision(4)) : value);

/* Show the first of the addresses that there is a picture at. */
function showFirst(image, addresses) {
  const [first, ...others] = addresses.filter(Boolean);
  image.onerror = first ? () => showFirst(image, others) : null;
  image.classList.toggle("lost", !first);
  image.src = first ?? "data:,";
}

for (const dialog of document.querySelectorAll("dialog")) {
  dialog.querySelector('[data-part="close"]').addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
}

