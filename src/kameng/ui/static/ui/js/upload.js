// A form with a file, sent with its progress. The server answers with a redirect (followed) or with the page again.
import { toast } from "kameng/toast";
import { words } from "kameng/behaviours";

function refuse(form, input) {
  const limit = Number(form.dataset.limit || 0); // Megabytes.
  const kinds = (input.accept || "").split(",").map((kind) => kind.trim().toLowerCase()).filter(Boolean);
  for (const file of input.files) {
    if (limit && file.size > limit * 1024 * 1024) return words("too_big", { name: file.name, limit });
    const endings = kinds.filter((kind) => kind.startsWith("."));
    if (endings.length && endings.length === kinds.length && !endings.some((ending) => file.name.toLowerCase().endsWith(ending))) {
      return words("wrong_kind", { name: file.name });
    }
  }
  return "";
}

export function bind(form) {
  const input = form.querySelector("input[type=file]");
  const state = form.querySelector("[data-upload-state]");
  const label = form.querySelector("[data-upload-words]");
  const bar = state.querySelector("progress");
  let running = false;

  form.addEventListener("submit", (event) => {
    if (!input.files.length) return; // The browser, or the server, says that it is missing.
    event.preventDefault();
    if (running) return;
    const reason = refuse(form, input);
    if (reason) {
      toast(reason, "danger");
      return;
    }
    const body = new FormData(form);
    if (event.submitter?.name) body.append(event.submitter.name, event.submitter.value);
    const button = event.submitter ?? form.querySelector("[type=submit]");
    const request = new XMLHttpRequest();
    running = true;
    button.setAttribute("data-loading", "");
    state.hidden = false;
    request.upload.addEventListener("progress", ({ loaded, total }) => {
      const percent = Math.floor((loaded / total) * 100);
      bar.value = percent;
      label.textContent = words("uploading", { percent });
      if (loaded === total) {
        label.textContent = words("upload_read");
        bar.removeAttribute("value");
      }
    });
    const end = (text) => {
      running = false;
      button.removeAttribute("data-loading");
      state.hidden = true;
      if (text) toast(text, "danger");
    };
    request.addEventListener("load", () => {
      if (request.status >= 500) return end(words("server_error"));
      if (request.status < 400) {
        // Fetched anew, so that what the server has to say of it is said there, and all of the page is of one time.
        location.assign(request.responseURL);
        return undefined;
      }
      // The same page with its errors: shown whole, at its own address.
      // Without its head: that page's own nonce is not this page's.
      const answer = request.responseText.replace(/<head>[\s\S]*?<\/head>/, "");
      const fresh = new DOMParser().parseFromString(answer, "text/html").querySelector("#main");
      if (!fresh) return end(words("upload_failed"));
      document.querySelector("#main").replaceWith(fresh);
      window.htmx?.process(fresh);
      document.dispatchEvent(new CustomEvent("htmx:load", { detail: { elt: fresh } }));
      return end("");
    });
    request.addEventListener("error", () => end(words("upload_failed")));
    request.addEventListener("abort", () => end(""));
    request.open("POST", form.action);
    request.setRequestHeader("X-Kameng-Upload", "1"); // Messages are kept for the page that a person sees.
    request.send(body);
  });
}
