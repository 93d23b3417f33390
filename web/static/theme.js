// Runs before the page is painted, so that the theme does not flash. The default is the system's theme.
(function () {
  try {
    const theme = localStorage.getItem("theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // A browser without storage simply follows the system.
  }
})();
