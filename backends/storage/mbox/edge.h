/* SPDX-License-Identifier: Apache-2.0 */
/*
 * edge - what stands before the text that a journal replaces, and at the end of the file. Between a
 * crash and its recovery another program may have moved messages without changing the size of the
 * file: the journal still fits only if the message before it ends where it did, and the file ends
 * with the text it ended with. Headers that mail programs rewrite do not count.
 */
#ifndef MBOX_EDGE_H
#define MBOX_EDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "parse.h"
#include "snap.h"

enum edge_kind {
	EDGE_NONE,      /* nothing stands there */
	EDGE_BYTES,     /* these bytes: no message is known there */
	EDGE_MESSAGE,   /* this message */
	EDGE_MESSAGE_RD /* the same, read as mboxrd */
};

/* In the journal's file: [from, to), where `to` is known from elsewhere. */
struct edge {
	uint64_t from;
	uint32_t kind;
	uint32_t gap; /* bytes between the message's end and `to` */
	unsigned char hash[MBOX_HASH];
	uint32_t pad;
};

/* Describes a message and the empty line after it, up to `to`. */
struct edge edge_of_message(const struct item *it, uint64_t to, bool rd);
/* Describes the last bytes of [from, to), as many as are needed. False: they cannot be read. */
bool edge_of_bytes(int fd, uint64_t from, uint64_t to, struct edge *ret);
/* *ret: whether it stands in the file as it did. 0 or an errno. */
int edge_stands(int fd, const struct edge *e, uint64_t to, bool *ret);

#endif
