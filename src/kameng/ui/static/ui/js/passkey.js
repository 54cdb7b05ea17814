// Passkeys: asks the browser for one when the form is sent, and sends its answer as JSON in a hidden field.
const decode = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));
const encode = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");

/** What the browser's own `parseCreationOptionsFromJSON` does, where it is too old to have it. */
function readable(options) {
  const one = (credential) => ({ ...credential, id: decode(credential.id) });
  return {
    ...options,
    challenge: decode(options.challenge),
    ...(options.user && { user: { ...options.user, id: decode(options.user.id) } }),
    ...(options.excludeCredentials && { excludeCredentials: options.excludeCredentials.map(one) }),
    ...(options.allowCredentials && { allowCredentials: options.allowCredentials.map(one) }),
  };
}

function asJson(credential) {
  const names = ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"];
  const given = names.filter((name) => credential.response[name]);
  return JSON.stringify({
    id: credential.id,
    rawId: encode(credential.rawId),
    type: credential.type,
    clientExtensionResults: {},
    response: Object.fromEntries(given.map((name) => [name, encode(credential.response[name])])),
  });
}

export function bind(form) {
  const answer = form.querySelector("[data-passkey-answer]");
  const problem = form.querySelector("[data-passkey-error]");
  form.addEventListener("submit", async (event) => {
    if (answer.value) return;
    event.preventDefault();
    problem.hidden = true;
    const publicKey = readable(JSON.parse(form.dataset.options));
    try {
      answer.value = asJson(await navigator.credentials[form.dataset.kamengPasskey]({ publicKey }));
    } catch (error) {
      // Declined, timed out, or no such key on this device: the browser says which, in its own window.
      console.info("passkey", error.name);
      problem.textContent = form.dataset.failed;
      problem.hidden = false;
      return;
    }
    form.submit();
  });
}
