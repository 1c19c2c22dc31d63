"use strict";
// Fetches this page again every two seconds and shows what has changed.

const MILLISECONDS = 2000;

const parts = (page) => new Map([...page.querySelectorAll("[data-live]")].map((part) => [part.dataset.live, part]));

function show(fresh) {
  const [now, next] = [parts(document), parts(fresh)];
  if ([...now.keys()].join() !== [...next.keys()].join()) { // a run started or finished
    document.getElementById("live").replaceWith(fresh.getElementById("live"));
    return;
  }
  for (const [name, part] of now) {
    if (part.innerHTML !== next.get(name).innerHTML) part.innerHTML = next.get(name).innerHTML;
  }
}

async function update() {
  const connection = document.getElementById("connection");
  let problem = "";
  try {
    const response = await fetch(location.pathname, { cache: "no-store" });
    const text = await response.text();
    if (response.ok) show(new DOMParser().parseFromString(text, "text/html"));
    else problem = `Not up to date: ${text}`;
  } catch {
    const command = `${connection.dataset.command} --port ${location.port}`;
    problem = `Not up to date: the server does not answer. Start it again with ${command}.`;
  }
  if (connection.textContent !== problem) connection.textContent = problem;
  setTimeout(update, MILLISECONDS);
}

setTimeout(update, MILLISECONDS);
