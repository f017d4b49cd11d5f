/* SPDX-License-Identifier: Apache-2.0 */
/* nearest - the known word that a misspelt one was meant to be. Pure. */
#ifndef PM_HOST_NEAREST_H
#define PM_HOST_NEAREST_H

#include <stddef.h>

/* Nearest of the words to `word` (edit distance <= 2), or NULL. */
const char *host_nearest(const char *word, const char *const *words, size_t n);

#endif
