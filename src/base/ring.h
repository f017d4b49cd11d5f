/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring - a bounded queue of bytes. Its maximum is fixed at init; memory is borrowed from a shared
 * free list with the first byte and returned when the ring is empty and ring_rest() is called, so
 * that an idle session holds none.
 *
 * Threads: one owner at a time; the free list has a lock of its own.
 */
#ifndef RST_BASE_RING_H
#define RST_BASE_RING_H

#include <stdbool.h>
#include <stddef.h>

struct ring {
	unsigned char *buf; /* NULL while at rest */
	size_t cap;         /* a power of two */
	size_t head;        /* position of the first byte: counts up, taken modulo cap */
	size_t tail;        /* position after the last byte */
};

/* cap: a power of two, 1 KiB .. 64 KiB. Takes no memory. */
void ring_init(struct ring *r, size_t cap);

/* Wipes and gives the memory back; the ring is empty afterwards and can be used again. */
void ring_fini(struct ring *r);

/* Gives the memory back if the ring is empty. Secrets must have been wiped: see ring_consume. */
void ring_rest(struct ring *r);

size_t ring_used(const struct ring *r);
size_t ring_room(const struct ring *r);

/* Contiguous room to write into; *ret_n bytes (0: full or out of memory, then NULL). */
void *ring_space(struct ring *r, size_t *ret_n);
/* n bytes of that room were written. */
void ring_commit(struct ring *r, size_t n);

/* Contiguous bytes to read; *ret_n of them. */
const void *ring_data(const struct ring *r, size_t *ret_n);
/* Drops the first n bytes; they are wiped when `wipe`. */
void ring_consume(struct ring *r, size_t n, bool wipe);

/* Appends all n bytes or none. */
bool ring_put(struct ring *r, const void *p, size_t n);

/* Copies up to n bytes from offset `at` without consuming; returns how many. */
size_t ring_peek(const struct ring *r, size_t at, void *p, size_t n);

/* Offset of the first byte c, from `from` on, or -1. */
long ring_find(const struct ring *r, size_t from, unsigned char c);

#endif
