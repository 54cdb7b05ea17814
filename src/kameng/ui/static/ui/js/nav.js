// The menu at the left: longer than a small window, so the entry of this page is brought into sight.
export function bind(menu) {
  const here = menu.querySelector("[aria-current]");
  if (!here) return;
  const box = menu.getBoundingClientRect();
  const entry = here.getBoundingClientRect();
  const below = entry.bottom - box.bottom + entry.height * 2; // With two entries below it, so that it goes on visibly.
  if (entry.bottom + entry.height > box.bottom) menu.scrollTop += below;
}
