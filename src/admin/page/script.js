"use strict";
// Comfort only: everything is there without it.
{
  const make = (name, text) => Object.assign(document.createElement(name), {textContent: text});

  // Moments in the time of whoever reads.
  for (const time of document.querySelectorAll("time[datetime]")) {
    time.title = new Date(time.dateTime).toLocaleString(undefined, {dateStyle: "full", timeStyle: "long"});
  }

  // Copies TOML. Where the browser allows that only over TLS, it is selected.
  for (const toml of document.querySelectorAll("pre.toml")) {
    const button = make("button", "Copy");
    const said = make("span", "");
    said.className = "hidden";
    said.setAttribute("role", "status");
    button.type = "button";
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(toml.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(toml);
        button.textContent = "Selected";
      }
      said.textContent = button.textContent;
      setTimeout(() => { button.textContent = "Copy"; said.textContent = ""; }, 2000);
    });
    toml.after(button, said);
  }

  // Looks for consumers, among those on other pages too.
  for (const filters of document.querySelectorAll("[data-find]")) {
    const label = make("label", "Find");
    const input = make("input", "");
    const query = new URLSearchParams(location.search);
    input.type = "search";
    input.name = "find";
    input.value = query.get("find") || "";
    input.placeholder = "name, software, network";
    input.addEventListener("change", () => {
      query.delete("page");
      if (input.value) query.set("find", input.value); else query.delete("find");
      location.assign(`${location.pathname}?${query}#consumers`);
    });
    label.append(input);
    filters.append(label);
  }

  // Loads the page again from time to time, if that is wanted, and while somebody sees it.
  const refresh = make("button", "Refresh every 30 s");
  const wanted = () => sessionStorage.getItem("refresh") === "on";
  const show = () => refresh.setAttribute("aria-pressed", wanted());
  refresh.type = "button";
  refresh.addEventListener("click", () => { sessionStorage.setItem("refresh", wanted() ? "off" : "on"); show(); });
  setInterval(() => { if (wanted() && !document.hidden) location.reload(); }, 30000);
  show();
  document.querySelector(".top").append(refresh);
}
