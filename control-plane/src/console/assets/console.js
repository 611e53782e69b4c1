// Small comforts; every page works without them. Copies, shows instants in the viewer's zone, keeps receipts current.
"use strict";

document.documentElement.classList.add("with-script");

const zoned = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const dated = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });

/** Instants in the viewer's zone; the title keeps UTC. */
function localize(root) {
  for (const element of root.querySelectorAll("time[datetime]")) {
    const instant = new Date(element.dateTime);
    if (!Number.isNaN(instant.getTime())) element.textContent = ("day" in element.dataset ? dated : zoned).format(instant);
  }
}

/** Buttons that copy the text of another element. */
function offerCopies(root) {
  for (const button of root.querySelectorAll("button[data-copy]")) {
    const source = document.getElementById(button.dataset.copy);
    const label = button.firstChild.textContent;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const text = source.value ?? source.textContent;
      try {
        await navigator.clipboard.writeText(text);
        button.firstChild.textContent = "Copied";
      } catch {
        // Without permission, or without TLS: the text is selected for whoever copies it by hand.
        if (source.select) source.select();
        else getSelection().selectAllChildren(source);
        button.firstChild.textContent = "Press Ctrl+C";
      }
      setTimeout(() => { button.firstChild.textContent = label; }, 2000);
    });
  }
}

/** Asks for a pending receipt again until it is complete. The answer waits for news by itself. */
async function follow(receipt) {
  const { receipt: address, done } = receipt.dataset;
  while (address) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    let page;
    try {
      const answer = await fetch(address, { headers: { accept: "text/html" } });
      if (!answer.ok || answer.redirected) return;
      page = new DOMParser().parseFromString(await answer.text(), "text/html");
    } catch {
      continue;
    }
    const fresh = page.querySelector(".receipt");
    if (!fresh) return;
    const first = fresh.querySelector("p");
    if (done) {
      const strong = document.createElement("strong");
      strong.textContent = done;
      first.prepend(strong, " ");
    }
    localize(fresh);
    receipt.className = fresh.className;
    receipt.replaceChildren(...fresh.childNodes);
    if (!fresh.dataset.receipt) return;
  }
}

/** Filling in what goes with a choice makes the choice. */
function chooseByFilling(root) {
  for (const field of root.querySelectorAll("[data-chooses]")) {
    field.addEventListener("input", () => {
      const choice = field.closest("fieldset").querySelector(`input[type=radio][value="${field.dataset.chooses}"]`);
      if (choice && (field.type !== "checkbox" || field.checked)) choice.checked = true;
    });
  }
}

/** What a form says, read by the server, beside it: a policy in plain language. */
function preview(root) {
  for (const target of root.querySelectorAll("[data-preview]")) {
    const form = target.closest("form");
    let timer;
    let last = 0;
    const update = async () => {
      const turn = ++last;
      const answer = await fetch(target.dataset.preview, { method: "POST", body: new URLSearchParams(new FormData(form)) });
      // Whose session is over is led to the sign-in page, which says nothing about a policy.
      if (!answer.ok || answer.redirected) return;
      const text = await answer.text();
      if (turn === last) target.textContent = text;
    };
    form.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => update().catch(() => {}), 250);
    });
  }
}

localize(document);
offerCopies(document);
chooseByFilling(document);
preview(document);
for (const receipt of document.querySelectorAll("[data-receipt]")) follow(receipt);
