/* What a reader sees of a cell. */
function seen(cell) {
  return String(cell).replace(/<[^>]*>/g, "").replace(/&lt;/g, "<").trim();
}

/* Order of two cells: by their first numbers, then as text; cells without a number come last. */
function bySize(a, b) {
  const [x, y] = [a, b].map(seen);
  const [m, n] = [x, y].map((text) => parseFloat(text.replace(/^(p|within)\s*[=<]?\s*/, "")));
  if (isNaN(m) !== isNaN(n)) return isNaN(m) ? 1 : -1;
  return m - n || x.localeCompare(y);
}

/* Rows in which a text is seen; bootstrap-table alone searches tags, too. */
function bySeen(rows, text) {
  const inCell = ([name, cell]) => !name.startsWith("_") && seen(cell).toLowerCase().includes(text.toLowerCase());
  return rows.filter((row) => Object.entries(row).some(inCell));
}
