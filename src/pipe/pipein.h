/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pipein - the message on standard input, piece by piece. A first line "From sender date", as mbox
 * has it and some mail servers write it, is no part of the message: it is taken away, and its
 * sender kept. So are the lines ">From sender date remote from host" of RFC 976 below it.
 */
#ifndef RST_PIPE_PIPEIN_H
#define RST_PIPE_PIPEIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "account/address.h"

#define PIPEIN_OCTETS 65536

struct pipein {
	int fd;
	bool ended;
	bool has_from;       /* there was such a line */
	struct address from; /* its address; null: MAILER-DAEMON, or no possible address */
	size_t at, n;        /* buf[at..n) is not given out yet */
	char buf[PIPEIN_OCTETS];
};

/* The beginning is read. False: errno. p->ended and nothing there: there is no message. */
bool pipein_open(struct pipein *p, int fd);
bool pipein_empty(const struct pipein *p);
/* The next piece: > 0 octets at *ret, good until the next call; 0: the end; -1: errno. */
ssize_t pipein_next(struct pipein *p, const char **ret);
/* Octets there are still to come, as far as is known (a file is there); UINT64_MAX: not. */
uint64_t pipein_octets(const struct pipein *p);

/* An address as mail servers and people give it on a command line: bare, quoted, or in angle
 * brackets; with blanks or anything else that needs quotes in its local part. "" and <> are
 * null, and so is MAILER-DAEMON. NULL: fine; else the fault in words. */
const char *pipein_address(const char *p, size_t n, struct address *ret);

#endif
