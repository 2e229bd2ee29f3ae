/**
 * "Did you mean": the nearest of some words to one that nobody knows. Distance is Damerau-Levenshtein in its
 * restricted form (a letter inserted, left out, replaced, or two neighbours swapped cost 1 each), case ignored.
 */

/** Number of edits between two words; the words are short, so the full table is built. */
export function editDistance(a: string, b: string): number {
  if (a === b) return 0;
  const width = b.length + 1;
  const table = new Uint16Array((a.length + 1) * width);
  for (let j = 0; j < width; j++) table[j] = j;
  for (let i = 1; i <= a.length; i++) {
    const row = i * width;
    table[row] = i;
    for (let j = 1; j < width; j++) {
      const same = a.charCodeAt(i - 1) === b.charCodeAt(j - 1) ? 0 : 1;
      let best = Math.min(table[row + j - 1]! + 1, table[row - width + j]! + 1, table[row - width + j - 1]! + same);
      const swapped = i > 1 && j > 1 && a.charCodeAt(i - 1) === b.charCodeAt(j - 2) && a.charCodeAt(i - 2) === b.charCodeAt(j - 1);
      if (swapped) best = Math.min(best, table[row - 2 * width + j - 2]! + 1);
      table[row + j] = best;
    }
  }
  return table[a.length * width + b.length]!;
}

/**
 * The candidate that `word` most likely stands for, or undefined when none is near enough (a third of the letters may
 * be wrong, at least one, at most four). A candidate that differs only in case, dashes, underscores or dots is taken first.
 */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  const lower = word.toLowerCase();
  const plain = bare(lower);
  let best: string | undefined;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const other = candidate.toLowerCase();
    if (candidate === word) continue;
    const distance = plain !== '' && bare(other) === plain ? 0 : editDistance(lower, other);
    const allowed = Math.min(4, Math.max(1, Math.floor(Math.max(word.length, candidate.length) / 3)));
    if (distance <= allowed && distance < bestDistance && distance < Math.max(word.length, candidate.length)) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

function bare(word: string): string {
  return word.replace(/[-_.\s]/g, '');
}
