/* Order of two cells: by their first numbers, then as text; cells without a number come last. */
function bySize(a, b) {
  const [x, y] = [a, b].map((cell) => cell.replace(/<[^>]*>/g, "").trim());
  const [m, n] = [x, y].map((text) => parseFloat(text.replace(/^(p|within)\s*[=<]?\s*/, "")));
  if (isNaN(m) !== isNaN(n)) return isNaN(m) ? 1 : -1;
  return m - n || x.localeCompare(y);
}
