// Light, dark or as the device; remembered on this device for this host.
const KEY = "kameng-theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

function chosen() {
  try {
    return localStorage.getItem(KEY) ?? "system";
  } catch {
    return "system"; // Storage is forbidden in some private windows: the device decides.
  }
}

function show() {
  const choice = chosen();
  document.documentElement.dataset.theme = choice === "light" || choice === "dark" ? choice : dark.matches ? "dark" : "light";
  for (const button of document.querySelectorAll("[data-kameng-theme]")) {
    button.toggleAttribute("aria-current", button.dataset.kamengTheme === choice);
  }
  document.dispatchEvent(new CustomEvent("kameng:theme"));
}

dark.addEventListener("change", show);

export function bind(button) {
  button.addEventListener("click", () => {
    try {
      localStorage.setItem(KEY, button.dataset.kamengTheme);
    } catch {
      document.documentElement.dataset.theme = button.dataset.kamengTheme; // For this page only.
    }
    show();
    button.closest("details")?.removeAttribute("open");
  });
  button.toggleAttribute("aria-current", button.dataset.kamengTheme === chosen());
}
