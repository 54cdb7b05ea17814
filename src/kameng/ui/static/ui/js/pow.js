// Proof of work at signup: a worker looks for a number whose hash with the challenge has enough leading zero bits.
import { address, words } from "kameng/behaviours";

export function bind(box) {
  const answer = box.querySelector("[data-pow-answer]");
  const label = box.querySelector("[data-pow-words]");
  const form = box.closest("form");
  let waiting = null;
  const worker = new Worker(address("pow-worker"));
  worker.addEventListener("message", ({ data }) => {
    if (data.progress !== undefined) {
      label.textContent = words("pow_working", { percent: Math.min(99, data.progress) });
      return;
    }
    answer.value = data.nonce;
    box.dataset.state = "done";
    label.textContent = words("pow_done");
    worker.terminate();
    if (waiting) form.requestSubmit(waiting.isConnected ? waiting : undefined);
  });
  worker.addEventListener("error", () => {
    box.dataset.state = "failed";
    label.textContent = words("pow_failed");
  });
  worker.postMessage({ challenge: box.dataset.challenge, bits: Number(box.dataset.bits) });
  // Sent before the number is found: the form waits for it and goes by itself.
  form?.addEventListener(
    "submit",
    (event) => {
      if (answer.value || box.dataset.state === "failed") return;
      event.preventDefault();
      event.stopImmediatePropagation();
      waiting = event.submitter ?? form.querySelector("[type=submit]");
    },
    { capture: true },
  );
}
