// The page is shown in a frame of Airflow's, which may not lead its parent elsewhere. The theme is the one that Airflow has stored,
// and links to Airflow are opened by Airflow's own document.
"use strict";

function showTheme() {
  const stored = localStorage.getItem("theme");
  if (stored === "light" || stored === "dark") document.documentElement.dataset.theme = stored;
  else delete document.documentElement.dataset.theme;
}

showTheme();
window.addEventListener("storage", showTheme);

document.addEventListener("click", (event) => {
  const link = event.target.closest('a[target="_top"]');
  if (!link || window.parent === window) return;
  event.preventDefault();
  const opened = window.parent.document.createElement("a");
  opened.href = link.href;
  if (event.ctrlKey || event.metaKey || event.shiftKey) opened.target = "_blank";
  opened.click();
});
