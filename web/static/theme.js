// Runs before the page is painted, so that a chosen theme does not flash. Without a choice the system's one holds.
(function () {
  try {
    const theme = localStorage.getItem("theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // A browser without storage simply follows the system.
  }
})();
