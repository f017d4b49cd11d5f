/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz - helpers for the targets: a check that ends the run, texts that grow, places to cut at. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Unlike assert it is there in every build. */
#define MUST(cond) ((cond) ? (void)0 : fuzz_wrong(__FILE__, __LINE__, #cond))

static inline void
fuzz_wrong(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: it is not so: %s\n", file, line, what);
	abort();
}

/* malloc'd to the byte, so that a sanitizer sees the first one too far; never NULL. */
static inline void *
fuzz_alloc(size_t n)
{
	void *p = malloc(n ? n : 1);

	MUST(p != NULL);
	return p;
}

static inline void *
fuzz_copy(const void *from, size_t n)
{
	void *p = fuzz_alloc(n);

	if (n > 0)
		memcpy(p, from, n);
	return p;
}

struct fuzz_text {
	char *p;
	size_t n, cap;
};

static inline void
fuzz_put(struct fuzz_text *t, const void *from, size_t n)
{
	if (t->cap - t->n < n) {
		t->cap = (t->n + n) * 2 + 256;
		t->p = realloc(t->p, t->cap);
		MUST(t->p != NULL);
	}
	if (n > 0)
		memcpy(t->p + t->n, from, n);
	t->n += n;
}

static inline void
fuzz_puts(struct fuzz_text *t, const char *from)
{
	fuzz_put(t, from, strlen(from));
}

static inline int
fuzz_same(const struct fuzz_text *a, const struct fuzz_text *b)
{
	return a->n == b->n && (a->n == 0 || memcmp(a->p, b->p, a->n) == 0);
}

static inline void
fuzz_text_free(struct fuzz_text *t)
{
	free(t->p);
	memset(t, 0, sizeof(*t));
}

/* Ways to cut an input: FUZZ_WHOLE, byte by byte, or where the bytes themselves say. */
enum fuzz_cut { FUZZ_WHOLE, FUZZ_BYTES, FUZZ_PIECES, FUZZ_CUTS };

static inline size_t
fuzz_piece(enum fuzz_cut how, const uint8_t *at, size_t left)
{
	size_t n = how == FUZZ_WHOLE   ? left
		   : how == FUZZ_BYTES ? 1
				       : 1 + (size_t)(at[0] * 31 + left) % 23;

	return n < left ? n : left;
}

#endif
