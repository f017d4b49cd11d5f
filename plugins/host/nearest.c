/* SPDX-License-Identifier: Apache-2.0 */
#include "nearest.h"

#include <string.h>

/* Levenshtein's distance; of long words 99, which is as good as any above 2. */
static unsigned
nearest_distance(const char *a, const char *b)
{
	size_t na = strlen(a), nb = strlen(b);
	unsigned row[64];

	if (na > 60 || nb > 60)
		return 99;
	for (size_t j = 0; j <= nb; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= na; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= nb; j++) {
			unsigned above = row[j];
			unsigned best = diagonal + (a[i - 1] != b[j - 1]);

			best = above + 1 < best ? above + 1 : best;
			row[j] = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
			diagonal = above;
		}
	}
	return row[nb];
}

const char *
host_nearest(const char *word, const char *const *words, size_t n)
{
	const char *best = NULL;
	unsigned least = 3;

	for (size_t i = 0; i < n; i++) {
		unsigned d = nearest_distance(word, words[i]);

		if (d < least && d < strlen(word)) {
			least = d;
			best = words[i];
		}
	}
	return best;
}
