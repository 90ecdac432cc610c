// The ceremony of passkeys (Web Authentication Level 3). Everything else on these pages works without a script.
"use strict";

for (const form of document.querySelectorAll("form[data-passkey]")) {
  if (window.PublicKeyCredential && PublicKeyCredential.parseCreationOptionsFromJSON) start(form);
}

function start(form) {
  const ways = { create, get };
  const perform = ways[form.dataset.passkey];
  const failed = form.querySelector("[data-failed]");
  let waiting = new AbortController();
  form.hidden = false;

  const finish = (credential) => {
    form.elements.response.value = JSON.stringify(credential.toJSON());
    form.submit();
  };

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    failed.hidden = true;
    // A browser performs one ceremony at a time: the one that waits in the name's field gives way.
    waiting.abort();
    try {
      finish(await perform(form, {}));
    } catch (error) {
      if (error.name !== "AbortError") failed.hidden = false;
    }
  });

  if (form.dataset.passkey === "get") offer(form, waiting.signal, finish);
}

// Passkeys show up where the name is typed, without anybody asking for them.
async function offer(form, signal, finish) {
  const can = PublicKeyCredential.isConditionalMediationAvailable;
  if (!can || !(await PublicKeyCredential.isConditionalMediationAvailable())) return;
  try {
    finish(await get(form, { mediation: "conditional", signal }));
  } catch {
    // Nobody chose one.
  }
}

function create(form) {
  const options = JSON.parse(form.dataset.options).publicKey;
  return navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) });
}

function get(form, how) {
  const options = JSON.parse(form.dataset.options).publicKey;
  return navigator.credentials.get({ ...how, publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) });
}
